"""Vectors of a corpus with a few others in their place, and a few more behind them, without a copy of all."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.retrieval.ann import AnnIndex
from shortlist.retrieval.base import Index, Vectors
from shortlist.retrieval.exact import ExactIndex
from shortlist.retrieval.live_state import LiveState

_NONE = np.empty(0, dtype=np.int64)


class PatchedVectors:
    """[M, D] vectors: those of a base, but for some rows.

    Args:
        base: [N, D], dense or sparse; it may be mapped into memory, and stays there.
        rows: ascending; below N those that have others, and all from N to M − 1.
        vectors: [P, D] of these, of the base's kind.

    >>> patched = PatchedVectors(np.eye(3, dtype=np.float32), np.array([1, 3]), np.float32([[0, 5, 0], [7, 7, 7]]))
    >>> patched.shape, patched[np.array([3, 1, 0])].tolist()
    ((4, 3), [[7.0, 7.0, 7.0], [0.0, 5.0, 0.0], [1.0, 0.0, 0.0]])
    """

    def __init__(self, base: Vectors, rows: NDArray[Any], vectors: Vectors) -> None:
        self.base, self.rows, self.vectors = base, np.asarray(rows, dtype=np.int64), vectors
        self.shape = (max(base.shape[0], int(self.rows.max(initial=-1)) + 1), base.shape[1])

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> Vectors:
        """Vectors of some rows [n, D]."""
        if not isinstance(self.base, np.ndarray):
            return self.whole[rows]
        wanted = np.asarray(rows, dtype=np.int64)
        place = np.searchsorted(self.rows, wanted)
        is_patched = self.rows[np.minimum(place, len(self.rows) - 1)] == wanted
        found: NDArray[np.float32] = self.base[np.where(is_patched, 0, wanted)]
        found[is_patched] = self.vectors[place[is_patched]]
        return found

    @cached_property
    def whole(self) -> Vectors:
        """All of them: a copy, made when it is asked for."""
        source = np.arange(len(self))
        source[self.rows] = self.base.shape[0] + np.arange(len(self.rows))
        if isinstance(self.base, np.ndarray):
            whole = np.empty(self.shape, dtype=np.float32)
            whole[: len(self.base)] = self.base
            whole[self.rows] = self.vectors
            return whole
        from scipy.sparse import vstack

        return vstack([self.base, self.vectors], format="csr")[source]


def whole(vectors: Vectors) -> Vectors:
    """Vectors as one array or one sparse matrix, whether they are patched or not."""
    return vectors.whole if isinstance(vectors, PatchedVectors) else vectors


def patched_index(base: Index, vectors: PatchedVectors) -> Index:
    """An index of patched vectors: that of the base and a small flat one, where they are dense; else all anew."""
    if not isinstance(base, (ExactIndex, AnnIndex)) or not isinstance(vectors.base, np.ndarray):
        return ExactIndex(vectors.whole)
    hidden = vectors.rows[vectors.rows < len(base)]
    return LiveState(base, hidden, vectors.vectors, vectors.rows, _NONE, _NONE, len(vectors))
