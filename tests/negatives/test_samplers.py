"""What every sampler keeps: log q is the frequency, own items never come, a seed is a result."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.data.ragged import Ragged
from shortlist.negatives import InBatch, Mixed, Popularity, Sampler, Uniform

N = 30
COUNTS = np.random.default_rng(5).integers(1, 50, N)
SAMPLERS = {
    "uniform": Uniform(N),
    "popularity": Popularity(COUNTS),
    "popularity ** 2": Popularity(COUNTS, power=2),
    "popularity ** 0": Popularity(COUNTS, power=0),
}
EVERY = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())


def assert_frequency(item_idx: np.ndarray, q: np.ndarray) -> None:
    """Chi-square: about its degrees of freedom, and five standard deviations more are no accident."""
    assert q.sum() == pytest.approx(1, abs=1e-5)
    observed, expected = np.bincount(item_idx.ravel(), minlength=len(q)), q * item_idx.size
    assert (observed[q == 0] == 0).all()
    possible = q > 0
    statistic = ((observed - expected)[possible] ** 2 / expected[possible]).sum()
    freedom = possible.sum() - 1
    assert statistic < freedom + 5 * np.sqrt(2 * freedom) + 1


@EVERY
def test_shared_frequency_is_log_q(sampler: Sampler) -> None:
    drawn = sampler.shared(50_000, np.random.default_rng(1))
    q = np.exp(sampler.log_q_of(np.arange(N)), dtype=float)
    assert_frequency(drawn.item_idx, q)
    np.testing.assert_array_equal(drawn.log_q, np.log(q, dtype=float)[drawn.item_idx].astype(np.float32))


@EVERY
def test_per_query_frequency_is_the_conditional_log_q(sampler: Sampler) -> None:
    own = [[], [0], list(range(5, 25)), [29, 3, 3, 17], [item for item in range(N) if item not in (4, 9)]]
    drawn = sampler.per_query(Ragged.from_rows(own), 20_000, np.random.default_rng(2))
    unconditional = np.exp(sampler.log_q_of(np.arange(N)), dtype=float)
    for row, items in enumerate(own):
        q = unconditional.copy()
        q[items] = 0
        q /= q.sum()
        assert_frequency(drawn.item_idx[row], q)
        np.testing.assert_allclose(np.exp(drawn.log_q[row]), q[drawn.item_idx[row]], rtol=1e-5)


@EVERY
def test_own_items_never_come(sampler: Sampler) -> None:
    rng = np.random.default_rng(3)
    rows = [rng.choice(N, size=size, replace=False) for size in rng.integers(0, N, 500)]
    rows += [np.delete(np.arange(N), item) for item in range(N)]  # all but one
    drawn = sampler.per_query(Ragged.from_rows(rows), 20, rng)
    assert drawn.item_idx.shape == drawn.log_q.shape == (530, 20)
    assert not any(np.isin(drawn.item_idx[row], items).any() for row, items in enumerate(rows))
    assert (drawn.item_idx[500:] == np.arange(N)[:, None]).all()
    assert (drawn.log_q[500:] == 0).all()
    with pytest.raises(ValueError, match="own every item"):
        sampler.per_query(Ragged.from_rows([np.arange(N)]), 1, rng)


@EVERY
def test_a_seed_is_a_result(sampler: Sampler) -> None:
    own = Ragged.from_rows([[1, 2], [3]])
    one, same, other = (sampler.per_query(own, 50, np.random.default_rng(seed)).item_idx for seed in (7, 7, 8))
    assert (one == same).all()
    assert (one != other).any()


def test_what_never_occurs_is_never_drawn() -> None:
    popularity = Popularity(np.array([0, 1, 10**9, 0]), power=0)
    assert set(popularity.shared(1000, np.random.default_rng(0)).item_idx) == {1, 2}
    rare = Popularity(np.array([1, 10**6]), power=3)  # 10⁻¹⁸ is less than a ball
    assert np.isfinite(rare.log_q_of(np.array([0, 1]))).all()
    assert rare.per_query(Ragged.from_rows([[1]]), 3, np.random.default_rng(0)).item_idx.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("counts", [[0, 0], [1, -1], [1, np.nan], [np.inf, 1]])
def test_popularity_refuses_what_is_no_count(counts: list[float]) -> None:
    with pytest.raises(ValueError, match="counts must be finite"):
        Popularity(np.array(counts))


def test_popularity_refuses_a_negative_power() -> None:
    with pytest.raises(ValueError, match="power is -1"):
        Popularity(COUNTS, power=-1)


def test_in_batch_log_q_is_the_frequency_among_the_examples() -> None:
    rng = np.random.default_rng(0)
    examples = np.repeat(np.arange(N), COUNTS)
    batches = np.stack([rng.permutation(examples)[:64] for _ in range(500)])
    in_batch = InBatch(COUNTS)
    assert in_batch.shared(batches[0]).item_idx.tolist() == batches[0].tolist()
    q = np.exp(in_batch.shared(np.arange(N)).log_q, dtype=float)
    assert_frequency(batches, q)
    with pytest.raises(ValueError, match="item 1 is a positive, but has count 0"):
        InBatch(np.array([1, 0])).shared(np.array([0, 1]))


def test_mixed_log_q_is_that_of_the_mixture() -> None:
    rng = np.random.default_rng(0)
    counts = np.where(np.arange(N) < 10, 0, COUNTS)
    examples, mixed = np.repeat(np.arange(N), counts), Mixed(counts, num_uniform=32)
    drawn = [mixed.shared(rng.permutation(examples)[:64], rng) for _ in range(500)]
    q = 64 / 96 * counts / counts.sum() + 32 / 96 / N
    items = np.stack([one.item_idx for one in drawn])
    assert items.shape == (500, 96)
    assert_frequency(items, q)
    np.testing.assert_allclose(np.exp(np.stack([one.log_q for one in drawn])), q[items], rtol=1e-5)
