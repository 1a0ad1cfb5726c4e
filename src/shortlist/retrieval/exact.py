"""Exact search: the answer of scoring every item. The default, and the oracle of any approximate index."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.retrieval.base import ScoredItems, Vectors, dot
from shortlist.retrieval.filters import ALL, Candidates, unpack
from shortlist.retrieval.pruning import promising_first
from shortlist.retrieval.quantized import QuantizedScan, is_supported
from shortlist.retrieval.scan import Scan, TiledScan
from shortlist.retrieval.selection import from_keys, ranks, top

_BLOCK_CELLS = 8_000_000  # scores held at once: 32 MB of float32
_FEW = 0.25  # share of the corpus up to which gathering the allowed items' vectors first is faster than scoring all
_FEW_QUANTIZED = 0.08  # the same for corpora laid out as bytes, which are scanned faster
_SCANNED = 30_000  # corpora from here on are laid out for pruning; of smaller ones a query scores all in a millisecond


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

    The first ``search`` of a large corpus lays it out (``quantized`` where numba and the processor allow it, else ``scan``):
    a quarter of the vectors' memory, or as much again, and a few seconds for a million items. From then on items that cannot
    be among the best are left out; the answers are those of scoring all, up to the last bits of float32 sums: where two scores
    differ by no more than these, either may come first. As many threads as NUMBA_NUM_THREADS says, by default one for each
    processor, share out the queries of a batch (without numba: the threads of NumPy's BLAS).

    Sparse vectors, and those that are not finite, are all scored, a block of queries at a time. Where filters leave few items
    (a quarter of the corpus or less, or a twelfth), ``search`` gathers their vectors and scores those only.

    >>> index = ExactIndex(np.eye(3, dtype=np.float32))
    >>> query = np.array([[3, 2, 1]], dtype=np.float32)
    >>> index.search(query, 2, Candidates(Ragged.from_rows([[0]])))[0].item_idx.tolist()
    [1, 2]
    """

    def __init__(self, item_vectors: Vectors) -> None:
        self.item_vectors = item_vectors
        self._layout: Scan | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self.item_vectors.shape[0])

    def search(self, query_vectors: Vectors, k: int, candidates: Candidates) -> list[ScoredItems]:
        """The k best allowed items of each query: min(k, allowed) of them, ties by lower index.

        Args:
            query_vectors: [B, D].
            k: wanted items.
            candidates: which may come back.
        """
        found: list[ScoredItems] = [_NOTHING] * len(candidates)
        for rows, items in self._restrictions(candidates):
            queries, asked = query_vectors[rows], candidates.take(rows)
            if items is None and self._is_scannable(queries):
                columns, best = from_keys(self._scan(queries).best(queries, min(k, len(self)), asked))
                _fill(found, rows, columns, best)
                continue
            vectors = self.item_vectors if items is None else self.item_vectors[items]
            asked = asked if items is None else asked.among(items)
            for start, scores in _blocks(vectors, queries, asked):
                columns, best = top(scores, min(k, scores.shape[1]))
                if items is not None:  # they ascend, so that of equal scores the lower index still comes first
                    columns = np.where(columns >= 0, np.append(items, -1)[columns], -1)
                _fill(found, rows[start : start + len(scores)], columns, best)
        return found

    def ranks(self, query_vectors: Vectors, targets: Ragged, candidates: Candidates) -> Ragged:
        """Rank (1 is best) of every target among its query's allowed items; equal scores by lot (``selection.ranks``).

        Args:
            query_vectors: [B, D].
            targets: B rows of item indices.
            candidates: which items compete; a target that is excluded itself ranks behind everything, N + 1.
        """
        blocks = _blocks(self.item_vectors, query_vectors, candidates)
        return _rows([ranks(scores, _part(targets, start, scores), start) for start, scores in blocks], targets)

    def examine(self, query_vectors: Vectors, k: int, targets: Ragged, candidates: Candidates) -> Examined:
        """``search`` and ``ranks`` in one pass over the scores, as arrays."""
        lists, places, allowed = [], [], []
        for start, scores in _blocks(self.item_vectors, query_vectors, candidates):
            lists.append(top(scores, min(k, len(self)))[0])
            places.append(ranks(scores, _part(targets, start, scores), start))
            allowed.append(np.count_nonzero(scores > -np.inf, axis=1))
        return Examined(np.concatenate(lists), _rows(places, targets), np.concatenate(allowed))

    def _is_scannable(self, query_vectors: Vectors) -> bool:
        """Whether bounds hold and pay."""
        return self._has_bounds and isinstance(query_vectors, np.ndarray) and bool(np.isfinite(query_vectors).all())

    @cached_property
    def _has_bounds(self) -> bool:
        vectors = self.item_vectors
        return len(self) >= _SCANNED and isinstance(vectors, np.ndarray) and bool(np.isfinite(vectors).all())

    def _scan(self, query_vectors: NDArray[np.float32]) -> Scan:
        """The corpus laid out, once; the first queries tell what is promising."""
        with self._lock:
            if self._layout is None:
                order = promising_first(self.item_vectors, query_vectors)
                is_quantized = is_supported() and QuantizedScan.can_hold(self.item_vectors)
                self._layout = (QuantizedScan if is_quantized else TiledScan)(self.item_vectors, order)
            return self._layout

    def _restrictions(self, candidates: Candidates) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32] | None]]:
        """Queries, and the items that alone need to be scored for them, ascending; None: all of the corpus.

        Queries that share a bitmap are asked together where it and what they are allowed besides are few.
        """
        wide, few = [], _FEW_QUANTIZED if isinstance(self._layout, QuantizedScan) else _FEW
        for number, rows in candidates.groups():
            own = candidates.exceptions.take(rows).values
            bits = candidates.bitmaps[number : number + 1] if number >= 0 else np.empty((0, 0), np.uint8)
            if number == ALL or np.bitwise_count(bits).sum() + len(own) > few * len(self):
                wide.append(rows)
                continue
            is_met: NDArray[np.bool_] = np.any(unpack(bits, len(self)), axis=0)
            is_met[own] = True
            yield rows, np.flatnonzero(is_met).astype(np.int32)
        if wide:
            yield np.sort(np.concatenate(wide)), None


def _fill(
    found: list[ScoredItems], rows: NDArray[np.int64], item_idx: NDArray[np.int32], score: NDArray[np.float32]
) -> None:
    """Put [b, k] answers, −1 behind the last, into their places."""
    for row, items, scores, n in zip(rows.tolist(), item_idx, score, (item_idx >= 0).sum(axis=1).tolist(), strict=True):
        found[row] = ScoredItems(items[:n], scores[:n], "exact")


_NOTHING = ScoredItems(np.empty(0, np.int32), np.empty(0, np.float32), "exact")


def _blocks(
    item_vectors: Vectors, query_vectors: Vectors, candidates: Candidates
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """First query and scores [b, N] of each block, −inf where forbidden."""
    size = max(1, _BLOCK_CELLS // max(1, item_vectors.shape[0]))
    for start in range(0, query_vectors.shape[0], size):
        scores = dot(query_vectors[start : start + size], item_vectors)
        candidates.take(np.arange(start, start + len(scores))).forbid(scores)
        yield start, scores


def _part(targets: Ragged, start: int, scores: NDArray[np.float32]) -> Ragged:
    return targets.take(np.arange(start, start + len(scores)))


def _rows(parts: list[NDArray[np.int64]], targets: Ragged) -> Ragged:
    return Ragged(np.concatenate([np.empty(0, np.int64), *parts]), targets.offsets)
