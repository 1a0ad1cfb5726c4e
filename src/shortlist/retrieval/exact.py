"""Exact search: every item is scored. The default, and the oracle of any approximate index."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.retrieval.base import Candidates, ScoredItems

_BLOCK_CELLS = 4_000_000  # scores held at once: 16 MB of float32


class ExactIndex:
    """All items of the corpus by dot product.

    Args:
        item_vectors: [N, D] float32.

    Holds the scores of one block of queries at a time. Does not prune: a query costs N × D multiply-adds.

    >>> index = ExactIndex(np.eye(3, dtype=np.float32))
    >>> query = np.array([[3, 2, 1]], dtype=np.float32)
    >>> index.search(query, 2, Candidates(Ragged.from_rows([[0]])))[0].item_idx.tolist()
    [1, 2]
    """

    def __init__(self, item_vectors: NDArray[np.float32]) -> None:
        self.item_vectors = item_vectors

    def __len__(self) -> int:
        return len(self.item_vectors)

    def search(self, query_vectors: NDArray[np.float32], k: int, candidates: Candidates) -> list[ScoredItems]:
        """The k best allowed items of each query: min(k, allowed) of them, ties by lower index.

        Args:
            query_vectors: [B, D].
            k: wanted items.
            candidates: which may come back.
        """
        found: list[ScoredItems] = []
        for start, scores, mask in self._blocks(query_vectors, candidates):
            del start
            order = _best_first(scores, mask, min(k, len(self)))
            best, allowed = np.take_along_axis(scores, order, 1), np.take_along_axis(mask, order, 1)
            for row in range(len(order)):
                n = int(allowed[row].sum())  # forbidden ones sort last
                found.append(ScoredItems(order[row, :n].astype(np.int32), best[row, :n].copy(), "exact"))
        return found

    def ranks(self, query_vectors: NDArray[np.float32], targets: Ragged, candidates: Candidates) -> NDArray[np.int64]:
        """Rank (1 is best) of every target among its query's allowed items, without sorting the corpus.

        Ties never help: a target stands behind every other item of the same score. Among the targets themselves the
        better score, then the lower index, comes first.

        Args:
            query_vectors: [B, D].
            targets: B rows of item indices.
            candidates: which items compete; a target that is excluded itself ranks behind everything, N + 1.

        Returns:
            [T], aligned with ``targets.values``.
        """
        ranks = np.empty(len(targets.values), dtype=np.int64)
        for start, scores, mask in self._blocks(query_vectors, candidates):
            rows = targets.take(np.arange(start, start + len(scores)))
            query, item = rows.row_of_value, rows.values
            own, admitted = scores[query, item], mask[query, item]
            ahead = np.empty(len(item), dtype=np.int64)
            for chunk in _chunks(len(item), max(1, _BLOCK_CELLS // max(1, len(self)))):
                ahead[chunk] = ((scores[query[chunk]] >= own[chunk, None]) & mask[query[chunk]]).sum(axis=1)
            # ahead counts the target itself, as a rank does, and fellow targets it ties with: those behind it do not count
            rank = ahead - _fellows_behind(query, item, own, admitted)
            first = targets.offsets[start]
            ranks[first : first + len(item)] = np.where(admitted, rank, len(self) + 1)
        return ranks

    def _blocks(
        self, query_vectors: NDArray[np.float32], candidates: Candidates
    ) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
        size = max(1, _BLOCK_CELLS // max(1, len(self)))
        for start in range(0, len(query_vectors), size):
            scores = query_vectors[start : start + size] @ self.item_vectors.T
            yield start, scores, candidates.rows(start, start + len(scores)).mask(len(self))


def _best_first(scores: NDArray[np.float32], mask: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """[B, k] columns of the best allowed scores, ties by lower column.

    Score and column go into one 64-bit key, so that one unstable partition gives one answer.
    """
    bits = (scores + np.float32(0)).view(np.int32)  # + 0 makes -0 and 0 one number
    ordered = np.where(bits >= 0, bits, bits ^ np.int32(0x7FFFFFFF)).astype(np.int64)  # monotone in the score
    ordered[~mask] = np.iinfo(np.int32).min + 1  # below −inf, and its key still fits
    num_items = scores.shape[1]
    keys = -(ordered << 32) + np.arange(num_items)
    if k < num_items:
        part = np.argpartition(keys, k - 1, axis=1)[:, :k]
    else:
        part = np.broadcast_to(np.arange(num_items), keys.shape)
    return np.take_along_axis(part, np.argsort(np.take_along_axis(keys, part, 1), axis=1), 1)


def _fellows_behind(
    query: NDArray[np.int64], item: NDArray[np.int32], own: NDArray[np.float32], admitted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """For every target the number of its query's admitted targets with the same score and a higher index."""
    order = np.flatnonzero(admitted)
    order = order[np.lexsort((item[order], own[order], query[order]))]
    new_group = np.ones(len(order), dtype=bool)
    new_group[1:] = (np.diff(query[order]) != 0) | (np.diff(own[order]) != 0)
    group = np.cumsum(new_group) - 1
    last = np.append(np.flatnonzero(new_group)[1:], len(order)) - 1
    behind = np.zeros(len(item), dtype=np.int64)
    behind[order] = last[group] - np.arange(len(order)) if len(order) else 0
    return behind


def _chunks(total: int, size: int) -> Iterator[slice]:
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
