"""The best k of the whole corpus without scoring all of it and without holding the scores: with NumPy alone."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shortlist.retrieval.filters import Candidates
from shortlist.retrieval.pruning import Bounds
from shortlist.retrieval.selection import NO_KEY, from_keys, to_keys

_GROUP = 256  # items whose scores have one bound
_CELLS = 1 << 18  # scores of a tile: 1 MB of float32, which stays in a core's cache
_MOST_GROUPS = 64  # in a tile
_QUERIES = 256
LOWEST = float(np.finfo(np.float32).min)


class Scan(Protocol):
    """A corpus laid out for search."""

    def best(self, query_vectors: NDArray[np.float32], k: int, candidates: Candidates) -> NDArray[np.int64]:
        """Keys [B, k] (``selection.to_keys``) of the best allowed items, best first; ``NO_KEY`` where there are fewer."""
        ...


class TiledScan:
    """Tiles of a matrix product; of each only what passes the k-th best score so far is looked at again.

    Args:
        item_vectors: [N, D] finite.
        order: [N] the promising ones first (``pruning.promising_first``).

    Holds a copy of the vectors in this order.
    """

    def __init__(self, item_vectors: NDArray[np.float32], order: NDArray[np.int64]) -> None:
        self._order = order
        self._vectors = item_vectors[order]
        self._bounds = Bounds.of(item_vectors, order, _GROUP)

    def best(self, query_vectors: NDArray[np.float32], k: int, candidates: Candidates) -> NDArray[np.int64]:
        """See ``Scan.best``."""
        blocks = [
            self._block(query_vectors[start : start + _QUERIES], k, candidates.take(rows))
            for start in range(0, len(query_vectors), _QUERIES)
            for rows in (np.arange(start, min(start + _QUERIES, len(query_vectors))),)
        ]
        return np.concatenate(blocks)

    def _block(self, queries: NDArray[np.float32], k: int, candidates: Candidates) -> NDArray[np.int64]:
        reach = self._bounds.reach(queries)
        found = _Found(len(queries), k, candidates, len(self._order))
        most = min(_MOST_GROUPS, max(1, _CELLS // (_GROUP * len(queries))))
        following, width = (
            0,
            1,
        )  # the first tile is small, for all of it passes; then each is larger than the one before
        while following < reach.shape[1]:
            part = slice(following, following + width)
            following, width = part.stop, min(2 * width, most)
            active = np.flatnonzero(reach[:, part].max(axis=1) >= found.threshold)
            if not len(active):
                continue
            start = part.start * _GROUP
            scores = self._vectors[start : part.stop * _GROUP] @ queries[active].T
            passing = np.flatnonzero(
                scores >= found.threshold[active].astype(np.float32)
            )  # np.nonzero takes ten times as long
            place, column = np.divmod(passing, len(active))
            found.add(active[column], self._order[start + place], scores[place, column])
        return found.keys()


class _Found:
    """The best so far of B queries, and what waits to be compared with them: comparing pays by the dozen."""

    def __init__(self, num_queries: int, k: int, candidates: Candidates, num_items: int) -> None:
        self._keys = np.full((num_queries, k), NO_KEY)
        self._candidates, self._num_items = candidates, num_items
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
        self._num_waiting = 0
        self.threshold = np.full(num_queries, LOWEST)  # [B] lower scores are not wanted any more

    def add(self, query: NDArray[np.int64], item: NDArray[np.int64], score: NDArray[np.float32]) -> None:
        self._waiting.append((query, item, score))
        self._num_waiting += len(query)
        if self._num_waiting >= self._keys.size or (self.threshold == LOWEST).any():
            self._compare()

    def keys(self) -> NDArray[np.int64]:
        if self._waiting:
            self._compare()
        return np.sort(self._keys, axis=1)

    def _compare(self) -> None:
        query, item, score = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        self._waiting, self._num_waiting = [], 0
        allowed = self._candidates.admits(query, item, self._num_items)
        query, keys = query[allowed], to_keys(score[allowed], item[allowed])
        num_queries, k = self._keys.shape
        by_query = np.argsort(query, kind="stable")
        counts = np.bincount(query, minlength=num_queries)
        place = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
        all_keys = np.full((num_queries, k + int(counts.max(initial=0))), NO_KEY)
        all_keys[:, :k] = self._keys
        all_keys[query[by_query], k + place] = keys[by_query]
        all_keys.partition(k - 1, axis=1)
        self._keys = all_keys[:, :k]
        self.threshold = np.maximum(from_keys(self._keys.max(axis=1))[1].astype(np.float64), LOWEST)
