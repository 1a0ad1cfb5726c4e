"""Sets of items by shared bitmaps and own exceptions, against sets of Python."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.data.ragged import Ragged
from shortlist.retrieval import BitmapCache, Candidates, ExactIndex, exact
from shortlist.retrieval.filters import ALL, NONE, pack
from shortlist.testing import check_index

Sets = list[set[int]]
QUERIES, MOST_ITEMS = 4, 21


def leaf(rng: np.random.Generator, num_items: int) -> tuple[Candidates, Sets]:
    """Excluded, allowed or shared sets, or any form the type allows; and the same as sets."""
    rows = [rng.integers(0, num_items, rng.integers(0, num_items + 1)).tolist() for _ in range(QUERIES)]
    masks, mask = rng.random((3, num_items)) < rng.random(), rng.integers(0, 3, QUERIES)
    everything = set(range(num_items))
    met = [set(np.flatnonzero(masks[one]).tolist()) for one in mask]
    ragged = Ragged.from_rows(rows)
    choice = rng.integers(0, 4)
    if choice == 0:
        return Candidates(ragged), [everything - set(row) for row in rows]
    if choice == 1:
        return Candidates.only(ragged), [set(row) for row in rows]
    if choice == 2:
        return Candidates.shared(masks, mask), met
    bases = [ALL, NONE, 0, 2]
    mixed = Candidates(ragged, bitmaps=pack(masks), bitmap=np.array(bases))
    chosen = [everything, set(), *(set(np.flatnonzero(masks[one]).tolist()) for one in bases[2:])]
    return mixed, [one ^ set(row) for one, row in zip(chosen, rows, strict=True)]


def tree(rng: np.random.Generator, num_items: int, depth: int) -> tuple[Candidates, Sets]:
    if depth == 0:
        return leaf(rng, num_items)
    (left, a), (right, b) = tree(rng, num_items, depth - 1), tree(rng, num_items, int(rng.integers(0, depth)))
    choice = rng.integers(0, 3)
    if choice == 0:
        return left & right, [one & other for one, other in zip(a, b, strict=True)]
    if choice == 1:
        return left | right, [one | other for one, other in zip(a, b, strict=True)]
    return ~left, [set(range(num_items)) - one for one in a]


def sets_of(candidates: Candidates, num_items: int) -> Sets:
    return [set(np.flatnonzero(row).tolist()) for row in candidates.mask(num_items)]


@given(st.integers(0, 1_000_000), st.integers(1, MOST_ITEMS), st.integers(0, 3))
def test_combined_as_sets_are(seed: int, num_items: int, depth: int) -> None:
    candidates, expected = tree(np.random.default_rng(seed), num_items, depth)
    assert sets_of(candidates, num_items) == expected


@given(st.integers(0, 1_000_000), st.integers(1, MOST_ITEMS), st.integers(0, 2))
def test_parts_and_renumbered_corpora_keep_the_sets(seed: int, num_items: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    candidates, expected = tree(rng, num_items, depth)
    rows = rng.integers(0, QUERIES, 6)
    assert sets_of(candidates.take(rows), num_items) == [expected[row] for row in rows]
    items = np.flatnonzero(rng.random(num_items) < 0.5)
    of_some = sets_of(candidates.among(items), len(items))
    assert [{int(items[place]) for place in one} for one in of_some] == [one & set(items.tolist()) for one in expected]
    other, more = tree(rng, num_items, 1)
    both = Candidates.concatenated([candidates.take(rows), other, candidates])
    assert sets_of(both, num_items) == [*(expected[row] for row in rows), *more, *expected]
    scores = np.zeros((QUERIES, num_items), dtype=np.float32)
    candidates.forbid(scores)
    assert [set(np.flatnonzero(row == 0).tolist()) for row in scores] == expected


@given(
    st.integers(0, 1_000_000),
    st.integers(1, MOST_ITEMS),
    st.integers(1, 25),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.25, 1.0]),
)
def test_search_equals_the_naive_answer_under_any_filter(
    seed: int, num_items: int, k: int, depth: int, few: float
) -> None:
    """Small integers, so that sums are exact: ties by lowest index, min(k, allowed) items, a batch as each alone."""
    rng = np.random.default_rng(seed)
    items = rng.integers(-1, 2, (num_items, 3)).astype(np.float32)
    queries = rng.integers(-1, 2, (QUERIES, 3)).astype(np.float32)
    candidates, expected = tree(rng, num_items, depth)
    index = ExactIndex(items)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_FEW", few)  # all on one road, all on the other, or mixed
        together = index.search(queries, k, candidates)
        check_index(index, items, queries, k, candidates)
        for row, (found, allowed) in enumerate(zip(together, expected, strict=True)):
            scores = queries[row] @ items.T
            assert found.item_idx.tolist() == sorted(allowed, key=lambda i: (-scores[i], i))[:k]
            assert found.score.tolist() == [scores[i] for i in found.item_idx]
            alone = index.search(queries[[row]], k, candidates.take(np.array([row])))[0]
            assert alone.item_idx.tolist() == found.item_idx.tolist()


def test_few_allowed_items_are_scored_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    items, queries = rng.normal(size=(40, 4)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    scored: list[int] = []
    monkeypatch.setattr(exact, "dot", lambda q, v: scored.append(len(v)) or q @ v.T)
    masks = np.stack([np.arange(40) < 8, np.arange(40) < 30])
    seen = Candidates(Ragged.from_rows([[0], [1], [2]]))
    found = ExactIndex(items).search(queries, 50, seen & Candidates.shared(masks, np.array([0, 1, 0])))
    assert scored == [8, 40], "two queries share a narrow bitmap, one has a wide one"
    assert [len(one) for one in found] == [7, 29, 7]
    scored.clear()
    ExactIndex(items).search(queries, 5, Candidates.only(Ragged.from_rows([[1, 2], [2, 3], [4]])))
    assert scored == [4]


def test_what_queries_share_is_held_once() -> None:
    masks = np.random.default_rng(0).random((2, 800)) < 0.5
    of_query = np.arange(50) % 2
    both = Candidates.shared(masks, of_query) & Candidates(Ragged.from_rows([[i] for i in range(50)]))
    assert both.bitmaps.shape == (2, 100)
    assert len(both.exceptions.values) <= 50
    crossed = both & Candidates.shared(~masks[:1], np.zeros(50, int))
    assert crossed.bitmaps.shape == (2, 100)


def test_the_old_way_to_say_allowed_is_refused() -> None:
    with pytest.raises(TypeError):
        Candidates(Ragged.empty(1), np.ones(3, dtype=bool))  # type: ignore[misc]


def test_cache_makes_once_and_forgets_the_oldest() -> None:
    made: list[str] = []

    def mask(key: str) -> np.ndarray:  # type: ignore[type-arg]
        made.append(key)
        return np.full(800, key == "a")

    cache = BitmapCache(limit=3 * (100 + len(repr("a")) + BitmapCache._ENTRY_BYTES))
    for key in "abcab":
        assert cache.get(key, lambda key=key: mask(key)).shape == (100,)
    assert made == ["a", "b", "c"]
    cache.get("d", lambda: mask("d"))  # c is the one that was not asked for since
    for key in "abd":
        cache.get(key, lambda key=key: mask(key))
    assert made == ["a", "b", "c", "d"]
    cache.get("c", lambda: mask("c"))
    assert made[-1] == "c"
    assert len(cache) == 3
    assert all(first != second for first, second in pairwise(made))
    with pytest.raises(ValueError, match="read-only"):
        cache.get("a", lambda: mask("a"))[0] = 1
