from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from shortlist.data.ragged import Ragged
from shortlist.retrieval import Candidates, ExactIndex, exact
from shortlist.retrieval.selection import lot
from shortlist.testing import check_index


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 5), st.integers(1, 15), st.booleans())
def test_equals_the_naive_answer(seed: int, num_items: int, num_queries: int, k: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    items = rng.normal(size=(num_items, 3)).astype(np.float32)
    queries = rng.normal(size=(num_queries, 3)).astype(np.float32)
    if coarse:  # many ties
        items, queries = items.round(), queries.round()
    excluded = Ragged.from_rows(
        [rng.integers(0, num_items, rng.integers(0, num_items + 1)) for _ in range(num_queries)]
    )
    masks = rng.random((num_queries, num_items)) < 0.6
    candidates = Candidates(excluded)
    if seed % 3:
        candidates &= Candidates.shared(masks, np.arange(num_queries) * (seed % 3 - 1))  # one for all, one for each
    index = ExactIndex(items)
    check_index(index, items, queries, k, candidates)
    if coarse:  # sums of small integers are exact: ties must come by lowest index
        mask = candidates.mask(num_items)
        for row, found in enumerate(index.search(queries, k, candidates)):
            expected = sorted(np.flatnonzero(mask[row]), key=lambda i: (-(queries[row] @ items[i]), i))[:k]
            assert found.item_idx.tolist() == expected


@given(st.integers(0, 10_000))
def test_ranks_equal_the_naive_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items, queries = (
        rng.integers(-1, 2, (9, 2)).astype(np.float32),
        rng.integers(-1, 2, (4, 2)).astype(np.float32),
    )
    targets = Ragged.from_rows([rng.permutation(9)[: rng.integers(0, 5)] for _ in range(4)])
    excluded = Ragged.from_rows([[i for i in range(9) if rng.random() < 0.3] for _ in range(4)])
    ranks = ExactIndex(items).ranks(queries, targets, Candidates(excluded))
    lots = lot(np.repeat(np.arange(4), 9), np.tile(np.arange(9), 4)).reshape(4, 9)
    for row in range(4):
        scores, forbidden = queries[row] @ items.T, set(excluded.row(row).tolist())
        order = sorted((i for i in range(9) if i not in forbidden), key=lambda i: (-scores[i], lots[row, i]))
        expected = [order.index(t) + 1 if t in order else 10 for t in targets.row(row).tolist()]
        assert ranks.row(row).tolist() == expected


def test_examine_is_search_and_ranks_in_one() -> None:
    rng = np.random.default_rng(1)
    items, queries = rng.normal(size=(30, 4)).astype(np.float32), rng.normal(size=(6, 4)).astype(np.float32)
    targets = Ragged.from_rows([[i] for i in range(6)])
    allowed = Candidates.shared(np.arange(30)[None] < 12, np.zeros(6))
    candidates = Candidates(Ragged.from_rows([[10, 11, 10]] * 6)) & allowed
    index = ExactIndex(items)
    examined = index.examine(queries, 20, targets, candidates)
    for row, found in enumerate(index.search(queries, 20, candidates)):
        assert examined.item_idx[row].tolist() == found.item_idx.tolist() + [-1] * 10
    assert examined.ranks.values.tolist() == index.ranks(queries, targets, candidates).values.tolist()
    assert examined.num_candidates.tolist() == [10] * 6


def test_sparse_vectors_are_searched_like_dense_ones() -> None:
    rng = np.random.default_rng(2)
    items, queries = (
        rng.integers(0, 3, shape).astype(np.float32) * (rng.random(shape) < 0.4) for shape in ((20, 8), (5, 8))
    )
    nothing = Candidates(Ragged.empty(5))
    expected = [one.item_idx.tolist() for one in ExactIndex(items).search(queries, 7, nothing)]
    for some_items in (items, csr_array(items)):
        found = ExactIndex(some_items).search(csr_array(queries), 7, nothing)
        assert [one.item_idx.tolist() for one in found] == expected


def test_blocks_do_not_change_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    items, queries = rng.normal(size=(50, 4)).round().astype(np.float32), rng.normal(size=(20, 4)).astype(np.float32)
    targets = Ragged.from_rows([[i, i + 1] for i in range(20)])
    allowed = Candidates.shared(rng.random((20, 50)) < 0.9, np.arange(20))
    candidates = Candidates(Ragged.from_rows([[i + 2] for i in range(20)])) & allowed
    whole = ExactIndex(items).examine(queries, 7, targets, candidates)
    monkeypatch.setattr(exact, "_BLOCK_CELLS", 120)
    parts = ExactIndex(items).examine(queries, 7, targets, candidates)
    assert whole.item_idx.tolist() == parts.item_idx.tolist()
    assert whole.ranks.values.tolist() == parts.ranks.values.tolist()


def test_answers_cannot_be_changed() -> None:
    found = ExactIndex(np.eye(2, dtype=np.float32)).search(np.ones((1, 2), np.float32), 1, Candidates(Ragged.empty(1)))[
        0
    ]
    with pytest.raises(ValueError, match="read-only"):
        found.score[0] = 9
