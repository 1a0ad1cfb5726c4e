"""Popular items more often."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.negatives.base import Negatives
from shortlist.negatives.urn import Urn

BALLS = 2**40
"""Balls in the urn, about: probabilities are whole multiples of 10⁻¹², and log q is that of the multiple."""


class Popularity:
    """Negatives drawn with replacement in proportion to a power of how often items occur: q_i ∝ counts_i^α.

    A popular item nobody asked about here is a stronger statement than an unknown one, so it makes a better negative;
    α = 0.75 flattens the head (Mikolov et al. 2013, Distributed representations of words and phrases), 1 is the items'
    own frequency, 0 uniform over items that occur.

    Args:
        counts: [N] ≥ 0, occurrences of each item; one that never occurs is never drawn.
        power: α ≥ 0.

    Raises:
        ValueError: counts all 0, negative or not finite; a negative power.

    >>> rng = np.random.default_rng(0)
    >>> popularity = Popularity(np.array([1, 16, 0]), power=0.5)
    >>> np.exp(popularity.log_q_of(np.array([0, 1, 2])), dtype=float).round(6).tolist()
    [0.2, 0.8, 0.0]
    >>> np.unique(popularity.shared(1000, rng).item_idx).tolist()
    [0, 1]
    """

    def __init__(self, counts: NDArray[Any], power: float = 0.75) -> None:
        counts = np.asarray(counts)
        if not (np.isfinite(counts).all() and (counts >= 0).all() and counts.any()):
            raise ValueError("counts must be finite and at least 0, one of them more; pass how often each item occurs")
        if not power >= 0:
            raise ValueError(f"power is {power}; it must be at least 0")
        occurs = counts > 0
        share = np.where(occurs, counts / counts.max(), 1.0) ** power * occurs
        balls = np.rint(share * (BALLS / share.sum())).astype(np.int64)
        self._urn = Urn(np.maximum(balls, occurs))

    def shared(self, num_negatives: int, rng: np.random.Generator) -> Negatives:
        """[S] items for all queries together; some may be a query's own."""
        return self._urn.draw(num_negatives, rng)

    def per_query(self, own: Ragged, num_negatives: int, rng: np.random.Generator) -> Negatives:
        """[B, S] items, none of them among its row's own; log q is that of what is left, q_i / (1 − Σ_own q).

        Args:
            own: B rows of what must not come: positives and seen items. ``Ragged.empty(B)`` forbids nothing.
            num_negatives: S.
            rng: draws.

        Raises:
            ValueError: a query owns every item that occurs.
        """
        return self._urn.outside(own, num_negatives, rng)

    def log_q_of(self, item_idx: NDArray[Any]) -> NDArray[np.float32]:
        """Natural logarithm of q_i; −inf for an item that never occurs."""
        return self._urn.log_q_of(item_idx)
