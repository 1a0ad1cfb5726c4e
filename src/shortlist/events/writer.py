"""Group commit: one thread writes what many requests bring, and answers each after the commit that holds it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from shortlist.errors import StoreError
from shortlist.events.engines import Engines
from shortlist.events.event import Event
from shortlist.events.tables import events

_ROWS_A_COMMIT = 5_000
_WAITING = 2_000  # requests; more would wait longer than their clients do
_CLOSING = "The event store is closing; send the events again."
_INSERT: dict[str, Any] = {
    name: dialect.insert(events).on_conflict_do_nothing(index_elements=["event_id"]).returning(events.c.event_id)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


@dataclass(frozen=True)
class Kept:
    """What came of some events: all are durable.

    Args:
        new: their ids that were not there before.
        repeated: how many were, or came twice.
    """

    new: frozenset[str]
    repeated: int


@dataclass(frozen=True)
class _Work:
    events: Sequence[Event]
    done: Future[Kept]


class GroupWriter:
    """A thread that commits. While a commit is on its way to disk, what arrives gathers, and is the next one.

    One disk brings some hundred commits a second; by gathering, some thousand requests a second are each durable.

    Args:
        engines: where to.
    """

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self.on_commit: Callable[[int, float], None] = lambda *_: None
        self._waiting: queue.Queue[_Work | None] = queue.Queue(_WAITING)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="shortlist-events", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it writes what it is given."""
        return self._thread.is_alive()

    def submit(self, new: Sequence[Event]) -> Future[Kept]:
        """Events → a promise, kept when they are durable.

        Raises:
            StoreError: too many wait already, or it is closed; of the promise: they were not written.
        """
        work = _Work(new, Future())
        try:
            if self._closed:
                raise StoreError(_CLOSING)
            self._waiting.put_nowait(work)
        except queue.Full:
            raise StoreError("More events arrive than the store can write; send these again in a moment.") from None
        return work.done

    def close(self) -> None:
        """Write what waits, then end."""
        if not self._closed:
            self._closed = True
            self._waiting.put(None)
            self._thread.join()
        while not self._waiting.empty():  # came while it was closing
            late = self._waiting.get_nowait()
            if late is not None:
                late.done.set_exception(StoreError(_CLOSING))

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            works, rows, last = [first], len(first.events), False
            while rows < _ROWS_A_COMMIT and not last:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                last = more is None
                if more is not None:
                    works.append(more)
                    rows += len(more.events)
            self._write(works)
            if last:
                return

    def _write(self, works: list[_Work]) -> None:
        """Nobody waits any more for what was cancelled: it is left out."""
        works = [work for work in works if work.done.running() or work.done.set_running_or_notify_cancel()]
        try:
            kept = self._commit(works)
        except Exception as error:
            if len(works) > 1 and not isinstance(error, StoreError):
                for work in works:  # one of them cannot be written: the others shall not suffer
                    self._write([work])
                return
            for work in works:
                work.done.set_exception(error)
            return
        for work, one in zip(works, kept, strict=True):
            work.done.set_result(one)

    def _commit(self, works: list[_Work]) -> list[Kept]:
        began = time.perf_counter()
        rows: dict[str, dict[str, Any]] = {}
        for work in works:
            for one in work.events:
                rows.setdefault(one.event_id, vars(one))  # the first counts
        new = self._insert(list(rows.values()))
        self.on_commit(len(rows), time.perf_counter() - began)
        kept = []
        for work in works:
            mine = frozenset(one.event_id for one in work.events) & new
            new -= mine
            kept.append(Kept(mine, len(work.events) - len(mine)))
        return kept

    def _insert(self, rows: list[dict[str, Any]]) -> set[str]:
        """Ids that were not there. What was cut off is tried once more: under their ids events count once."""
        if not rows:
            return set()
        for attempt in (1, 2):
            try:
                with self.engines.explained(), self.engines.write.begin() as connection:
                    return set(connection.execute(_INSERT[connection.dialect.name], rows).scalars())
            except StoreError as error:
                if attempt == 2 or not _may_pass(error.__cause__):
                    raise
        raise AssertionError


def _may_pass(cause: BaseException | None) -> bool:
    """A connection lost since it was last used, or two servers that waited for each other."""
    crossed = getattr(getattr(cause, "orig", None), "sqlstate", None) in ("40P01", "40001")
    return crossed or (isinstance(cause, DBAPIError) and cause.connection_invalidated)
