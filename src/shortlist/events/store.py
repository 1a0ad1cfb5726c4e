"""The event store: what people did while being served, durable before it is acknowledged, read again for every answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, null, or_, select, union_all

from shortlist.errors import StoreError
from shortlist.events.engines import Engines
from shortlist.events.event import Event
from shortlist.events.items import ItemStore
from shortlist.events.marks import Mark, Marks, hash_of
from shortlist.events.schema import migrate
from shortlist.events.tables import events, exposures, forgotten_users
from shortlist.events.writer import GroupWriter, Kept

_ROWS_AT_ONCE = 10_000


class Happened(NamedTuple):
    """One event of one user, as read."""

    sequence: int
    item_id: str
    event: str
    timestamp: int
    value: float | None


class Arrived(NamedTuple):
    """One event of anybody."""

    sequence: int
    user_id: str
    item_id: str
    event: str
    timestamp: int
    value: float | None


@dataclass(frozen=True)
class UserEvents:
    """What the store knows of a user.

    Args:
        events: oldest first, by when they happened; late arrivals stand where they belong.
        forgotten: whether the user was deleted here: what an artifact says of them no longer counts.
    """

    events: Sequence[Happened] = ()
    forgotten: bool = False

    @property
    def mark(self) -> Mark:
        """What ``EventStore.mark`` says as long as these are the user's events."""
        return Mark(len(self.events), max((one.sequence for one in self.events), default=0), self.forgotten)


class EventStore:
    """Events of all users, in SQLite or PostgreSQL, and ``items`` that changed. Any number of processes may open the same one.

    Args:
        url: ``sqlite:///events.db``, ``postgresql://user:password@host/name``, or the path of an SQLite file. Tables are
            made or brought up to date.
        create: whether an SQLite file that is not there is made.

    Raises:
        StoreError: it cannot be opened; from every method, too: it is gone, and nothing was acknowledged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, EventStore(f"{folder}/events.db") as store:
    ...     kept = store.add([Event.of("ann", 7, "like"), Event.of("ann", 8, "hide", event_id="once")])
    ...     again = store.add([Event.of("ann", 8, "hide", event_id="once")])
    ...     len(kept.new), again.repeated, [(one.item_id, one.event) for one in store.of_user("ann").events]
    (2, 1, [('7', 'like'), ('8', 'hide')])
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self.engines = Engines(url)
        try:
            if create:
                self.engines.create_file()
            migrate(self.engines)
        except BaseException:
            self.engines.close()
            raise
        self.items = ItemStore(self.engines)
        self._marks, self._writer = Marks(self.engines), GroupWriter(self.engines)

    def __enter__(self) -> EventStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what waits, and give the connections back."""
        self._writer.close()
        self._marks.close()
        self.engines.close()

    def on_commit(self, call: Callable[[int, float], None]) -> None:
        """After each commit call this with how many rows it had and how many seconds it took."""
        self._writer.on_commit = call

    def submit(self, new: Sequence[Event]) -> Future[Kept]:
        """Events → a promise, kept when they are durable; what several threads bring is committed together."""
        return self._writer.submit(new)

    def add(self, new: Sequence[Event]) -> Kept:
        """Keep events; returns when they are durable. All of them, or none."""
        return self.submit(new).result()

    def of_user(self, user_id: str, limit: int = 10_000, lasting: Sequence[str] = ()) -> UserEvents:
        """A user's most recent events, in one indexed query.

        Args:
            user_id: as text.
            limit: most events that are read.
            lasting: words that count for ever, such as ``dislike``: where a user has more events than ``limit``, as many of
                these are read from before.
        """

        def read(connection: Connection) -> UserEvents:
            values = {"user": user_id, "hash": hash_of(user_id), "limit": limit}
            rows = connection.execute(_OF_USER, values).all()
            forgotten = any(row[0] is None for row in rows)
            found = [Happened(*row) for row in rows if row[0] is not None]
            found.sort(key=lambda one: (one.timestamp, one.sequence))
            if lasting and len(found) == limit:
                before = {"timestamp": found[0].timestamp, "sequence": found[0].sequence, "lasting": list(lasting)}
                older = [Happened(*row) for row in connection.execute(_LASTING, {**values, **before})]
                found = older[::-1] + found
            return UserEvents(found, forgotten)

        result: UserEvents = self.engines.reading(read)
        return result

    def mark(self, user_id: str) -> Mark | None:
        """Whether a user's events changed, without reading them: equal marks, equal events.

        It never waits; None: it would have to (PostgreSQL, a file that is gone), or the user has more than 200 events.
        """
        return self._marks.of(user_id)

    def latest(self, limit: int) -> list[Arrived]:
        """The events that arrived last, newest first."""
        found: list[Arrived] = self.engines.reading(
            lambda connection: [Arrived(*row) for row in connection.execute(_LATEST, {"limit": limit})]
        )
        return found

    def delete_user(self, user_id: str) -> int:
        """Delete all events of a user and what experiments showed them.

        It is remembered (as a hash) that what an artifact says of them no longer counts.

        Returns:
            how many events were deleted.
        """
        with self.engines.explained(), self.engines.write.begin() as connection:
            connection.execute(delete(forgotten_users).where(forgotten_users.c.user_hash == hash_of(user_id)))
            connection.execute(insert(forgotten_users).values(user_hash=hash_of(user_id), forgotten_at=_now()))
            connection.execute(delete(exposures).where(exposures.c.user_id == user_id))
            return connection.execute(delete(events).where(events.c.user_id == user_id)).rowcount

    def prune(self, before: int) -> int:
        """Delete what happened before a moment; in steps, so that writers wait for none of them long.

        Args:
            before: milliseconds since 1970.

        Returns:
            how many events were deleted.
        """
        with self.engines.explained(), self.engines.read.connect() as connection:
            first, last = connection.execute(select(func.min(events.c.sequence), func.max(events.c.sequence))).one()
        deleted = 0
        for start in range(first or 0, (last or -1) + 1, _ROWS_AT_ONCE):
            span = events.c.sequence.between(start, start + _ROWS_AT_ONCE - 1)
            with self.engines.explained(), self.engines.write.begin() as connection:
                deleted += connection.execute(delete(events).where(span, events.c.timestamp < before)).rowcount
        return deleted

    def count(self) -> int:
        """How many events there are."""
        found: int = self.engines.reading(lambda c: c.execute(select(func.count()).select_from(events)).scalar_one())
        return found

    def check(self) -> None:
        """Ask for one row, and whether events can be handed over.

        Raises:
            StoreError: it does not answer.
        """
        if not self._writer.is_alive:
            raise StoreError("The thread that writes events has ended; restart the service.")
        self.engines.reading(lambda connection: connection.execute(select(events.c.sequence).limit(1)).first())


def _now() -> int:
    return time.time_ns() // 1_000_000


_COLUMNS = (events.c.sequence, events.c.item_id, events.c.event, events.c.timestamp, events.c.value)
_LATEST = (
    select(events.c.sequence, events.c.user_id, *_COLUMNS[1:])
    .order_by(events.c.sequence.desc())
    .limit(bindparam("limit"))
)
_NEWEST_FIRST = (events.c.timestamp.desc(), events.c.sequence.desc())
_MINE = events.c.user_id == bindparam("user")
# a row without a number says that the user was forgotten
_OF_USER = union_all(
    select(select(*_COLUMNS).where(_MINE).order_by(*_NEWEST_FIRST).limit(bindparam("limit")).subquery()),
    select(null(), null(), null(), null(), null()).where(
        select(forgotten_users.c.user_hash).where(forgotten_users.c.user_hash == bindparam("hash")).exists()
    ),
)
_LASTING = (
    select(*_COLUMNS)
    .where(
        _MINE,
        events.c.event.in_(bindparam("lasting", expanding=True)),
        or_(
            events.c.timestamp < bindparam("timestamp"),
            and_(events.c.timestamp == bindparam("timestamp"), events.c.sequence < bindparam("sequence")),
        ),
    )
    .order_by(*_NEWEST_FIRST)
    .limit(bindparam("limit"))
)
