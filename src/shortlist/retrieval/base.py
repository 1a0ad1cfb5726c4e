"""What an index multiplies, and what it answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
