from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from shortlist.reranking import Exploration, Slate
from shortlist.reranking.exploration import perturbed


def test_the_frequencies_are_those_of_the_softmax() -> None:
    """Of whole orders: the Plackett-Luce model, softmax over what is left."""
    relevance, temperature, draws = np.array([1.0, 0.6, 0.0]), 0.5, 40_000
    generator = np.random.default_rng(0)
    counts = dict.fromkeys(permutations(range(3)), 0)
    for _ in range(draws):
        counts[tuple(np.argsort(-perturbed(relevance, temperature, generator)).tolist())] += 1
    weights = np.exp(relevance / temperature)
    for order, count in counts.items():
        expected, left = 1.0, list(range(3))
        for one in order:
            expected *= weights[one] / weights[left].sum()
            left.remove(one)
        assert count / draws == pytest.approx(expected, abs=4 * np.sqrt(expected / draws))


def slate_of(n: int = 50, **asker: object) -> Slate:
    return Slate.of(np.arange(n, dtype=np.int32), -np.arange(n, dtype=np.float32), **asker)


def test_one_asker_sees_one_draw_for_a_while() -> None:
    step = Exploration(1.0, seed=3, period_ms=1000.0)
    now = slate_of(time=5_100.0, liked=np.array([4], np.int32))
    page = step.rerank(now, 10).item_idx.tolist()
    assert page == step.rerank(replace(now, time=5_900.0), 10).item_idx.tolist()
    others = [
        step.rerank(replace(now, time=6_100.0), 10),
        step.rerank(replace(now, liked=np.array([5], np.int32)), 10),
        replace(step, seed=4).rerank(now, 10),
    ]
    assert all(page != one.item_idx.tolist() for one in others)


def test_the_stronger_the_farther_it_reaches() -> None:
    reached = []
    for strength in (0.0, 0.1, 0.5, 1.0):
        step = Exploration(strength, temperature=0.2)
        pages = [step.rerank(slate_of(time=hour * 3.6e6), 5).item_idx[:5] for hour in range(200)]
        reached.append(np.mean(pages))
    assert reached == sorted(reached)
    assert reached[0] == 2.0
    assert reached[-1] > 8
