"""What is asked of an index, and what it answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged

# [n, D] float32: an array, or SciPy's csr_array (which is untyped) where most of a vector is 0
Vectors: TypeAlias = NDArray[np.float32] | Any


def dot(query_vectors: Vectors, item_vectors: Vectors) -> NDArray[np.float32]:
    """Scores [B, N] of all pairs, whichever side is sparse; a new array.

    >>> dot(np.array([[1, 2]], np.float32), np.eye(2, dtype=np.float32)).tolist()
    [[1.0, 2.0]]
    """
    product = query_vectors @ item_vectors.T
    scores: NDArray[np.float32] = product if isinstance(product, np.ndarray) else product.toarray()
    return scores


@dataclass(frozen=True, eq=False)
class ScoredItems:
    """An ordered list for one query; immutable.

    Args:
        item_idx: [n] best first; of equal scores the lower index first.
        score: [n] float32.
        source: which stage scored it.
    """

    item_idx: NDArray[np.int32]
    score: NDArray[np.float32]
    source: str = ""

    def __post_init__(self) -> None:
        self.item_idx.setflags(write=False)
        self.score.setflags(write=False)

    def __len__(self) -> int:
        return len(self.item_idx)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Which items may come back. Forbidden means absent: a forbidden item is never returned.

    Args:
        excluded: item indices forbidden to each of B queries (seen, disliked, named), any order, repeats allowed.
        allowed: [N] or [B, N], items a condition admits; None: all.

    >>> Candidates(Ragged.from_rows([[1]])).mask(3).tolist()
    [[True, False, True]]
    """

    excluded: Ragged
    allowed: NDArray[np.bool_] | None = None

    def forbid(self, scores: NDArray[np.float32]) -> None:
        """Set −inf, in place, in [B, N] wherever an item may not come back."""
        if self.allowed is not None:
            scores[np.broadcast_to(~self.allowed, scores.shape)] = -np.inf
        scores[self.excluded.row_of_value, self.excluded.values] = -np.inf

    def mask(self, num_items: int) -> NDArray[np.bool_]:
        """[B, N]: whether an item may come back."""
        mask = np.ones((len(self.excluded), num_items), dtype=bool)
        if self.allowed is not None:
            mask &= self.allowed
        mask[self.excluded.row_of_value, self.excluded.values] = False
        return mask

    def rows(self, start: int, stop: int) -> Candidates:
        """A range of the queries."""
        allowed = self.allowed if self.allowed is None or self.allowed.ndim == 1 else self.allowed[start:stop]
        return Candidates(self.excluded.take(np.arange(start, stop)), allowed)
