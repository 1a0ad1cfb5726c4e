"""Each figure against its formula, written out in loops, and against SciPy's entropy and distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from scipy.stats import entropy

from shortlist.data.ragged import Ragged
from shortlist.evaluation import beyond_accuracy as ours

SEEDS = st.integers(0, 1_000_000)


def world(seed: int) -> tuple[np.ndarray, int, np.ndarray, np.ndarray, Ragged]:
    """Lists (some short, some empty), k, shares, tags, histories (some empty)."""
    rng = np.random.default_rng(seed)
    num_items, width = int(rng.integers(2, 12)), int(rng.integers(1, 7))
    lists = np.full((int(rng.integers(1, 6)), width), -1, dtype=np.int32)
    for row in lists:
        n = int(rng.integers(0, min(width, num_items) + 1))
        row[:n] = rng.permutation(num_items)[:n]
    tags = (rng.random((num_items, 4)) < 0.4).astype(float)
    history = Ragged.from_rows([rng.integers(0, num_items, rng.integers(0, 4)) for _ in lists])
    share = rng.integers(0, 5, num_items) / 10
    return lists, int(rng.integers(1, width + 1)), share, tags, history


def listed(row: np.ndarray, k: int) -> list[int]:
    return [int(item) for item in row[:k] if item >= 0]


def same(value: float, expected: float | None) -> None:
    if expected is None:
        assert np.isnan(value)
    else:
        assert value == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(SEEDS)
def test_means_over_the_list(seed: int) -> None:
    lists, k, share, _, history = world(seed)
    popularity, novelty = ours.popularity(lists, k, share), ours.novelty(lists, k, share, 10)
    lift = ours.popularity_lift(lists, k, share, history)
    for q, row in enumerate(lists):
        items, own = listed(row, k), history.row(q)
        same(popularity[q], float(np.mean(share[items])) if items else None)
        same(novelty[q], float(np.mean([-np.log2(max(share[i], 0.05)) for i in items])) if items else None)
        known = items and len(own) and share[own].mean() > 0
        same(lift[q], float(np.mean(share[items]) / share[own].mean() - 1) if known else None)


@settings(deadline=None)
@given(SEEDS)
def test_coverage_and_gini(seed: int) -> None:
    lists, k, share, _, _ = world(seed)
    num_items = len(share)
    exposures = np.bincount([i for row in lists for i in listed(row, k)], minlength=num_items)
    assert ours.coverage(lists, k, num_items) == np.count_nonzero(exposures) / num_items
    # Gini is half the relative mean absolute difference of all pairs
    expected = np.abs(exposures[:, None] - exposures).mean() / (2 * exposures.mean()) if exposures.any() else None
    same(ours.gini(lists, k, num_items), expected)


@settings(deadline=None)
@given(SEEDS)
def test_diversity_is_the_mean_cosine_distance(seed: int) -> None:
    lists, k, _, tags, _ = world(seed)
    found = ours.intra_list_diversity(lists, k, csr_array(tags))
    for q, row in enumerate(lists):
        items = listed(row, k)
        if len(items) < 2:
            same(found[q], None)
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            distances = pdist(tags[items], "cosine")
        same(found[q], float(np.nan_to_num(distances, nan=1.0).mean()))  # no tags: at distance 1 from all


@settings(deadline=None)
@given(SEEDS)
def test_miscalibration_is_the_entropy_of_tags(seed: int) -> None:
    lists, k, _, tags, history = world(seed)
    found = ours.miscalibration(lists, k, csr_array(tags), history)
    for q, row in enumerate(lists):
        shares = []
        for items in (history.row(q).tolist(), listed(row, k)):
            rows = [tags[i] / tags[i].sum() for i in items if tags[i].any()]
            shares.append(np.mean(rows, axis=0) if rows else None)
        p, q_list = shares
        same(found[q], None if p is None or q_list is None else float(entropy(p, 0.99 * q_list + 0.01 * p)))


def test_serendipity_counts_what_popularity_lacks() -> None:
    ranks, obvious = Ragged.from_rows([[1, 2, 30], [], [5]]), Ragged.from_rows([[9, 11, 50], [], [4]])
    found = ours.serendipity(ranks, obvious, 10)
    np.testing.assert_array_equal(found, [0.1, np.nan, 0.0])
