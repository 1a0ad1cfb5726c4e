"""Exact search: every item is scored. The default, and the oracle of any approximate index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.retrieval.base import Candidates, ScoredItems, Vectors, dot
from shortlist.retrieval.selection import ranks, top

_BLOCK_CELLS = 8_000_000  # scores held at once: 32 MB of float32


@dataclass(frozen=True, eq=False)
class Examined:
    """How queries with known targets were answered.

    Args:
        item_idx: [B, k] the list each query gets, −1 where fewer than k items were allowed.
        ranks: one row a query, aligned with the targets.
        num_candidates: [B] allowed items.
    """

    item_idx: NDArray[np.int32]
    ranks: Ragged
    num_candidates: NDArray[np.int64]


class ExactIndex:
    """All items of the corpus by dot product.

    Args:
        item_vectors: [N, D] float32, dense or sparse.

    Holds the scores of one block of queries at a time. Does not prune: a query costs N × D multiply-adds.

    >>> index = ExactIndex(np.eye(3, dtype=np.float32))
    >>> query = np.array([[3, 2, 1]], dtype=np.float32)
    >>> index.search(query, 2, Candidates(Ragged.from_rows([[0]])))[0].item_idx.tolist()
    [1, 2]
    """

    def __init__(self, item_vectors: Vectors) -> None:
        self.item_vectors = item_vectors

    def __len__(self) -> int:
        return int(self.item_vectors.shape[0])

    def search(self, query_vectors: Vectors, k: int, candidates: Candidates) -> list[ScoredItems]:
        """The k best allowed items of each query: min(k, allowed) of them, ties by lower index.

        Args:
            query_vectors: [B, D].
            k: wanted items.
            candidates: which may come back.
        """
        found: list[ScoredItems] = []
        for _, scores in self._blocks(query_vectors, candidates):
            columns, best = top(scores, min(k, len(self)))
            for row, n in enumerate((columns >= 0).sum(axis=1)):
                found.append(ScoredItems(columns[row, :n], best[row, :n], "exact"))
        return found

    def ranks(self, query_vectors: Vectors, targets: Ragged, candidates: Candidates) -> Ragged:
        """Rank (1 is best) of every target among its query's allowed items; equal scores by lot (``selection.ranks``).

        Args:
            query_vectors: [B, D].
            targets: B rows of item indices.
            candidates: which items compete; a target that is excluded itself ranks behind everything, N + 1.
        """
        blocks = self._blocks(query_vectors, candidates)
        return _rows([ranks(scores, _part(targets, start, scores), start) for start, scores in blocks], targets)

    def examine(self, query_vectors: Vectors, k: int, targets: Ragged, candidates: Candidates) -> Examined:
        """``search`` and ``ranks`` in one pass over the scores, as arrays."""
        lists, places, allowed = [], [], []
        for start, scores in self._blocks(query_vectors, candidates):
            lists.append(top(scores, min(k, len(self)))[0])
            places.append(ranks(scores, _part(targets, start, scores), start))
            allowed.append(np.count_nonzero(scores > -np.inf, axis=1))
        return Examined(np.concatenate(lists), _rows(places, targets), np.concatenate(allowed))

    def _blocks(self, query_vectors: Vectors, candidates: Candidates) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """First query and scores [b, N] of each block, −inf where forbidden."""
        size = max(1, _BLOCK_CELLS // max(1, len(self)))
        for start in range(0, query_vectors.shape[0], size):
            scores = dot(query_vectors[start : start + size], self.item_vectors)
            candidates.rows(start, start + len(scores)).forbid(scores)
            yield start, scores


def _part(targets: Ragged, start: int, scores: NDArray[np.float32]) -> Ragged:
    return targets.take(np.arange(start, start + len(scores)))


def _rows(parts: list[NDArray[np.int64]], targets: Ragged) -> Ragged:
    return Ragged(np.concatenate([np.empty(0, np.int64), *parts]), targets.offsets)
