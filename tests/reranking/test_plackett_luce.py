from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from shortlist.reranking.plackett_luce import at_places, given_above


def probability_of(weights: np.ndarray, order: tuple[int, ...]) -> float:
    probability, left = 1.0, list(range(len(weights)))
    for one in order:
        probability *= weights[one] / weights[left].sum()
        left.remove(one)
    return probability


@pytest.mark.parametrize("spread", [0.0, 1.0, 6.0, 20.0])
def test_exact_beside_all_orders(spread: float) -> None:
    logits = spread * np.array([0.9, -0.4, 0.0, 0.7, -1.0])
    weights = np.exp(logits)
    expected = np.zeros((5, 5))  # [item, place]
    for order in permutations(range(5)):
        for place, item in enumerate(order):
            expected[item, place] += probability_of(weights, order)
    for order in ((0, 1, 2, 3, 4), (4, 2), (3, 0, 1)):
        found = at_places(logits, np.array(order))
        assert found == pytest.approx([expected[item, place] for place, item in enumerate(order)], abs=1e-9, rel=1e-6)
        assert at_places(logits, np.array([4, 1]), np.array([1, 3])) == pytest.approx(
            [expected[4, 1], expected[1, 3]], abs=1e-9, rel=1e-6
        )
        assert given_above(logits, np.array(order)).prod() == pytest.approx(probability_of(weights, order), rel=1e-9)


def test_some_item_stands_at_every_place() -> None:
    """Over 200 candidates of any temperature, the probabilities of each place sum to one."""
    rng = np.random.default_rng(0)
    for temperature in (0.02, 0.1, 1.0):
        logits = np.sort(rng.random(200))[::-1] / temperature
        places = 4
        sums = np.zeros(places)
        for start in range(0, 200, places):
            for shift in range(places):
                order = start + (np.arange(places) + shift) % places
                sums += at_places(logits, order)
        assert sums == pytest.approx(np.ones(places), abs=1e-6)


def test_the_frequencies_of_draws() -> None:
    rng = np.random.default_rng(1)
    logits = np.linspace(3, 0, 30)
    drawn = np.argsort(-(logits + rng.gumbel(size=(20_000, 30))), axis=1)[:, :6]
    shown = drawn[0]
    expected = at_places(logits, shown)
    seen = (drawn == shown).mean(axis=0)
    assert seen == pytest.approx(expected, abs=4 * np.sqrt(expected.max() / 20_000))


def test_nothing_is_shown() -> None:
    assert at_places(np.zeros(3), np.empty(0, np.int64)).tolist() == []
