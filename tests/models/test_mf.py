from __future__ import annotations

import numpy as np
import pytest

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.recency import recency_weights
from shortlist.models import mf
from shortlist.models.mf import MatrixFactorization
from shortlist.settings import MFSettings


def random_log(users: int = 40, items: int = 30, seed: int = 0) -> Ragged:
    rng = np.random.default_rng(seed)
    return Ragged.from_rows([rng.permutation(items)[: rng.integers(1, 12)] for _ in range(users)])


def loss(log: Ragged, users: np.ndarray, items: np.ndarray, s: MFSettings) -> float:  # type: ignore[type-arg]
    """The objective, written out over all pairs."""
    scores = users @ items.T
    observed = np.zeros_like(scores, dtype=bool)
    observed[log.row_of_value, log.values] = True
    weight = np.zeros_like(scores)
    weight[log.row_of_value, log.values] = recency_weights(log, s.recency)
    a0 = s.unobserved_weight
    user_ridge = s.regularization * (observed.sum(1) + a0 * len(items)) ** s.regularization_exponent
    item_ridge = s.regularization * (observed.sum(0) + a0 * len(users)) ** s.regularization_exponent
    fit = (weight * (1 - scores) ** 2).sum() + a0 * (scores**2).sum()
    return float(fit + (user_ridge * (users**2).sum(1)).sum() + (item_ridge * (items**2).sum(1)).sum())


@pytest.mark.parametrize("recency", [0.0, 3.0])
def test_fold_in_is_the_minimum(recency: float) -> None:
    """No small step from any folded-in user vector lowers the loss."""
    log, settings = random_log(), MFSettings(embedding_dim=5, iterations=3, regularization=0.01, recency=recency)
    model = MatrixFactorization.fit(log, 30, settings)
    users = model.fold_in(log).astype(np.float64)
    best = loss(log, users, model.item_vectors, settings)
    rng = np.random.default_rng(1)
    for _ in range(20):
        assert loss(log, users + 1e-3 * rng.normal(size=users.shape), model.item_vectors, settings) > best


@pytest.mark.parametrize("recency", [0.0, 3.0])
def test_each_iteration_lowers_the_loss(recency: float) -> None:
    log = random_log()
    losses = []
    for iterations in (1, 2, 4, 8, 16):
        settings = MFSettings(embedding_dim=5, iterations=iterations, regularization=0.01, recency=recency)
        model = MatrixFactorization.fit(log, 30, settings)
        losses.append(loss(log, model.fold_in(log), model.item_vectors, settings))
    assert losses == sorted(losses, reverse=True)


def test_conjugate_gradients_arrive_where_exact_solving_does() -> None:
    """Two roads, one answer: the compiled solver against fold-in's dense one, on both sides until nothing moves."""
    log, settings = random_log(), MFSettings(embedding_dim=4, iterations=200, regularization=0.05)
    model = MatrixFactorization.fit(log, 30, settings)
    users = model.fold_in(log)
    transposed = Ragged.from_rows([np.flatnonzero([i in log.row(u) for u in range(40)]) for i in range(30)])
    items = MatrixFactorization(users, settings).fold_in(transposed)
    np.testing.assert_allclose(users @ items.T, users @ model.item_vectors.T, atol=2e-3)


def test_fold_in_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_log()
    model = MatrixFactorization.fit(log, 30, MFSettings(embedding_dim=4, iterations=2))
    whole = model.fold_in(log)
    monkeypatch.setattr(mf, "_FOLD_IN_CELLS", 20)
    np.testing.assert_allclose(model.fold_in(log), whole, atol=1e-6)


@pytest.mark.parametrize("recency", [0.0, 2.0])
def test_fold_in_is_what_a_dense_solver_says(recency: float) -> None:
    """Histories shorter and longer than the vectors, many and few, take different roads to the same answer."""
    rng, dim = np.random.default_rng(0), 16
    items = rng.normal(0, 0.3, (60, dim)).astype(np.float32)
    items[:, 0] = 0  # α0 HᵀH has no inverse
    log = Ragged.from_rows([rng.permutation(60)[:length] for length in (1, 2, 15, 16, 17, 40, 60, 3, 0)])
    settings = MFSettings(embedding_dim=dim, regularization=0.002, unobserved_weight=0.1, recency=recency)
    model = MatrixFactorization(items, settings)
    found = model.fold_in(log)
    one_by_one = [model.fold_in(log.take(np.array([row]))) for row in range(len(log))]
    np.testing.assert_allclose(np.concatenate(one_by_one), found, rtol=1e-4, atol=1e-6)
    for row, vector in enumerate(found):
        v, h = items[log.row(row)].astype(np.float64), items.astype(np.float64)
        ridge = 0.002 * (len(v) + 0.1 * 60)
        c = np.exp(recency * np.arange(len(v)) / max(len(v), 1))
        c *= len(v) / max(c.sum(), 1e-9)
        left = v.T @ (c[:, None] * v) + 0.1 * h.T @ h + ridge * np.eye(dim)
        expected = np.linalg.solve(left, c @ v)
        np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-5)


def test_an_item_counts_once_and_nothing_is_zero() -> None:
    model = MatrixFactorization.fit(random_log(), 30, MFSettings(embedding_dim=4, iterations=2))
    vectors = model.fold_in(Ragged.from_rows([[3, 4], [3, 3, 4, 4], []]))
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert not vectors[2].any()


def test_what_came_last_counts_most() -> None:
    log, settings = random_log(), MFSettings(embedding_dim=8, iterations=8, recency=3.0)
    model = MatrixFactorization.fit(log, 30, settings)
    one, other, twice = model.fold_in(Ragged.from_rows([[3, 4, 5], [5, 4, 3], [5, 3, 4, 5]])) @ model.item_vectors.T
    assert one[5] > other[5] + 0.1
    assert other[3] > one[3] + 0.1
    np.testing.assert_allclose(twice, one, atol=1e-6)  # taken again: it stands where it came last


def test_shares_of_the_history_sum_to_its_vector() -> None:
    model = MatrixFactorization.fit(random_log(), 30, MFSettings(embedding_dim=8, iterations=4, recency=3.0))
    histories = Ragged.from_rows([[3, 9, 3, 5], [], [1]])
    items, shares = model.history_shares(QueryBatch(histories, Ragged.empty(3)))
    assert [items.row(row).tolist() for row in range(3)] == [[9, 3, 5], [], [1]]
    summed = np.zeros((3, 8))
    np.add.at(summed, items.row_of_value, shares)
    np.testing.assert_allclose(summed, model.fold_in(histories), atol=1e-5)


def test_the_seed_decides() -> None:
    settings = MFSettings(embedding_dim=4, iterations=3)
    one, again, other = (MatrixFactorization.fit(random_log(), 30, settings, seed) for seed in (1, 1, 2))
    assert (one.item_vectors == again.item_vectors).all()
    assert (one.item_vectors != other.item_vectors).any()
