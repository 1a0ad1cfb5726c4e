"""What experiments showed: kept with how likely it was, beside the events, without keeping anybody waiting."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from shortlist.errors import StoreError
from shortlist.events.marks import hash_of
from shortlist.events.store import EventStore
from shortlist.events.tables import exposures, forgotten_users
from shortlist.recommender.passage import Draw
from shortlist.reranking.plackett_luce import at_places, given_above

LOG = logging.getLogger("shortlist.experiments")
MAX_ASKED = 4_096
_WAITING = 20_000
_ROWS_A_COMMIT = 1_000
_GATHER_SECONDS, _RETRY_SECONDS, _CLOSE_SECONDS = 0.2, 1.0, 10.0
_DIGITS = 9  # of a probability that are kept
_INSERT: dict[str, Any] = {
    name: dialect.insert(exposures).on_conflict_do_nothing(index_elements=["request_id"])
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


@dataclass(frozen=True, eq=False)
class Exposure:
    """One answer of one arm.

    Args:
        request_id: the answer has it, too.
        experiment, arm: whose.
        share: of all users that the arm has; ``is_control``: whether the others are compared to it.
        user_id: as the store keeps ids.
        timestamp: milliseconds since 1970.
        items: ids as text, the first place first.
        draw: how they were drawn; None: they were not, so that they were certain.
        is_known: whether the arm's own stages gave the answer, so that anybody knows how likely it was.
        asked: what the request said beside the user, where it is not the default.
    """

    request_id: str
    experiment: str
    arm: str
    share: float
    is_control: bool
    user_id: str
    timestamp: int
    items: Sequence[str]
    draw: Draw | None = None
    is_known: bool = True
    asked: Mapping[str, Any] | None = None

    def row(self) -> dict[str, Any]:
        """As the table has it."""
        chances, above = self._propensities()
        asked = None if self.asked is None else json.dumps(dict(self.asked), default=str)
        return {
            **{name: getattr(self, name) for name in ("request_id", "experiment", "arm", "share", "is_control")},
            "user_id": self.user_id,
            "timestamp": self.timestamp,
            "items": json.dumps(list(self.items)),
            "propensity": chances,
            "given_above": above,
            "asked": asked if asked is None or len(asked) <= MAX_ASKED else None,
        }

    def _propensities(self) -> tuple[str | None, str | None]:
        """Of each place: P(this item at this place), and P(this item at this place | those above it)."""
        if not self.is_known:
            return None, None
        if self.draw is None:
            certain = json.dumps([1] * len(self.items))
            return certain, certain
        found = (at_places(self.draw.logits, self.draw.order), given_above(self.draw.logits, self.draw.order))
        return tuple(json.dumps([float(f"{one:.{_DIGITS}g}") for one in np.maximum(p, 1e-300)]) for p in found)  # type: ignore[return-value]


class ExposureLog:
    """A thread that writes exposures behind the answers' backs.

    An exposure is no acknowledged event: those of the last moments are lost when the process is killed, and where the store
    does not answer for so long that ``_WAITING`` of them wait, later ones are lost, and counted. Whatever reaches the disk is
    there once, by its ``request_id``. Who was deleted since is left out.

    Args:
        store: whose database it is.
        on_lost: called with how many were lost.
    """

    def __init__(self, store: EventStore, on_lost: Callable[[int], None] = lambda _: None) -> None:
        self.store, self.on_lost = store, on_lost
        self._waiting: queue.Queue[Exposure] = queue.Queue(_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shortlist-exposures", daemon=True)
        self._thread.start()

    def add(self, exposure: Exposure) -> None:
        """Take one; returns at once."""
        try:
            self._waiting.put_nowait(exposure)
        except queue.Full:
            self.on_lost(1)

    def flush(self) -> None:
        """Wait until all that was taken so far is written, or lost."""
        self._waiting.join()

    def close(self) -> None:
        """Write what waits, and end."""
        self._closing.set()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not (self._closing.is_set() and self._waiting.empty()):
            try:
                batch = [self._waiting.get(timeout=_GATHER_SECONDS)]
            except queue.Empty:
                continue
            self._closing.wait(_GATHER_SECONDS)
            while len(batch) < _ROWS_A_COMMIT and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            self._keep(batch)
            for _ in batch:
                self._waiting.task_done()

    def _keep(self, batch: Sequence[Exposure]) -> None:
        """All of them; where one cannot be written, the others alone."""
        try:
            self._write([one.row() for one in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, StoreError):
                for one in batch:
                    self._keep([one])
                return
            LOG.exception("%d exposures are lost", len(batch))
            self.on_lost(len(batch))

    def _write(self, rows: list[dict[str, Any]]) -> None:
        """Until the store answers, or the service ends."""
        while True:
            try:
                with self.store.engines.explained(), self.store.engines.write.begin() as connection:
                    kept = _without_deleted(connection, rows)
                    if kept:
                        connection.execute(_INSERT[connection.dialect.name], kept)
                return
            except StoreError:
                if self._closing.is_set():
                    raise
                self._closing.wait(_RETRY_SECONDS)  # closing ends the wait, and there is one more try


def _without_deleted(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Exposures of users who were not deleted after them, while they waited."""
    hashes = {user: hash_of(user) for user in {row["user_id"] for row in rows}}
    chosen = select(forgotten_users).where(forgotten_users.c.user_hash.in_(list(hashes.values())))
    deleted = {one.user_hash: one.forgotten_at for one in connection.execute(chosen)}
    return [row for row in rows if deleted.get(hashes[row["user_id"]], -1) < row["timestamp"]]


def prune(store: EventStore, before: int) -> int:
    """Delete what was shown before a moment, milliseconds since 1970.

    Returns:
        how many exposures were deleted.
    """
    with store.engines.explained(), store.engines.write.begin() as connection:
        return connection.execute(delete(exposures).where(exposures.c.timestamp < before)).rowcount


def count(store: EventStore) -> int:
    """How many exposures there are."""
    found: int = store.engines.reading(lambda c: c.execute(select(func.count()).select_from(exposures)).scalar_one())
    return found
