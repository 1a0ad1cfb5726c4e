"""What is acknowledged is there, once, in the order it happened; on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from shortlist.errors import StoreError
from shortlist.events import Event, EventStore
from shortlist.events.tables import metadata
from tests.postgres import Postgres

DAY = 86_400_000


@pytest.fixture
def store(store_url: str) -> Iterator[EventStore]:
    with EventStore(store_url) as store:
        yield store


def at(moment: int, item: str, word: str = "like", user: str = "ann") -> Event:
    return Event(user, item, word, moment, f"{user}-{item}-{word}-{moment}")


def items(store: EventStore, user: str = "ann", **options: object) -> list[str]:
    return [one.item_id for one in store.of_user(user, **options).events]  # type: ignore[arg-type]


def test_kept_and_read_again(store_url: str) -> None:
    with EventStore(store_url) as store:
        assert not store.add([]).new
        store.add([Event.of("ann", 7, "rate", 1_000, 4.5, "é"), Event.of("bob", "x y", "view")])
    with EventStore(store_url) as store:
        (one,) = store.of_user("ann").events
        assert (one.item_id, one.event, one.timestamp, one.value) == ("7", "rate", 1_000_000, 4.5)
        assert items(store, "bob") == ["x y"]
        assert store.of_user("nobody").events == []


def test_a_repeated_id_counts_once(store: EventStore) -> None:
    first = Event("ann", "1", "like", 5, "e")
    assert store.add([first, Event("ann", "2", "like", 6, "e")]).repeated == 1
    assert store.add([Event("eve", "3", "hide", 7, "e"), Event("eve", "4", "hide", 7, "f")]).new == {"f"}
    assert items(store) == ["1"], "the first that came"
    assert items(store, "eve") == ["4"]


def test_ordered_by_when_it_happened_then_by_arrival(store: EventStore) -> None:
    store.add([at(30, "c")])
    store.add([at(10, "late"), at(20, "b")])
    store.add([at(20, "same moment, later")])
    store.add([at(40, "z"), at(40, "a")])
    assert items(store) == ["late", "b", "same moment, later", "c", "z", "a"]


def test_a_bounded_read_keeps_what_lasts(store: EventStore) -> None:
    store.add([at(1, "bad", "hide"), at(2, "old"), at(3, "good", "dislike"), at(3, "last"), at(4, "new")])
    assert items(store, limit=2) == ["last", "new"]
    assert items(store, limit=2, lasting=("hide", "dislike")) == ["bad", "good", "last", "new"]
    assert items(store, limit=5, lasting=("hide",)) == ["bad", "old", "good", "last", "new"]


def test_the_latest_are_those_that_arrived_last(store: EventStore) -> None:
    assert store.latest(5) == []
    store.add([at(3 * DAY, "a"), at(2 * DAY, "b", user="bob")])
    store.add([Event("ann", "c", "rate", DAY, "late", 4.5)])
    found = store.latest(2)
    assert [(one.user_id, one.item_id, one.event, one.timestamp, one.value) for one in found] == [
        ("ann", "c", "rate", DAY, 4.5),
        ("bob", "b", "like", 2 * DAY, None),
    ]
    assert found[0].sequence > found[1].sequence
    store.delete_user("bob")
    assert [one.item_id for one in store.latest(5)] == ["c", "a"]


def test_a_deleted_user_leaves_nothing(store: EventStore) -> None:
    store.add([at(1, "a"), at(2, "b"), at(1, "a", user="bob")])
    assert store.delete_user("ann") == 2
    assert store.delete_user("ann") == 0
    assert store.of_user("ann").events == []
    assert store.of_user("ann").forgotten
    assert items(store, "bob") == ["a"]
    with store.engines.read.connect() as connection:
        kept = [row for table in metadata.sorted_tables for row in connection.execute(table.select())]
    assert not any("ann" in map(str, row) for row in kept), "who was forgotten is kept as a hash alone"
    store.add([at(5, "c")])
    again = store.of_user("ann")
    assert [one.item_id for one in again.events] == ["c"]
    assert again.forgotten, "what an artifact says of them still does not count"


def test_old_events_are_pruned(store: EventStore) -> None:
    assert store.prune(100) == 0
    store.add([at(day * DAY, f"{day}") for day in range(10)])
    assert store.prune(4 * DAY) == 4
    assert items(store) == [str(day) for day in range(4, 10)]
    assert store.count() == 6


def test_one_that_cannot_be_written_does_not_harm_the_others(store: EventStore) -> None:
    """The database refuses it, whatever was checked before; what waited beside it is kept."""
    broken = Event("ann", "1", "like", 2**70, "broken")
    gate = threading.Event()
    store.on_commit(lambda rows, seconds: gate.wait(5) and None)
    first = store.submit([at(1, "first")])
    together = [store.submit([one]) for one in (at(2, "a"), broken, at(3, "b"))]
    gate.set()
    assert first.result(10).new
    assert together[0].result(10).new
    assert together[2].result(10).new
    with pytest.raises(Exception, match=r"too large|out of range"):
        together[1].result(10)
    assert items(store) == ["first", "a", "b"]


def test_many_threads_are_committed_together(store: EventStore) -> None:
    commits: list[int] = []
    store.on_commit(lambda rows, seconds: commits.append(rows))
    with ThreadPoolExecutor(16) as pool:
        kept = list(pool.map(lambda n: store.add([at(n, str(n))]), range(200)))
    assert all(len(one.new) == 1 for one in kept)
    assert sum(commits) == 200
    assert len(commits) < 150, "one commit for several"
    assert store.count() == 200


def test_closing_writes_what_waits(store_url: str) -> None:
    with EventStore(store_url) as store:
        promises = [store.submit([at(n, str(n))]) for n in range(50)]
    assert all(one.done() and one.result().new for one in promises)
    with pytest.raises(StoreError, match="is closing"):
        store.submit([at(1, "late")])
    with EventStore(store_url) as store:
        assert store.count() == 50


def test_what_nobody_waits_for_any_more_is_left_out(store: EventStore) -> None:
    gate = threading.Event()
    store.on_commit(lambda rows, seconds: gate.wait(5) and None)
    first, second, third = (store.submit([at(n, str(n))]) for n in range(3))
    cancelled = second.cancel()
    gate.set()
    assert first.result(10).new
    assert third.result(10).new
    assert cancelled == (items(store) == ["0", "2"])


def test_stores_opened_together_are_migrated_once(store_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: EventStore(store_url), range(4)))
    assert sum(len(one.add([at(1, "a")]).new) for one in stores) == 1
    for one in stores:
        one.close()


def test_migrations_make_what_the_tables_say(store: EventStore) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.engines.read.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_a_newer_store_is_left_alone(store_url: str) -> None:
    with EventStore(store_url) as store, store.engines.write.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StoreError, match=r"has version 9999; .* Upgrade it"):
        EventStore(store_url)


def test_durable_before_it_is_acknowledged(store: EventStore) -> None:
    """What the promise rests on: every connection that writes waits for the disk."""
    with store.engines.write.connect() as connection:
        if connection.dialect.name == "sqlite":
            found = [connection.exec_driver_sql(f"pragma {name}").scalar() for name in ("journal_mode", "synchronous")]
            assert found == ["wal", 2]
        else:
            assert connection.execute(text("show synchronous_commit")).scalar() == "on"


def test_a_file_that_disappears_is_not_made_anew(tmp_path: Path) -> None:
    """What went on into a file without a name would be lost without a word."""
    file = tmp_path / "events.db"
    with EventStore(str(file)) as store:
        store.add([at(1, "a")])
        away = tmp_path / "away"
        away.mkdir()
        for one in tmp_path.glob("events.db*"):
            one.rename(away / one.name)
        with pytest.raises(StoreError, match="is gone"):
            store.add([at(2, "b")])
        with pytest.raises(StoreError, match="is gone"):
            store.of_user("ann")
        assert not file.exists()
        for one in away.iterdir():
            one.rename(tmp_path / one.name)
        store.add([at(3, "c")])
        assert items(store) == ["a", "c"]


def test_a_database_that_falls_over_and_comes_back(postgres: Postgres) -> None:
    with EventStore(postgres.new_database("falls")) as store:
        store.add([at(1, "a")])
        assert items(store) == ["a"]
        postgres.stop()
        try:
            with pytest.raises(StoreError, match="does not answer"):
                store.add([at(2, "b")])
            with pytest.raises(StoreError, match="does not answer"):
                store.check()
        finally:
            postgres.start()
        assert items(store) == ["a"], "the first question after it came back is answered"
        store.add([at(3, "c")])
        assert items(store) == ["a", "c"]


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d", "http://x", "postgresql:/x://"]
)
def test_other_addresses_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(StoreError, match="expected sqlite:///FILE") as caught:
        EventStore(url)
    assert "secret" not in str(caught.value)


def test_passwords_are_not_shown() -> None:
    with pytest.raises(StoreError) as caught:
        EventStore("postgresql://ann:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)
    assert "ann:***@127.0.0.1" in str(caught.value)
