"""Approximate search under the promise of the exact one: always k items, never a forbidden one, true scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.retrieval.base import ScoredItems, Vectors
from shortlist.retrieval.clusters import STANDING_OUT, Clusters
from shortlist.retrieval.effort import Effort
from shortlist.retrieval.exact import ExactIndex
from shortlist.retrieval.filters import ALL, NONE, Bitmap, Candidates
from shortlist.retrieval.selection import NO_KEY, Keys, from_keys, to_keys

FILE = "clusters.faiss"
_QUERIES = 128  # at one time
Rows = NDArray[np.int64]


class AnnIndex:
    """The most promising clusters of the corpus by dot product; ``tuning.tune`` chooses how many.

    Args:
        item_vectors: [N, D] float32 finite.
        clusters: of these vectors.
        effort: how far to look, and when exact search is to answer instead.

    An answer has min(k, allowed) items, none of them forbidden; their scores are dot products in float32, of equal ones the
    lower index first. What is approximate is which items were looked at. Exact search answers where a filter leaves few
    items, where so many clusters would have to be looked at that it is faster, and where they hold too few items.
    """

    def __init__(self, item_vectors: NDArray[np.float32], clusters: Clusters, effort: Effort) -> None:
        self.item_vectors, self.clusters, self.effort = item_vectors, clusters, effort
        self.exact = ExactIndex(item_vectors)

    def __len__(self) -> int:
        return len(self.exact)

    def search(self, query_vectors: Vectors, k: int, candidates: Candidates) -> list[ScoredItems]:
        """About the k best allowed items of each query: min(k, allowed) of them, best first.

        Args:
            query_vectors: [B, D].
            k: wanted items.
            candidates: which may come back.
        """
        if not isinstance(query_vectors, np.ndarray) or not np.isfinite(query_vectors).all():
            return self.exact.search(query_vectors, k, candidates)
        keys = self._keys(query_vectors, min(k, len(self)), candidates)
        is_full = keys[:, -1] != NO_KEY
        rest = np.flatnonzero(~is_full)
        exact = iter(self.exact.search(query_vectors[rest], k, candidates.take(rest)) if len(rest) else ())
        items, scores = from_keys(keys)
        return [
            ScoredItems(items[row], scores[row], "ann") if full else next(exact)
            for row, full in enumerate(is_full.tolist())
        ]

    def save(self, folder: Path) -> None:
        """Write the clusters into a folder; the vectors and the effort are kept elsewhere."""
        self.clusters.write(folder / FILE)

    @classmethod
    def load(cls, folder: Path, item_vectors: NDArray[np.float32], effort: Effort) -> AnnIndex:
        """Map what ``save`` wrote."""
        return cls(item_vectors, Clusters.read(folder / FILE), effort)

    def _keys(self, queries: NDArray[np.float32], k: int, candidates: Candidates) -> Keys:
        """[B, k] of the best that were found, best first; ``NO_KEY`` where exact search is to answer."""
        excluded = candidates.exceptions.lengths
        if candidates.bitmap is None and len(queries) <= _QUERIES and k + excluded.max(initial=0) <= self.effort.depth:
            return self._first(queries, k, candidates.exceptions)
        keys = np.full((len(queries), k), NO_KEY)
        for rows, bitmap, share in self._groups(k, candidates):
            rows = rows[np.argsort(excluded[rows], kind="stable")]  # who excludes much makes others fetch as much
            for start in range(0, len(rows), _QUERIES):
                part = rows[start : start + _QUERIES]
                asked = queries[part], k, candidates.exceptions.take(part)
                keys[part] = self._first(*asked) if share is None else self._deep(*asked, bitmap, share)
        return keys

    def _groups(self, k: int, candidates: Candidates) -> Iterator[tuple[Rows, Bitmap | None, float | None]]:
        """Queries that clusters are asked, the bitmap they share, and the share of items it keeps; None: the simple road."""
        is_simple = k + candidates.exceptions.lengths <= self.effort.depth
        for number, rows in candidates.groups():
            bitmap, share = None, 1.0
            if number == NONE:
                continue
            elif number == ALL:
                yield rows[is_simple[rows]], None, None
                rows = rows[~is_simple[rows]]
            else:
                bitmap = candidates.bitmaps[number]
                share = int(np.bitwise_count(bitmap).sum()) / len(self)
            if len(rows) and self.effort.begins(share):
                yield rows, bitmap, share

    def _first(self, queries: NDArray[np.float32], k: int, exceptions: Ragged) -> Keys:
        """Without a filter: the number of clusters that was measured to be enough."""
        return self.clusters.best(queries, k, self.effort.probes, exceptions)

    def _deep(
        self, queries: NDArray[np.float32], k: int, exceptions: Ragged, bitmap: Bitmap | None, share: float
    ) -> Keys:
        """Promising clusters first, then every one that may hold something better than the k-th best of these."""
        middle, standing_out = self.clusters.promises(queries)
        first = self._first_clusters(share)
        order = np.argpartition(-(middle + STANDING_OUT * standing_out), first - 1, axis=1)[:, :first]
        keys = self.clusters.best_in(queries, k, order, exceptions, bitmap)
        if bitmap is not None and len(exceptions.values):
            keys = _merged(keys, self._brought_in(queries, exceptions, bitmap))
        least = from_keys(keys[:, -1])[1]
        may_help = middle + np.float32(self.effort.reach) * standing_out >= least[:, None]
        np.put_along_axis(may_help, order, False, axis=1)
        scanned = may_help @ self.clusters.sizes + self.clusters.sizes[order].sum(axis=1)
        is_worth = np.isfinite(least) & self.effort.is_worth(scanned, share)
        keys[~is_worth] = NO_KEY
        rows = np.flatnonzero(is_worth & may_help.any(axis=1))
        if len(rows):
            row, cluster = np.nonzero(may_help[rows])
            lists = Ragged.from_row_of_value(cluster, row, len(rows))
            rest = lists.padded(int(lists.lengths.max()), -1)
            keys[rows] = _merged(
                keys[rows], self.clusters.best_in(queries[rows], k, rest, exceptions.take(rows), bitmap)
            )
        return keys

    def _first_clusters(self, share: float) -> int:
        """Under a filter; the fewer it keeps, the more are likely to be needed."""
        return min(int(np.ceil(self.effort.probes / np.sqrt(share))), len(self.clusters))

    def first_items(self, share: float) -> float:
        """About as many items are looked at first under a filter that keeps this share."""
        return self._first_clusters(share) * len(self) / len(self.clusters)

    def _brought_in(self, queries: NDArray[np.float32], exceptions: Ragged, bitmap: Bitmap) -> Keys:
        """[B, n] what is allowed although the bitmap has it not."""
        is_added = (bitmap[exceptions.values >> 3] >> (exceptions.values & 7).astype(np.uint8)) & 1 == 0
        added = exceptions.where(is_added)
        row, item = np.divmod(np.unique(added.row_of_value * len(self) + added.values), len(self))
        scores = np.einsum("nd,nd->n", queries[row], self.item_vectors[item])
        keys = Ragged.from_row_of_value(to_keys(scores, item), row, len(queries))
        return keys.padded(int(keys.lengths.max(initial=0)), int(NO_KEY))


def _merged(keys: Keys, others: Keys) -> Keys:
    """[B, k] the best of both."""
    return np.sort(np.concatenate([keys, others], axis=1), axis=1)[:, : keys.shape[1]]
