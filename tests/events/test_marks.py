"""Equal marks, equal events; and never a wait."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import numpy as np

from shortlist.events import Event, EventStore
from shortlist.events.marks import MOST_EVENTS, Mark
from tests.postgres import Postgres

USERS = ("ann", "bob", "é ü")


def test_nobody(tmp_path: Path) -> None:
    with EventStore(f"{tmp_path}/events.db") as store:
        assert store.mark("ann") == store.of_user("ann").mark == Mark(0, 0, False)


def test_a_mark_is_that_of_the_events_whatever_happens_to_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    met: dict[tuple[str, Mark], list[object]] = {}
    with EventStore(f"{tmp_path}/events.db") as store, EventStore(f"{tmp_path}/events.db") as other:
        for step in range(300):
            one, user = (store, other)[step % 2], USERS[rng.integers(3)]
            kind = rng.choice(["add", "again", "delete", "prune"], p=[0.7, 0.15, 0.1, 0.05])
            moment = int(rng.integers(1_000))
            if kind in ("add", "again"):
                name = f"{step}" if kind == "add" else f"{rng.integers(step + 1)}"
                one.add([Event(user, str(rng.integers(9)), "like", moment, name)])
            elif kind == "delete":
                one.delete_user(user)
            else:
                one.prune(moment // 4)
            for each in USERS:
                events = store.of_user(each)
                assert store.mark(each) == other.mark(each) == events.mark
                assert met.setdefault((each, events.mark), [*events.events]) == events.events
    assert len(met) > 150


def test_who_has_many_events_has_no_mark(tmp_path: Path) -> None:
    with EventStore(f"{tmp_path}/events.db") as store:
        store.add([Event.of("ann", number, "like") for number in range(MOST_EVENTS)])
        assert store.mark("ann") == Mark(MOST_EVENTS, MOST_EVENTS, False)
        store.add([Event.of("ann", "one more", "like")])
        assert store.mark("ann") is None


def test_a_file_that_is_gone_or_another(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    with EventStore(str(file)) as store:
        store.add([Event.of("ann", 1, "like")])
        assert store.mark("ann") == Mark(1, 1, False)
        file.rename(tmp_path / "old.db")
        assert store.mark("ann") is None
        assert not file.exists(), "it is not made anew"
        with EventStore(str(file)) as other:
            other.add([Event.of("bob", 1, "like")])
            assert store.mark("ann") == Mark(0, 0, False)
            assert store.mark("bob") == Mark(1, 1, False)


def test_a_writer_is_not_waited_for(tmp_path: Path) -> None:
    with EventStore(f"{tmp_path}/events.db") as store:
        store.add([Event.of("ann", 1, "like")])
        writer = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
        writer.execute("begin immediate")
        writer.execute("delete from events")
        began = time.perf_counter()
        assert store.mark("ann") == Mark(1, 1, False), "not committed"
        assert time.perf_counter() - began < 1
        writer.execute("commit")
        assert store.mark("ann") == Mark(0, 0, False)
        writer.close()


def test_threads_may_ask_and_one_of_them_is_told(tmp_path: Path) -> None:
    with EventStore(f"{tmp_path}/events.db") as store:
        store.add([Event.of("ann", 1, "like")])
        found: list[Mark | None] = []
        threads = [
            threading.Thread(target=lambda: found.extend(store.mark("ann") for _ in range(200))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(found) <= {None, Mark(1, 1, False)}
        assert Mark(1, 1, False) in found


def test_postgresql_has_none(postgres: Postgres) -> None:
    with EventStore(postgres.new_database("marks")) as store:
        store.add([Event.of("ann", 1, "like")])
        assert store.mark("ann") is None
