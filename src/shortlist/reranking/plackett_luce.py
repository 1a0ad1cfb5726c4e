"""How likely a drawn list was: probabilities of the Plackett-Luce model, by which ``Exploration`` draws.

Item i has the weight exp(logit_i); each next place goes to one of the items left in proportion to their weights (Luce,
*Individual Choice Behavior*, 1959; Plackett, *The Analysis of Permutations*, 1975).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shortlist.reranking.base import Values

_STEP = 0.4  # of the integral's grid, in log time: relative error below 1e-7
_FIRST, _LAST = -9.0, 4.0  # of the grid: when hardly anybody has arrived, and when all that are asked for have
_NEGLIGIBLE = 37.0  # log: candidates so far below the last that is asked for come before it with 1e-16


def given_above(logits: Values, order: NDArray[np.int64]) -> Values:
    """[k] probability of each place's item among those left when the places above were drawn.

    Their product is the probability of the whole list.

    Args:
        logits: [n] of all candidates.
        order: [k] which of them stands at each place, the first first.

    >>> given_above(np.log([1.0, 2.0, 3.0]), np.array([2, 0])).round(4).tolist()
    [0.5, 0.3333]
    """
    weight = np.exp(logits - logits.max())
    shown = weight[order]
    beside = np.delete(weight, order).sum()
    left = np.cumsum(shown[::-1])[::-1] + beside  # from the small end, so that nothing is lost by subtraction
    result: Values = shown / left
    return result


def at_places(logits: Values, order: NDArray[np.int64], places: NDArray[np.int64] | None = None) -> Values:
    """[k] probability that the item of each place stands at that place, whatever stands above it.

    Items arrive after exponential times of rate w_j = exp(logit_j), and stand in the order of arrival (Yellott 1977). Item i
    has rank r where r − 1 others arrive before it:

        P(rank_i = r) = ∫ w_i e^{−w_i t} P(exactly r − 1 of the others have arrived by t) dt,

    a Poisson-binomial probability, exact by recursion over the items, under an integral by the trapezoidal rule over
    log t, which converges exponentially for integrands that fall off as fast as this one.

    Args:
        logits: [n] of all candidates.
        order: [k] which of them are asked for, none twice.
        places: [k] at which place, from 0; None: the first at the first, and so on.

    >>> at_places(np.log([1.0, 2.0, 3.0]), np.array([2, 0])).round(4).tolist()
    [0.5, 0.25]
    """
    if not len(order):
        return np.empty(0)
    scaled = logits - logits.max()
    own, ahead = scaled[order], np.arange(len(order)) if places is None else places
    grid = np.arange(_FIRST - np.log(np.exp(scaled).sum()), _LAST - own.min(), _STEP)
    time, depth = np.exp(grid), int(ahead.max()) + 1  # [G], and so many numbers of others matter
    others = np.delete(scaled, order)
    ways = np.zeros((depth, len(time)))  # P(so many of those not asked for have arrived)
    ways[0] = 1.0
    for chance in _arrived(others[others > own.min() - _NEGLIGIBLE], time):
        _step(ways, chance)
    ways = np.repeat(ways[None], len(order), axis=0)  # [k, depth, G] and of those asked for, but for oneself
    for row, chance in enumerate(_arrived(own, time)):
        _step(ways, chance, row)
    rows = np.arange(len(order))
    rate = np.exp(own)[:, None] * time
    each = ways[rows, ahead] * np.exp(-rate) * rate
    before = each[:, 0] / np.expm1((ahead + 1) * _STEP)  # the grid's sum to −∞, where it falls as t^(place + 1)
    found: Values = (each.sum(axis=1) + before) * _STEP
    return np.minimum(found, 1.0)


def _arrived(logits: Values, time: Values) -> Values:
    """[n, G] probability that each has arrived."""
    result: Values = -np.expm1(-np.exp(logits)[:, None] * time)
    return result


def _step(ways: Values, chance: Values, but: int | None = None) -> None:
    """One more who has arrived with such a chance; row ``but`` does not count them."""
    moved = ways * chance
    if but is not None:
        moved[but] = 0.0
    ways -= moved
    ways[..., 1:, :] += moved[..., :-1, :]
