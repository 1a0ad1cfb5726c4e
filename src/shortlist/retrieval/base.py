"""What an index multiplies, and what it answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shortlist.retrieval.filters import Candidates

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


def directions(vectors: Vectors) -> Vectors:
    """Vectors [n, D] made to length 1, dense or sparse as they are; zeros stay.

    >>> directions(np.array([[3, 4], [0, 0]], np.float32)).round(2).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    if isinstance(vectors, np.ndarray):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        made: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
        return made
    lengths = np.sqrt(vectors.multiply(vectors).sum(axis=1))
    return vectors.multiply((1 / np.maximum(lengths, 1e-12))[:, None]).tocsr().astype(np.float32)


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


class Index(Protocol):
    """What finds nearest items: exact, approximate, or live."""

    def __len__(self) -> int:
        """Items of the corpus."""
        ...

    def search(self, query_vectors: Vectors, k: int, candidates: Candidates) -> list[ScoredItems]:
        """The k best allowed items of each query, min(k, allowed) of them; never a forbidden one."""
        ...
