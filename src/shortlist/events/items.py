"""Items as they were put or deleted while serving: the last word on each, under a number that only grows."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal, select, text
from sqlalchemy.dialects import postgresql, sqlite

from shortlist.events.engines import Engines
from shortlist.events.tables import items

_LOCK = (
    0x53484F524954  # of PostgreSQL's advisory locks: one writer at a time, so that revisions are seen in their order
)


@dataclass(frozen=True)
class ItemChange:
    """What was last said of an item.

    Args:
        item_id: as text.
        columns: by name, plain values of JSON; None: the item was deleted.
        changed_at: milliseconds since 1970.
        revision: greater than that of every earlier change of any item.
    """

    item_id: str
    columns: Mapping[str, Any] | None
    changed_at: int
    revision: int


class ItemStore:
    """The table of items; ``EventStore.items``.

    Revisions are given one after the other and become visible in that order: whoever has read up to one has missed none
    before it.

    Args:
        engines: where it is.

    >>> import tempfile
    >>> from shortlist.events import EventStore
    >>> with tempfile.TemporaryDirectory() as folder, EventStore(f"{folder}/events.db") as store:
    ...     put, gone = store.items.put("7", {"title": "Heat"}), store.items.put("8", None)
    ...     again = store.items.put("7", {"title": "Heat (1995)"})
    ...     [(one.item_id, one.columns) for one in store.items.since(put.revision)], store.items.revision()
    ([('8', None), ('7', {'title': 'Heat (1995)'})], 3)
    """

    def __init__(self, engines: Engines) -> None:
        self.engines = engines

    def put(self, item_id: str, columns: Mapping[str, Any] | None) -> ItemChange:
        """Keep the last word on an item; returns when it is durable.

        Args:
            item_id: as text.
            columns: by name; None: it is deleted.

        Raises:
            StoreError: the store does not answer; nothing was kept.
        """
        now = time.time_ns() // 1_000_000
        values = {
            "item": item_id,
            "document": None if columns is None else json.dumps(columns),
            "changed_at": now,
        }
        with self.engines.explained(), self.engines.write.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            revision = connection.execute(_PUT[connection.dialect.name], values).scalar_one()
        return ItemChange(item_id, columns, now, revision)

    def revision(self) -> int:
        """Of the newest change; 0: there is none."""
        found: int = self.engines.reading(lambda connection: connection.execute(_NEWEST).scalar_one())
        return found

    def since(self, revision: int) -> list[ItemChange]:
        """Items that changed after a revision, in the order of their last change."""

        def read(connection: Connection) -> list[ItemChange]:
            rows = connection.execute(_SINCE, {"last": revision}).all()
            return [ItemChange(name, None if said is None else json.loads(said), at, no) for name, said, at, no in rows]

        found: list[ItemChange] = self.engines.reading(read)
        return found


_NEWEST = select(func.coalesce(func.max(items.c.revision), 0))
_SINCE = (
    select(items.c.item_id, items.c.document, items.c.changed_at, items.c.revision)
    .where(items.c.revision > bindparam("last"))
    .order_by(items.c.revision)
)


def _put(insert: Any) -> Any:
    """One statement, which takes the next revision and uses it: SQLite lets nobody else write meanwhile."""
    following = select(func.coalesce(func.max(items.c.revision), 0) + literal(1)).scalar_subquery()
    new = insert(items).values(
        item_id=bindparam("item"),
        document=bindparam("document"),
        changed_at=bindparam("changed_at"),
        revision=following,
    )
    replaced = {name: new.excluded[name] for name in ("document", "changed_at", "revision")}
    return new.on_conflict_do_update(index_elements=["item_id"], set_=replaced).returning(items.c.revision)


_PUT = {"sqlite": _put(sqlite.insert), "postgresql": _put(postgresql.insert)}
