"""How likely a drawn list was: probabilities of the Plackett-Luce model, by which ``Exploration`` draws.

Item i has the weight exp(logit_i); each next place goes to one of the items left in proportion to their weights (Luce,
*Individual Choice Behavior*, 1959; Plackett, *The Analysis of Permutations*, 1975).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shortlist.reranking.base import Values

_STEP = 0.4  # of the integral's grid, in log time: relative error below 1e-7
_FIRST, _LAST = -20.0, 4.0  # of the grid: when hardly anybody has arrived, and when the last shown one surely has
_NEGLIGIBLE = -37.0  # log of the smallest weight that counts, 1e-16 of the others'


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
    own, total = scaled[order], np.log(np.exp(scaled).sum())
    time = np.exp(np.arange(_FIRST - total, _LAST - own.min(), _STEP))  # [G]
    ahead = np.arange(len(order)) if places is None else places
    row = dict(zip(order.tolist(), range(len(order)), strict=True))
    ways = np.zeros((len(order), int(ahead.max()) + 1, len(time)))  # [shown item, others before it, G]
    ways[:, 0] = 1.0
    moved = np.empty_like(ways)
    for item in np.flatnonzero(scaled > _NEGLIGIBLE).tolist():
        np.multiply(ways, -np.expm1(-np.exp(scaled[item]) * time), out=moved)
        if item in row:
            moved[row[item]] = 0.0  # it is none of the others
        ways -= moved
        ways[:, 1:] += moved[:, :-1]
    rate = np.exp(own)[:, None] * time
    before = ways[np.arange(len(order)), ahead]
    found: Values = (before * np.exp(-rate) * rate).sum(axis=1) * _STEP
    return np.minimum(found, 1.0)
