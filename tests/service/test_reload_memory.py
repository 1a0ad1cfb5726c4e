"""What answered before a reload is let go, whatever was asked of it."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from shortlist.events import EventStore
from shortlist.recommender import Recommender
from shortlist.recommender.artifact import load
from shortlist.service.app import create_app

PATHS = [
    "/v1/recommendations/1",
    "/v1/recommendations/1?where=size%20%3E%203",
    "/v1/items?search=item",
    "/v1/tags",
    "/v1/items/100",
    "/v1/items/100/similar",
    "/v1/items/100/audience",
    "/v1/users/1",
    "/v1/map",
    "/v1/map/points",
    "/v1/map/items?id=100",
    "/metrics",
]


def test_an_old_artifact_is_let_go(small_folder: Path, tmp_path: Path) -> None:
    loaded: list[weakref.ref[Recommender]] = []

    def fresh() -> Recommender:
        recommender = load(small_folder)
        loaded.append(weakref.ref(recommender))
        return recommender

    with TestClient(create_app(fresh(), EventStore(f"{tmp_path}/events.db"), load=fresh)) as client:
        for _ in range(3):
            for path in PATHS:
                assert client.get(path).status_code == 200, path
            assert client.post("/v1/map/query", json={"history": [100]}).status_code == 200
            assert client.post("/v1/reload").status_code == 200
        for path in PATHS:
            client.get(path)
        gc.collect()
        assert [one() is not None for one in loaded] == [False, False, False, True]


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux is asked for it")
def test_freed_memory_goes_back() -> None:
    """In a process of its own: many small blocks, freed but for the last, which the C library would keep."""
    code = """
import sys
from pathlib import Path
from shortlist.service.memory import give_back
def held():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line)
blocks = [bytes(1000) for _ in range(100_000)]
last, full = blocks[-1], held()
del blocks
give_back()
print(full - held())
"""
    freed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(freed) > 80_000  # KB of 100 MB


def test_what_stays_is_not_looked_through_and_what_goes_is_let_go() -> None:
    """In a process of its own, since what is settled stays so."""
    code = """
import gc, weakref
from shortlist.service.memory import give_back, settle
class Circle:
    def __init__(self):
        self.me = self
gc.disable()
give_back()
print(gc.get_freeze_count())
old = Circle()
held = weakref.ref(old)
settle()
print(gc.get_freeze_count() > 10_000, len(gc.get_objects()) < 1_000)
del old
give_back()
print(held() is None, gc.get_freeze_count() > 10_000)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["0", "True", "True", "True", "True"]
