from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.errors import ArtifactError, DataError
from shortlist.retrieval import AnnIndex, Candidates, ExactIndex
from shortlist.retrieval.clusters import Clusters
from shortlist.retrieval.effort import Effort
from shortlist.retrieval.live import LiveIndex

Vectors = NDArray[np.float32]
DIM = 3
OPERATIONS = ["add", "change", "remove", "compact", "reload"]


def base_of(vectors: Vectors, kind: str) -> ExactIndex | AnnIndex:
    if kind == "exact":
        return ExactIndex(vectors)
    everything = Effort(1_000_000, by_cost=False)  # all clusters: exact, by the other road
    return AnnIndex(vectors, Clusters.build(vectors, 4), everything)


def check(live: LiveIndex, truth: dict[int, Vectors], rng: np.random.Generator) -> None:
    """Against scoring what is there, under seen lists, allow lists and conditions, made for the corpus as it is and as it was."""
    size, num_queries = len(live), 4
    vectors = np.zeros((size, DIM), np.float32)
    alive = np.zeros(size, bool)
    for item, vector in truth.items():
        vectors[item], alive[item] = vector, True
    queries = rng.integers(-2, 3, (num_queries, DIM)).astype(np.float32)
    some = Ragged.from_rows([rng.integers(0, size, rng.integers(0, size)) for _ in range(num_queries)])
    known = int(rng.integers(1, size + 1))
    conditions = Candidates.shared(rng.random((2, known)) < 0.6, rng.integers(0, 2, num_queries))
    early = np.zeros((num_queries, size), bool)
    early[:, :known] = conditions.mask(known)
    for candidates, mask in (
        (Candidates(some), Candidates(some).mask(size)),
        (Candidates.only(some), Candidates.only(some).mask(size)),
        (conditions, early),
    ):
        k = int(rng.integers(1, size + 2))
        for row, found in enumerate(live.search(queries, k, candidates)):
            scores = vectors @ queries[row]
            allowed = np.flatnonzero(mask[row] & alive)
            expected = allowed[np.lexsort((allowed, -scores[allowed]))][:k]
            assert found.score.tolist() == scores[expected].tolist()
            assert found.score.tolist() == scores[found.item_idx].tolist()
            assert len(set(found.item_idx.tolist())) == len(found)
            assert (mask[row] & alive)[found.item_idx].all()
            if isinstance(live.state.base, ExactIndex):  # clusters may keep any of those that tie with the last
                assert found.item_idx.tolist() == expected.tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000), st.lists(st.sampled_from(OPERATIONS), max_size=10), st.sampled_from(["exact", "ann"]))
def test_any_sequence_of_writes_equals_the_naive_answer(
    tmp_path_factory: pytest.TempPathFactory, seed: int, operations: list[str], kind: str
) -> None:
    rng = np.random.default_rng(seed)

    def some_vectors(n: int) -> Vectors:
        return rng.integers(-2, 3, (n, DIM)).astype(np.float32)

    first = some_vectors(int(rng.integers(1, 30)))
    live = LiveIndex(base_of(first, kind), lambda vectors: base_of(vectors, kind), compact_at=int(rng.integers(5, 40)))
    truth = dict(enumerate(first))
    for operation in operations:
        items = rng.permutation(len(live))[: rng.integers(0, 5)]
        if operation == "add":
            vectors = some_vectors(len(items))
            truth |= dict(zip(live.add(vectors).tolist(), vectors, strict=True))
        elif operation == "change":
            vectors = some_vectors(len(items))
            live.change(items, vectors)
            truth |= dict(zip(items.tolist(), vectors, strict=True))
        elif operation == "remove":
            live.remove(items)
            for item in items.tolist():
                truth.pop(item, None)
        elif operation == "compact":
            live.compact().result()
        else:
            folder = tmp_path_factory.getbasetemp() / "live"
            live.save(folder)
            live.close()
            live = LiveIndex.load(folder, lambda vectors: base_of(vectors, kind), compact_at=live.compact_at)
        check(live, truth, rng)
    live.close()


def test_what_was_hidden_everywhere_is_filled_up() -> None:
    """All of the best are removed: neither the few more that are asked for nor the delta have enough."""
    vectors = np.arange(1, 101, dtype=np.float32)[:, None] * np.ones((1, DIM), np.float32)
    live = LiveIndex(ExactIndex(vectors))
    live.remove(np.arange(20, 100))
    everything = Candidates(Ragged.empty(1))
    assert live.search(np.ones((1, DIM), np.float32), 5, everything)[0].item_idx.tolist() == [19, 18, 17, 16, 15]
    assert len(live.search(np.ones((1, DIM), np.float32), 50, everything)[0]) == 20


def test_a_state_that_was_seen_stays_as_it_was() -> None:
    live = LiveIndex(ExactIndex(np.eye(DIM, dtype=np.float32)))
    live.add(np.full((2, DIM), 2, np.float32))
    before, query, everything = live.state, np.ones((1, DIM), np.float32), Candidates(Ragged.empty(1))
    expected = before.search(query, 10, everything)[0].item_idx.tolist()
    live.change(np.array([3]), np.full((1, DIM), -1, np.float32))
    live.remove(np.array([0, 4]))
    live.add(np.full((3000, DIM), 9, np.float32))
    live.compact().result()
    assert before.search(query, 10, everything)[0].item_idx.tolist() == expected == [3, 4, 0, 1, 2]
    assert live.search(query, 1, everything)[0].item_idx.tolist() == [5]


def test_searches_while_items_come_and_go() -> None:
    """Item i has the vector (i, 1), odd ones are removed right after they came in pairs: whatever is seen must be one moment."""
    rng = np.random.default_rng(0)
    base = np.stack([np.arange(500), np.ones(500)], axis=1).astype(np.float32)
    live = LiveIndex(ExactIndex(base), compact_at=150)
    done, seen_sizes = threading.Event(), []

    def write() -> None:
        for _ in range(150):
            start = len(live)
            numbers = np.arange(start, start + int(rng.integers(1, 8)))
            added = live.add(np.stack([numbers, np.ones(len(numbers))], axis=1).astype(np.float32))
            assert added.tolist() == numbers.tolist()
            live.remove(added[added % 2 == 1])
            newest = live.search(np.array([[1, 0]], np.float32), 1, Candidates(Ragged.empty(1)))[0]
            assert newest.item_idx[0] == numbers[numbers % 2 == 0][-1] if (numbers % 2 == 0).any() else True
        done.set()

    def read() -> int:
        count = 0
        while not done.is_set() or count < 3:
            found = live.search(np.array([[1, 0], [-1, 0]], np.float32), 40, Candidates(Ragged.empty(2)))
            for one, sign in zip(found, (1, -1), strict=True):
                assert len(one) == 40
                assert one.score.tolist() == [sign * float(item) for item in one.item_idx]
                assert (np.diff(one.score) < 0).all()
            seen_sizes.append(int(found[0].item_idx[0]))
            odd = found[0].item_idx[found[0].item_idx % 2 == 1]
            # of one write at most are odd items to be seen: those before were removed
            assert not len(odd[odd >= 500]) or odd[odd >= 500].min() >= found[0].item_idx[0] - 8
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(write), *(pool.submit(read) for _ in range(3))]
        assert all(future.result(timeout=60) != 0 for future in futures)
    live.compact().result()
    live.close()
    assert max(seen_sizes) > 500
    assert len(live.state.items) == 0


def test_readers_do_not_wait_for_compaction() -> None:
    building, go_on = threading.Event(), threading.Event()

    def slow(vectors: Vectors) -> ExactIndex:
        building.set()
        assert go_on.wait(30)
        return ExactIndex(vectors)

    live = LiveIndex(ExactIndex(np.eye(DIM, dtype=np.float32)), slow)
    everything, query = Candidates(Ragged.empty(1)), np.array([[1, 2, 3]], np.float32)
    live.add(np.array([[0, 0, 9]], np.float32))
    compaction = live.compact()
    assert building.wait(30)
    assert live.search(query, 2, everything)[0].item_idx.tolist() == [3, 2]
    added = live.add(np.array([[9, 9, 9]], np.float32))  # and so do not writers
    live.change(np.array([3]), np.array([[0, 0, 1]], np.float32))
    live.remove(np.array([2]))
    expected = [*added.tolist(), 3, 1, 0]
    assert live.search(query, 9, everything)[0].item_idx.tolist() == expected
    go_on.set()
    compaction.result(timeout=30)
    assert live.search(query, 9, everything)[0].item_idx.tolist() == expected
    assert len(live.state.base) == 4


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    live = LiveIndex(ExactIndex(np.eye(DIM, dtype=np.float32)))
    with pytest.raises(DataError, match=r"finite numbers of shape \[n, 3\], got \[1, 2\]"):
        live.add(np.ones((1, 2), np.float32))
    with pytest.raises(DataError, match="finite"):
        live.add(np.array([[1, 2, np.nan]], np.float32))
    with pytest.raises(DataError, match=r"indices from 0 to 2, got \[3\].*`add`"):
        live.change(np.array([3]), np.ones((1, DIM), np.float32))
    with pytest.raises(DataError, match="different indices"):
        live.remove(np.array([1, 1]))
    with pytest.raises(DataError, match="a vector for each of 2 items, got 1"):
        live.change(np.array([0, 1]), np.ones((1, DIM), np.float32))
    with pytest.raises(ArtifactError, match="cannot be read"):
        LiveIndex.load(tmp_path / "nowhere")


def test_a_snapshot_replaces_the_one_before_and_leaves_no_rest(tmp_path: Path) -> None:
    live = LiveIndex(base_of(np.eye(DIM, dtype=np.float32), "ann"))
    live.save(tmp_path / "live")
    live.add(np.ones((4, DIM), np.float32))
    live.save(tmp_path / "live")
    assert [one.name for one in tmp_path.iterdir()] == ["live"]
    assert json.loads((tmp_path / "live" / "config.json").read_text())["num_items"] == 7
    again = LiveIndex.load(tmp_path / "live")
    assert isinstance(again.state.base, AnnIndex)
    assert again.add(np.ones((1, DIM), np.float32)).tolist() == [7]
    again.compact().result()
    assert isinstance(again.state.base, AnnIndex)
    assert len(again.state.base) == 8


def test_a_write_is_found_at_once() -> None:
    live = LiveIndex(ExactIndex(np.zeros((1000, DIM), np.float32)))
    for number in range(200):
        item = int(live.add(np.full((1, DIM), number + 1, np.float32))[0])
        found = live.search(np.ones((1, DIM), np.float32), 1, Candidates(Ragged.empty(1)))[0]
        assert found.item_idx.tolist() == [item]
