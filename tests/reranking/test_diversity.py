from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.reranking import Diversity, unit
from shortlist.reranking.diversity import _RIDGE, dpp, mmr
from tests.reranking.worlds import World, worlds


def kernel(directions: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    made = (1 - _RIDGE) * directions @ directions.T
    np.fill_diagonal(made, 1.0)
    return made


@settings(deadline=None)
@given(world=worlds())
def test_mmr_at_1_is_as_diverse_as_can_be(world: World) -> None:
    """Each item is the one whose most similar item above it is least similar."""
    step = Diversity(1.0, "mmr", tags=world.tags)
    directions = step.directions(world.slate.item_idx)
    chosen = mmr(unit(world.slate.relevance), directions, 1.0, min(world.k, len(world.slate)))
    similar = directions @ directions.T
    for place in range(1, len(chosen)):
        left = [i for i in range(len(world.slate)) if i not in chosen[:place]]
        nearest = similar[np.ix_(left, chosen[:place])].max(axis=1)
        assert nearest[left.index(chosen[place])] <= nearest.min() + 1e-12


@settings(deadline=None)
@given(world=worlds(), strength=st.sampled_from([0.1, 0.5, 0.9]))
def test_mmr_is_its_formula(world: World, strength: float) -> None:
    relevance = unit(world.slate.relevance)
    directions = Diversity(vectors=world.vectors).directions(world.slate.item_idx)
    similar = directions @ directions.T
    chosen: list[int] = []
    for one in mmr(relevance, directions, strength, min(world.k, len(relevance))):
        left = [i for i in range(len(relevance)) if i not in chosen]
        values = [
            (1 - strength) * relevance[i] - strength * max([similar[i, j] for j in chosen], default=0) for i in left
        ]
        assert values[left.index(one)] >= max(values) - 1e-9
        chosen.append(one)


@settings(deadline=None)
@given(world=worlds(), strength=st.sampled_from([0.1, 0.5, 1.0]), by_tags=st.booleans())
def test_dpp_equals_greedy_by_determinants(world: World, strength: float, by_tags: bool) -> None:
    relevance = unit(world.slate.relevance)
    step = Diversity(tags=world.tags) if by_tags else Diversity(vectors=world.vectors)
    directions = step.directions(world.slate.item_idx)
    whole, chosen = kernel(directions), []
    for one in dpp(relevance, directions, strength, min(world.k, len(relevance))):
        left = [i for i in range(len(relevance)) if i not in chosen]
        determinants = [np.linalg.slogdet(whole[np.ix_([*chosen, i], [*chosen, i])])[1] for i in left]
        values = (1 - strength) * relevance[left] + strength * np.array(determinants)
        assert values[left.index(one)] >= values.max() - 1e-6
        chosen.append(one)


def test_dpp_of_two_is_the_best_determinant_of_those_with_the_first() -> None:
    """Of sets of two the greedy one is the best there is that holds the first item; of three it is near the best."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        directions = rng.normal(size=(8, 4))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        whole = kernel(directions)
        of = {
            places: np.linalg.slogdet(whole[np.ix_(places, places)])[1]
            for n in (2, 3)
            for places in combinations(range(8), n)
        }
        pair, three = dpp(np.zeros(8), directions, 1.0, 2), dpp(np.zeros(8), directions, 1.0, 3)
        assert (
            of[tuple(sorted(pair))]
            >= max(value for places, value in of.items() if len(places) == 2 and 0 in places) - 1e-9
        )
        best = max(value for places, value in of.items() if len(places) == 3)
        assert of[tuple(sorted(three))] >= best - 1.0  # within e of the best volume


def test_twins_do_not_follow_one_another() -> None:
    directions = np.eye(4)[[0, 0, 1, 1, 2]]
    for choose in (mmr, dpp):
        chosen = choose(np.array([1.0, 0.99, 0.98, 0.97, 0.5]), directions, 0.6, 5)
        assert chosen[:3] == [0, 2, 4]
        assert chosen[3:] == [1, 3]


def test_a_stronger_page_is_more_diverse() -> None:
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(100, 8))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    relevance = unit(np.sort(directions[:, 0])[::-1])
    directions = directions[np.argsort(-directions[:, 0])]

    def similarity(chosen: list[int]) -> float:
        own = directions[chosen]
        return float((own @ own.T)[np.triu_indices(len(own), 1)].mean())

    for choose in (mmr, dpp):
        found = [similarity(choose(relevance, directions, s, 10)) for s in (0.0, 0.3, 0.6, 1.0)]
        assert found == sorted(found, reverse=True)
        assert found[0] - found[-1] > 0.2
