from __future__ import annotations

import numpy as np
import pytest

from shortlist.reranking import Freshness, PopularityDamping, Slate
from shortlist.reranking.freshness import DAY_MS
from shortlist.reranking.popularity import novelty_of


def slate_at(day: float, n: int = 3) -> Slate:
    return Slate.of(np.arange(n, dtype=np.int32), -np.arange(n, dtype=np.float32), time=day * DAY_MS)


def test_relevance_halves_with_each_half_life() -> None:
    """r = 1, .5, 0; ages 20, 10, 0 days; half-life 10 days: .25, .25, 0, of which the earlier stays first."""
    step = Freshness(np.array([0.0, 10.0, 20.0]) * DAY_MS, half_life_days=10, strength=1.0)
    shaped = step.rerank(slate_at(20), 3)
    assert shaped.item_idx.tolist() == [0, 1, 2]
    np.testing.assert_allclose(shaped.relevance, [0.25, 0.25, 0.0])
    later = step.rerank(slate_at(30), 3)  # all have aged alike: the order is the same
    assert later.item_idx.tolist() == [0, 1, 2]
    shorter = Freshness(step.times, half_life_days=5, strength=1.0).rerank(slate_at(20), 3)
    assert shorter.item_idx.tolist() == [1, 0, 2]
    np.testing.assert_allclose(shorter.relevance, [0.125, 0.0625, 0.0])


def test_what_is_not_known_is_as_old_as_the_middle() -> None:
    step = Freshness(np.array([np.nan, 0.0, 10.0]) * DAY_MS, half_life_days=10, strength=1.0)
    np.testing.assert_allclose(step.rerank(slate_at(10), 3).relevance[0], np.exp2(-0.5))
    unknown = Freshness(np.full(3, np.nan), strength=1.0).rerank(slate_at(10), 3)
    assert unknown.item_idx.tolist() == [0, 1, 2]


def test_an_old_catalogue_has_its_fresh_items_too() -> None:
    """The same list, asked thirty years later or at no time at all."""
    step = Freshness(np.array([0.0, 10.0, 20.0]) * DAY_MS, half_life_days=5, strength=0.9)
    pages = [step.rerank(slate_at(day), 3) for day in (20, 20 + 365 * 30, float("nan"))]
    assert all(page.item_idx.tolist() == [1, 0, 2] for page in pages)
    assert all(page.relevance.tolist() == pages[0].relevance.tolist() for page in pages)


def test_what_comes_later_than_the_question_is_as_fresh_as_can_be() -> None:
    step = Freshness(np.array([5.0, 50.0, 10.0]) * DAY_MS, half_life_days=1, strength=1.0)
    shaped = step.rerank(slate_at(10), 3)
    assert shaped.item_idx.tolist() == [1, 0, 2]
    np.testing.assert_allclose(shaped.relevance, [0.5, 2.0**-5, 0.0])


def test_damping_prefers_what_fewer_took() -> None:
    counts = np.array([100, 10, 0])
    novelty = novelty_of(counts, 100)
    assert novelty == pytest.approx([0.0, 1 - np.log2(11) / np.log2(101), 1.0])
    assert PopularityDamping(novelty, 1.0).rerank(slate_at(0), 3).item_idx.tolist() == [2, 1, 0]
    assert PopularityDamping(novelty, 0.1).rerank(slate_at(0), 3).item_idx.tolist() == [0, 1, 2]
    assert novelty_of(np.zeros(2), 0).tolist() == [1.0, 1.0]
