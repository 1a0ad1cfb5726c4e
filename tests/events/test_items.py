"""The last word on each item, under a number that only grows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import insert

from shortlist.errors import StoreError
from shortlist.events import Event, EventStore
from shortlist.events.engines import Engines
from shortlist.events.schema import MIGRATIONS
from shortlist.events.tables import events


def test_the_last_word_counts_for_everybody(store_url: str) -> None:
    with EventStore(store_url) as one, EventStore(store_url) as other:
        assert one.items.revision() == 0
        first = one.items.put("7", {"title": "Heat", "genres": ["Crime"], "year": 1995.0})
        second = other.items.put("ü/8", None)
        assert [first.revision, second.revision, one.items.revision()] == [1, 2, 2]
        assert other.items.since(0) == one.items.since(0) == [first, second]
        third = one.items.put("7", None)
        assert other.items.since(1) == [second, third]
        assert other.items.since(3) == []
    with EventStore(store_url) as again:
        assert again.items.since(0) == [second, third]


def test_writers_at_once_get_each_their_revision(store_url: str) -> None:
    """And whoever has read up to one has missed none before it."""
    seen: list[int] = []
    with EventStore(store_url) as one, EventStore(store_url) as other, ThreadPoolExecutor(8) as threads:
        work = [threads.submit((one, other)[n % 2].items.put, str(n % 20), {"n": n}) for n in range(60)]
        while not all(one.done() for one in work):
            seen += [change.revision for change in other.items.since(seen[-1] if seen else 0)]
        given = [one.result().revision for one in work]
        assert sorted(given) == list(range(1, 61))
        assert seen == sorted(seen)
        rows = one.items.since(0)
    assert len(rows) == 20
    last = {str(n % 20): revision for revision, n in sorted(zip(given, range(60), strict=True))}
    assert {row.item_id: row.revision for row in rows} == last


def test_a_store_that_is_gone(tmp_path: Path) -> None:
    with EventStore(f"{tmp_path}/events.db") as store:
        store.items.put("7", {})
        for name in ("", "-wal", "-shm"):
            (tmp_path / f"events.db{name}").unlink(missing_ok=True)
        with pytest.raises(StoreError, match="is gone"):
            store.items.put("8", {})
        with pytest.raises(StoreError, match="is gone"):
            store.items.revision()


def test_an_older_store_is_brought_up_to_date(store_url: str) -> None:
    engines = Engines(store_url)
    engines.create_file()
    with engines.write.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(insert(events).values(vars(Event.of("ann", 7, "like"))))
    engines.close()
    with EventStore(store_url) as store:
        assert store.count() == 1
        assert store.items.put("7", {}).revision == 1
