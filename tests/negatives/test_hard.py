from __future__ import annotations

import numpy as np
import pytest

from shortlist.data.ragged import Ragged
from shortlist.negatives import HardCache, Negatives, Popularity, Uniform, hardest

N = 200


def test_hardest_equals_loops() -> None:
    rng = np.random.default_rng(0)
    item_idx = rng.integers(0, 12, (50, 8))
    model = rng.permutation(12)
    pool = Negatives(item_idx, rng.random((50, 8)))
    chosen = hardest(pool, model[item_idx], 3)
    for row in range(50):
        different = sorted(set(item_idx[row]), key=lambda item: -model[item])
        assert chosen.item_idx[row].tolist()[: len(different)] == different[:3]
        for item, log_q in zip(chosen.item_idx[row], chosen.log_q[row], strict=True):
            assert log_q in pool.log_q[row, item_idx[row] == item]


def test_a_pool_of_one_item_gives_it_as_often_as_asked() -> None:
    pool = Negatives(np.full((1, 4), 3), np.zeros((1, 4)))
    assert hardest(pool, np.ones((1, 4)), 3).item_idx.tolist() == [[3, 3, 3]]


def test_errors_teach() -> None:
    pool = Negatives(np.zeros((1, 4), np.int64), np.zeros((1, 4)))
    with pytest.raises(ValueError, match="5 negatives of a pool of 4"):
        hardest(pool, np.ones((1, 4)), 5)
    with pytest.raises(ValueError, match="one score an item"):
        hardest(pool, np.ones((4, 1)), 2)


def test_the_cache_gets_harder_and_never_owns() -> None:
    rng = np.random.default_rng(0)
    own = Ragged.from_rows([rng.choice(N, size=150, replace=False) for _ in range(20)])
    model = rng.random((20, N))
    cache = HardCache(Uniform(N), num_queries=40, size=5, pool_size=60)
    queries = np.arange(20) * 2
    levels = []
    for _ in range(12):
        drawn = cache.per_query(queries, own, 100, rng)
        assert not any(np.isin(drawn.item_idx[row], own.row(row)).any() for row in range(20))
        np.testing.assert_allclose(np.exp(drawn.log_q), 1 / 50, rtol=1e-5)  # the pool's
        levels.append(np.take_along_axis(model, drawn.item_idx, axis=1).mean())
        cache.refresh(queries, own, lambda item_idx: np.take_along_axis(model, item_idx, axis=1), rng)
    assert levels[0] == pytest.approx(0.5, abs=0.05)
    assert levels[0] < levels[1] < levels[-1]
    for row in range(20):  # after twelve rounds of 65 draws from 50: the very best five
        best = sorted(set(range(N)) - set(own.row(row)), key=lambda item, row=row: -model[row, item])[:5]
        assert set(cache.per_query(queries, own, 200, rng).item_idx[row]) == set(best)


def test_what_is_owned_by_now_is_replaced() -> None:
    rng = np.random.default_rng(0)
    cache = HardCache(Popularity(np.arange(1, 11)), num_queries=1, size=2, pool_size=200)
    query = np.array([0])
    cache.refresh(query, Ragged.empty(1), lambda item_idx: item_idx.astype(float), rng)
    assert set(cache.per_query(query, Ragged.empty(1), 50, rng).item_idx[0]) == {8, 9}
    owned = Ragged.from_rows([[9]])
    drawn = cache.per_query(query, owned, 200, rng).item_idx
    assert 9 not in drawn
    assert (drawn == 8).mean() > 0.5
    cache.refresh(query, owned, lambda item_idx: item_idx.astype(float), rng)
    assert set(cache.per_query(query, owned, 50, rng).item_idx[0]) == {7, 8}


def test_never_refreshed_draws_from_the_pool() -> None:
    rng = np.random.default_rng(0)
    drawn = HardCache(Uniform(4), 3, 2, 5).per_query(np.array([2, 0]), Ragged.from_rows([[0], []]), 400, rng)
    assert set(drawn.item_idx[0]) == {1, 2, 3}
    assert set(drawn.item_idx[1]) == {0, 1, 2, 3}
