from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.reranking import AmortisedExposure, ExposureState, MinimumShare, Slate
from shortlist.reranking.exposure import adjusted_significance, failure_probability, minimum_counts, passes
from tests.reranking.worlds import World, worlds

TABLE_2 = {  # Zehlike et al. 2017: minimum numbers of protected items, α = 0.1, prefixes of 1 to 12
    0.1: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    0.2: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1],
    0.3: [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2],
    0.4: [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3],
    0.5: [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4],
    0.6: [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5],
    0.7: [0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6],
}


@pytest.mark.parametrize("share", TABLE_2)
def test_minimum_counts_are_those_of_the_paper(share: float) -> None:
    assert list(minimum_counts(12, share, 0.1)) == TABLE_2[share]


@pytest.mark.parametrize(("k", "share"), [(10, 0.5), (30, 0.3), (100, 0.5), (100, 0.1)])
def test_the_adjusted_test_calls_fair_pages_unfair_as_rarely_as_it_says(k: int, share: float) -> None:
    significance = adjusted_significance(k, share, 0.1)
    least = minimum_counts(k, share, significance)
    chance = failure_probability(least, share)
    assert chance <= 0.1
    drawn = np.random.default_rng(0).random((20_000, k)) < share
    failed = (np.cumsum(drawn, axis=1) < np.array(least)).any(axis=1).mean()
    assert failed == pytest.approx(chance, abs=0.01)
    if k == 100:  # unadjusted, testing at each place alone goes wrong far more often
        assert failure_probability(minimum_counts(k, share, 0.1), share) > 0.2


@settings(deadline=None)
@given(world=worlds(), share=st.sampled_from([0.2, 0.5, 0.8]), strength=st.sampled_from([0.5, 1.0]))
def test_a_page_passes_its_own_test_where_it_can(world: World, share: float, strength: float) -> None:
    step = MinimumShare(world.flag, share, 0.1, strength)
    slate, k = world.slate, min(world.k, len(world.slate))
    page = world.flag[step.rerank(slate, world.k).item_idx[:k]]
    held, possible = np.cumsum(page), int(world.flag[slate.item_idx].sum())
    assert (held >= np.minimum(step.minimum(k), possible)).all()
    if possible >= max(step.minimum(k), default=0):
        assert passes(page, strength * share, 0.1)
    # within each group the order stays
    order = {int(item): place for place, item in enumerate(slate.item_idx)}
    for group in (True, False):
        places = [order[int(i)] for i in step.rerank(slate, world.k).item_idx[:k] if world.flag[i] == group]
        assert places == sorted(places)


def test_a_page_without_the_protected_fails() -> None:
    assert not passes(np.zeros(20, dtype=bool), 0.5, 0.1)
    assert passes(np.arange(20) % 2 == 0, 0.5, 0.1)
    assert passes(np.zeros(3, dtype=bool), 0.5, 0.1)  # of three nothing can be said


def test_amortised_exposure_follows_merit() -> None:
    """Two groups of like items, one a hair better: it takes every page; amortised, both have the same attention."""
    rng = np.random.default_rng(0)
    group = np.arange(20) % 2
    found = {}
    for strength in (0.0, 0.5):
        step = AmortisedExposure(group, ExposureState.none(2), strength)
        for _ in range(50):
            noise = rng.random(20) * 0.01 + (group == 0) * 0.02 + 1
            order = np.argsort(-noise, kind="stable").astype(np.int32)
            slate = Slate.of(order, np.append(noise[order][:-1], 0).astype(np.float32))
            step = step.after(slate, step.rerank(slate, 5).first(5))
        found[strength] = step.state.unfairness / step.state.attention.sum()
        assert step.state.attention.sum() == pytest.approx(50)
        assert step.state.merit.sum() == pytest.approx(50)
    assert found[0.0] > 0.8
    assert found[0.5] < 0.05


def test_the_state_is_an_argument() -> None:
    group = np.array([0, 0, 1, 1])
    slate = Slate.of(np.arange(4, dtype=np.int32), np.array([3, 2.9, 2.8, 2.7], np.float32))
    owed = ExposureState(np.array([5.0, 0.0]), np.array([2.0, 3.0]))
    step = AmortisedExposure(group, owed, 0.9)
    assert step.rerank(slate, 2).item_idx[:2].tolist() == [2, 3]
    assert step.rerank(slate, 2).item_idx[:2].tolist() == [2, 3]  # asking changes nothing
    assert owed.attention.tolist() == [5.0, 0.0]
