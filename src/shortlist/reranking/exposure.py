"""A fair part of the page for a group: minimum shares with a statistical test, and exposure in proportion to merit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from shortlist.reranking.base import Slate, Values, page_first, unit

_HALVINGS = 30


@dataclass(frozen=True, eq=False)
class MinimumShare:
    """FA*IR (Zehlike et al., CIKM 2017): every prefix of the page holds as many protected items as a fair draw would.

    A page is fair where, at no place, the number of protected items so far is so low that drawing each item with
    probability p would give fewer with a chance of at most α; α is adjusted for testing at all k places at once.

    Args:
        protected: [N] bool.
        share: p, the wanted share at strength 1; at strength s it is s · p.
        significance: α: the chance that a truly fair page is called unfair.
        strength: s.

    >>> slate = Slate.of(np.arange(8, dtype=np.int32), -np.arange(8, dtype=np.float32))
    >>> MinimumShare(np.arange(8) >= 5, share=0.5).rerank(slate, 6).item_idx.tolist()
    [0, 1, 2, 5, 3, 4, 6, 7]
    """

    protected: NDArray[np.bool_]
    share: float = 0.3
    significance: float = 0.1
    strength: float = 1.0
    name: str = "exposure"

    def rerank(self, slate: Slate, k: int) -> Slate:
        """The page first, then the rest as it was."""
        least = self.minimum(min(k, len(slate))) if self.strength > 0 else ()
        if not any(least):
            return slate
        return slate.ordered(page_first(fair(self.protected[slate.item_idx], least), len(slate)))

    def minimum(self, k: int) -> tuple[int, ...]:
        """Protected items that each of the first k prefixes must hold."""
        share = self.strength * self.share
        return minimum_counts(k, share, adjusted_significance(k, share, self.significance))


def fair(protected: NDArray[np.bool_], least: tuple[int, ...]) -> list[int]:
    """The best order whose prefixes hold at least so many protected items, as long as there are any.

    Args:
        protected: [n] in the list's order.
        least: [k] for each prefix.

    Returns:
        k places in the list.

    >>> fair(np.array([False, False, False, True]), (0, 0, 1))
    [0, 1, 3]
    """
    ours, others = np.flatnonzero(protected).tolist(), np.flatnonzero(~protected).tolist()
    a = b = 0
    chosen: list[int] = []
    for wanted in least:
        takes_ours = a < len(ours) and (a < wanted or b >= len(others) or ours[a] < others[b])
        chosen.append(ours[a] if takes_ours else others[b])
        a, b = a + takes_ours, b + (not takes_ours)
    return chosen


@lru_cache(maxsize=256)
def minimum_counts(k: int, share: float, significance: float) -> tuple[int, ...]:
    """For each prefix j = 1 … k the smallest m with P(Binomial(j, p) ≤ m) > α: fewer protected items fail the test.

    >>> minimum_counts(10, 0.5, 0.1)  # the paper's table 2
    (0, 0, 0, 1, 1, 1, 2, 2, 3, 3)
    """
    chances, least = np.ones(1), []  # of 0 … j protected items
    for _ in range(k):
        chances = np.append(chances * (1 - share), 0.0) + np.append(0.0, chances * share)
        least.append(int(np.searchsorted(np.cumsum(chances), significance, side="right")))
    return tuple(least)


def failure_probability(least: tuple[int, ...], share: float) -> float:
    """The chance that a page drawn with probability p falls below the minimum at any prefix.

    >>> failure_probability((0, 1), 0.5)
    0.25
    """
    chances = np.ones(1)
    for wanted in least:
        chances = np.append(chances * (1 - share), 0.0) + np.append(0.0, chances * share)
        chances[:wanted] = 0.0
    return float(1 - chances.sum())


@lru_cache(maxsize=256)
def adjusted_significance(k: int, share: float, significance: float) -> float:
    """The largest significance of each single test at which all k together call a fair page unfair with at most α.

    By halving, as in the paper (section 4.3): the chance of failing any test rises with that of each.
    """
    low, high = 0.0, significance
    if failure_probability(minimum_counts(k, share, significance), share) <= significance:
        return significance
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fails = failure_probability(minimum_counts(k, share, middle), share)
        low, high = (middle, high) if fails <= significance else (low, middle)
    return low


def passes(protected: NDArray[np.bool_], share: float, significance: float) -> bool:
    """The test itself: whether a page's items, best first, may have been drawn fairly."""
    least = minimum_counts(len(protected), share, adjusted_significance(len(protected), share, significance))
    return bool((np.cumsum(protected) >= np.array(least, dtype=np.int64)).all())


@dataclass(frozen=True, eq=False)
class ExposureState:
    """What groups have got and what they had earned, over all pages so far.

    Args:
        attention: [G] sum of the places' weights.
        merit: [G] sum of their items' shares of relevance.
    """

    attention: Values
    merit: Values

    @classmethod
    def none(cls, num_groups: int) -> ExposureState:
        """Before the first page."""
        return cls(np.zeros(num_groups), np.zeros(num_groups))

    @property
    def unfairness(self) -> float:
        """Σ |attention − merit| over groups (Biega et al. 2018, equation 4)."""
        return float(np.abs(self.attention - self.merit).sum())


@dataclass(frozen=True, eq=False)
class AmortisedExposure:
    """Gives groups attention in proportion to their merit, over many pages (Biega, Gummadi, Weikum, SIGIR 2018).

    A page hands out attention 1: a place j has w_j ∝ 1 / log2(1 + j). Its candidates have merit 1, in proportion to their
    relevance on [0, 1]. Each place, from the first, goes to the item with the largest (1 − s) r + s d, where d is what
    its group is owed (merit − attention so far, this page included) over the largest such debt. (The paper solves an
    integer program for each page; this greedy order needs none.)

    Args:
        group: [N] group of each item, from 0; −1: none, to which nothing is owed.
        state: before this page. ``rerank`` does not change it; ``after`` gives the next one.
        strength: s.
    """

    group: NDArray[np.int64]
    state: ExposureState
    strength: float = 0.5
    name: str = "exposure"

    def rerank(self, slate: Slate, k: int) -> Slate:
        """The page first, then the rest as it was."""
        if self.strength <= 0 or not len(slate):
            return slate
        group, relevance, k = self.group[slate.item_idx], unit(slate.relevance), min(k, len(slate))
        owed = self.state.merit - self.state.attention + self._merit(relevance, group)
        is_owed, weights = group >= 0, self._of_places(k)
        chosen, left = [], np.zeros(len(slate))
        for place in range(k):
            debt = np.where(is_owed, owed[group], 0.0)
            debt = debt / max(float(np.abs(debt).max()), 1e-12)
            best = int(((1 - self.strength) * relevance + self.strength * debt + left).argmax())
            chosen.append(best)
            left[best] = -np.inf
            if is_owed[best]:
                owed[group[best]] -= weights[place]
        return slate.ordered(page_first(chosen, len(slate)))

    def after(self, given: Slate, page: Slate) -> AmortisedExposure:
        """The same for the next page.

        Args:
            given: the candidates as ``rerank`` got them.
            page: what was shown of them.
        """
        merit = self.state.merit + self._merit(unit(given.relevance), self.group[given.item_idx])
        shown = self.group[page.item_idx]
        attention = self.state.attention + self._per_group(self._of_places(len(page)), shown)
        return replace(self, state=ExposureState(attention, merit))

    def _merit(self, relevance: Values, group: NDArray[np.int64]) -> Values:
        return self._per_group(relevance / max(float(relevance.sum()), 1e-12), group)

    def _per_group(self, values: Values, group: NDArray[np.int64]) -> Values:
        known = group >= 0
        summed = np.bincount(group[known], weights=values[known], minlength=len(self.state.merit))
        return summed.astype(np.float64)

    def _of_places(self, k: int) -> Values:
        """[k] attention of each place, together 1."""
        weights: Values = 1 / np.log2(np.arange(2, k + 2))
        together: Values = weights / weights.sum()
        return together
