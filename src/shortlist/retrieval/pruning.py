"""Which items cannot be among the best, without scoring them: the inequality of Cauchy and Schwarz, item group by group.

Items stand in an order in which the promising ones come first, and no item of a group scores more than

    min(|q| max|v|,  |q'| max|v'| + max q_b v_b)

where b is the last dimension and q', v' are the others. Of the two the second is the better one where the last dimension
is an item bias: there the query has 1, however short q' is, and biases would lengthen all vectors alike. Norms as bounds
of inner products: Teflioudi, Gemulla, Mykytiuk, LEMP, SIGMOD 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def promising_first(item_vectors: NDArray[np.float32], query_vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Order [N] of the items: by norm, or, where queries like these have a bias, by what a typical one can reach.

    Args:
        item_vectors: [N, D].
        query_vectors: [B, D], any sample of what will be asked; other queries are answered as well, with less pruned.

    >>> items = np.array([[1, 0], [0, 0], [0, 3]], np.float32)
    >>> promising_first(items, np.array([[9, 0.5]], np.float32)).tolist()
    [2, 0, 1]
    >>> promising_first(items, np.array([[9, 1]], np.float32)).tolist()
    [0, 2, 1]
    """
    typical = float(np.median(norms(query_vectors[:, :-1])))
    if (query_vectors[:, -1] == 1).all():
        promise = typical * norms(item_vectors[:, :-1]) + item_vectors[:, -1]
    else:
        promise = norms(item_vectors)
    order: NDArray[np.int64] = np.argsort(-promise, kind="stable")
    return order


def norms(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Lengths [n] of vectors [n, D], computed in float64, in which no float32 overflows."""
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    return lengths


def rounding(num_dimensions: int) -> float:
    """What a float32 dot product may be off by, relative to |q||v|, with room for the bounds' own rounding."""
    return (num_dimensions + 8) * 2.0**-23


@dataclass(frozen=True, eq=False)
class Bounds:
    """What bounds the scores of each of G groups of items.

    Args:
        norm: [G] the largest |v| of a group.
        rest: [G] the largest |v'|, all dimensions but the last.
        low: [G] the least last dimension.
        high: [G] the largest.
    """

    norm: NDArray[np.float64]
    rest: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, item_vectors: NDArray[np.float32], order: NDArray[np.int64], size: int) -> Bounds:
        """Of groups of ``size`` items each (the last may be smaller), taken in this order."""
        starts = np.arange(0, len(order), size)
        last = item_vectors[order, -1].astype(np.float64)
        return cls(
            np.maximum.reduceat(norms(item_vectors)[order], starts),
            np.maximum.reduceat(norms(item_vectors[:, :-1])[order], starts),
            np.minimum.reduceat(last, starts),
            np.maximum.reduceat(last, starts),
        )

    def reach(self, query_vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """[B, G]: no item of the group has a higher score, however it was rounded.

        >>> items = np.array([[3, 4], [0, 2], [1, 0]], np.float32)
        >>> bounds = Bounds.of(items, np.array([0, 1, 2]), size=2)
        >>> bounds.reach(np.array([[1, 0], [0, 2]], np.float32)).round(3).tolist()
        [[3.0, 1.0], [8.0, 0.0]]
        """
        sizes, last = norms(query_vectors)[:, None], query_vectors[:, -1:].astype(np.float64)
        whole = sizes * self.norm
        apart = norms(query_vectors[:, :-1])[:, None] * self.rest + np.maximum(last * self.low, last * self.high)
        smallest = float(np.finfo(np.float32).tiny)
        reach: NDArray[np.float64] = np.minimum(whole, apart) + rounding(query_vectors.shape[1]) * whole + smallest
        return reach
