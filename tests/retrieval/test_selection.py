"""Two roads, one answer: plain NumPy and the compiled loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.ragged import Ragged
from shortlist.retrieval import compiled, selection


@settings(deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 40), st.integers(1, 6), st.integers(1, 45), st.booleans())
def test_compiled_equals_numpy(seed: int, num_items: int, num_queries: int, k: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(num_queries, num_items)).astype(np.float32)
    if coarse:
        scores = scores.round() * np.float32(1)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    k = min(k, num_items)
    for ours, theirs in zip(compiled.top(scores, k), selection.top(scores, k), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    targets = Ragged.from_rows([rng.permutation(num_items)[: rng.integers(0, 4)] for _ in range(num_queries)])
    np.testing.assert_array_equal(compiled.ranks(scores, targets, 7), selection.ranks(scores, targets, 7))


def test_large_blocks_take_the_compiled_road_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).normal(size=(5, 100)).astype(np.float32)
    expected = selection.top(scores, 3)
    calls = []
    monkeypatch.setattr(selection, "_COMPILED_CELLS", 100)
    monkeypatch.setattr(compiled, "top", lambda *arguments: calls.append(arguments) or expected)
    assert selection.top(scores, 3) is expected
    monkeypatch.setattr(selection, "has_numba", lambda: False)
    np.testing.assert_array_equal(selection.top(scores, 3)[0], expected[0])
    assert len(calls) == 1


def test_lots_are_fair_and_differ_from_query_to_query() -> None:
    """Among ten items of equal score each is first for about a tenth of the queries."""
    num_queries = 5000
    scores = np.zeros((num_queries, 10), dtype=np.float32)
    ranks = selection.ranks(scores, Ragged.from_rows([np.arange(10)] * num_queries)).reshape(num_queries, 10)
    assert (np.sort(ranks, axis=1) == np.arange(1, 11)).all(), "ties are an order, without gaps or repeats"
    shares = (ranks == 1).mean(axis=0)
    assert np.abs(shares - 0.1).max() < 4 * np.sqrt(0.09 / num_queries)


@given(st.integers(0, 100_000))
def test_keys_sort_by_score_then_item_and_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.choice(np.array([0, -0.0, 1, -1, 1e-45, -3.4e38, 3.4e38, np.inf, 0.1], np.float32), 40)
    items = rng.permutation(2**31 - 1 - np.arange(40)).astype(np.int32)
    keys = selection.to_keys(scores, items)
    order = np.argsort(keys)
    assert order.tolist() == np.lexsort((items, -scores)).tolist()
    back, back_scores = selection.from_keys(keys)
    assert (back == items).all()
    assert (back_scores == scores).all()
    assert selection.from_keys(np.array([selection.NO_KEY]))[0].tolist() == [-1]
