from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from scipy.sparse import csr_array

from shortlist.data.ragged import Ragged
from shortlist.evaluation.beyond_accuracy import miscalibration
from shortlist.reranking import Calibration, Slate
from shortlist.reranking.calibration import calibrate, divergence, profile_of, shares_of
from tests.reranking.worlds import World, worlds


def test_seventy_thirty() -> None:
    """Steck's example: who likes 70 % romance and 30 % action gets a page of 7 and 3, not of 10 romances."""
    tags = Ragged.from_rows([[0]] * 30 + [[1]] * 30)
    liked = np.array([*range(7), *range(30, 33)], dtype=np.int32)
    candidates = np.array([*range(7, 30), *range(33, 60)], dtype=np.int32)  # every romance before every action film
    slate = Slate.of(candidates, -np.arange(50, dtype=np.float32), liked=liked)
    page = Calibration(tags, 0.99).rerank(slate, 10).item_idx[:10]
    assert (page < 30).sum() == 7
    assert (Calibration(tags, 0.0).rerank(slate, 10).item_idx[:10] < 30).all()


@settings(deadline=None)
@given(world=worlds())
def test_the_first_item_and_the_objective(world: World) -> None:
    """At 1 each item is the one that leaves the least divergence."""
    codes, profile = profile_of(world.tags, world.slate.liked)
    if not len(codes):
        return
    shares = shares_of(world.tags, world.slate.item_idx, codes)
    chosen = calibrate(np.zeros(len(shares)), shares, profile, 1.0, min(world.k, len(shares)))
    for place in range(len(chosen)):
        left = [i for i in range(len(shares)) if i not in chosen[:place]]
        found = [divergence(shares[[*chosen[:place], i]], profile) for i in left]
        assert found[left.index(chosen[place])] <= min(found) + 1e-9


def test_calibration_lowers_the_divergence() -> None:
    """Also as the report measures it, and the more the stronger it is."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(6, rng.integers(1, 4), replace=False) for _ in range(300)]
    tags = Ragged.from_rows(rows)
    matrix = csr_array((np.ones(len(tags.values)), (tags.row_of_value, tags.values)), shape=(300, 6))
    found: dict[float, list[float]] = {strength: [] for strength in (0.0, 0.2, 0.5, 1.0)}
    for _ in range(20):
        liked = rng.choice(300, 15, replace=False).astype(np.int32)
        slate = Slate.of(rng.permutation(300)[:100].astype(np.int32), -np.arange(100, dtype=np.float32), liked=liked)
        for strength, values in found.items():
            page = Calibration(tags, strength).rerank(slate, 10).item_idx[None, :10]
            values.append(miscalibration(page, 10, matrix, Ragged.from_rows([liked]))[0])
    means = [np.mean(values) for values in found.values()]
    assert means == sorted(means, reverse=True)
    assert means[-1] < 0.1 * means[0]
    assert all(last <= first for first, last in zip(found[0.0], found[1.0], strict=True))


def test_greedy_is_near_the_best_page() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        shares = rng.dirichlet(np.full(3, 0.3), size=7)
        profile = rng.dirichlet(np.ones(3))
        chosen = calibrate(np.zeros(7), shares, profile, 1.0, 3)
        best = min(divergence(shares[list(places)], profile) for places in permutations(range(7), 3))
        assert divergence(shares[chosen], profile) <= best + 0.15


def test_a_wide_profile_is_folded_into_its_most_frequent_tags() -> None:
    tags = Ragged.from_rows([[i, 99] for i in range(60)])
    codes, profile = profile_of(tags, np.arange(60, dtype=np.int32))
    assert len(codes) == 31
    assert 99 in codes
    assert profile.sum() == 1
    shares = shares_of(tags, np.arange(60, dtype=np.int32), codes)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares[59, -1] == 0.5


def test_who_has_no_history_keeps_the_list() -> None:
    tags = Ragged.from_rows([[0], [1], []])
    for liked in ([], [2]):
        slate = Slate.of(np.arange(3, dtype=np.int32), np.zeros(3, np.float32), liked=np.array(liked, np.int32))
        assert Calibration(tags, 1.0).rerank(slate, 3) is slate
