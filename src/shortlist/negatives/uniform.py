"""Every item alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.negatives.base import Negatives
from shortlist.negatives.urn import Urn


class Uniform:
    """Negatives drawn uniformly from the corpus, with replacement: log q = −log (N − |own|).

    Args:
        num_items: N ≥ 1.

    >>> rng = np.random.default_rng(0)
    >>> drawn = Uniform(5).per_query(Ragged.from_rows([[0, 2, 3]]), 1000, rng)
    >>> np.unique(drawn.item_idx).tolist(), np.exp(drawn.log_q[0, 0]).item()
    ([1, 4], 0.5)
    """

    def __init__(self, num_items: int) -> None:
        self._urn = Urn(np.ones(num_items, dtype=np.int64))

    def shared(self, num_negatives: int, rng: np.random.Generator) -> Negatives:
        """[S] items for all queries together; some may be a query's own."""
        return self._urn.draw(num_negatives, rng)

    def per_query(self, own: Ragged, num_negatives: int, rng: np.random.Generator) -> Negatives:
        """[B, S] items, none of them among its row's own.

        Args:
            own: B rows of what must not come: positives and seen items. ``Ragged.empty(B)`` forbids nothing.
            num_negatives: S.
            rng: draws.

        Raises:
            ValueError: a query owns every item.
        """
        return self._urn.outside(own, num_negatives, rng)

    def log_q_of(self, item_idx: NDArray[Any]) -> NDArray[np.float32]:
        """−log N for every item."""
        return self._urn.log_q_of(item_idx)
