"""One immutable moment of a live corpus: a base index, what has changed since, and the search through both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import is_among
from shortlist.retrieval.base import Index, ScoredItems
from shortlist.retrieval.exact import ExactIndex
from shortlist.retrieval.filters import Candidates
from shortlist.retrieval.selection import NO_KEY, from_keys, to_keys

_MORE = 16  # items asked for besides k, where some of the base are hidden
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LiveState:
    """What readers see. Nothing of it changes: a write makes another one.

    Args:
        base: index of items 0 to len(base).
        hidden: items of the base that are changed or removed, ascending.
        vectors: [n, D] of the delta, in the order in which they came.
        items: [n] whose they are.
        dead: rows of the delta that are changed or removed since, ascending.
        gone: all items that are removed, ascending.
        num_items: one more than the largest index ever given.
    """

    base: Index
    hidden: Rows
    vectors: NDArray[np.float32]
    items: Rows
    dead: Rows
    gone: Rows
    num_items: int

    def __len__(self) -> int:
        return self.num_items

    def search(self, query_vectors: NDArray[np.float32], k: int, candidates: Candidates) -> list[ScoredItems]:
        """See ``Index.search``."""
        keys = [self._of_base(query_vectors, k, candidates)]
        items, delta = self._delta
        if len(items):
            found = delta.search(query_vectors, k, _widened(candidates, self.num_items).among(items))
            keys.append(_keys(found, k, items))
        best = np.sort(np.concatenate(keys, axis=1), axis=1)[:, :k]
        item_idx, score = from_keys(best)
        count = (best != NO_KEY).sum(axis=1).tolist()
        return [ScoredItems(item_idx[row, :n], score[row, :n], "live") for row, n in enumerate(count)]

    @property
    def living_rows(self) -> Rows:
        """Of the delta."""
        return np.setdiff1d(np.arange(len(self.items)), self.dead, assume_unique=True)

    @cached_property
    def _delta(self) -> tuple[Rows, _Flat]:
        """Living items of the delta, ascending, and their index; a view where items were only added."""
        if not len(self.dead) and (np.diff(self.items) > 0).all():
            return self.items, _Flat(self.vectors)
        rows = self.living_rows[np.argsort(self.items[self.living_rows])]
        return self.items[rows], _Flat(self.vectors[rows])

    def _of_base(self, query_vectors: NDArray[np.float32], k: int, candidates: Candidates) -> NDArray[np.int64]:
        """Keys [B, k]. Few of the best are hidden: a few more are asked for, and only where these do not do a bitmap helps."""
        size = len(self.base)
        within = _narrowed(_widened(candidates, size), size)
        more = min(_MORE, len(self.hidden))
        found = self.base.search(query_vectors, k + more, within)
        keys = _keys(found, k + more)
        if not more:
            return keys
        is_hidden = is_among((keys & 0xFFFFFFFF).ravel(), self.hidden).reshape(keys.shape) & (keys != NO_KEY)
        keys[is_hidden] = NO_KEY
        keys.sort(axis=1)
        was_full = np.array([len(one) == k + more for one in found], dtype=bool)
        short = np.flatnonzero(was_full & (keys[:, k - 1] == NO_KEY))
        if len(short):
            shown = ~is_among(np.arange(size), self.hidden)
            visible = within.take(short) & Candidates.shared(shown[None], np.zeros(len(short)))
            keys[short, :k] = _keys(self.base.search(query_vectors[short], k, visible), k)
        return keys[:, :k]


class _Flat(ExactIndex):
    """A few items, which are all scored: a layout would not outlive the next write."""

    @property
    def _has_bounds(self) -> bool:
        return False


def _keys(found: list[ScoredItems], k: int, names: Rows | None = None) -> NDArray[np.int64]:
    """[B, k] of lists of at most k; items are named by these, if there are some."""
    keys = np.full((len(found), k), NO_KEY)
    for row, one in enumerate(found):
        items = one.item_idx.astype(np.int64) if names is None else names[one.item_idx]
        keys[row, : len(one)] = to_keys(one.score, items)
    return keys


def _narrowed(candidates: Candidates, size: int) -> Candidates:
    """The same of the first items only."""
    exceptions = candidates.exceptions
    if exceptions.values.max(initial=0) >= size:
        exceptions = exceptions.where(exceptions.values < size)
    return Candidates(exceptions, bitmaps=candidates.bitmaps[:, : -(-size // 8)], bitmap=candidates.bitmap)


def _widened(candidates: Candidates, size: int) -> Candidates:
    """Bitmaps that were made before there were so many items have none of the new ones."""
    missing = -(-size // 8) - candidates.bitmaps.shape[1]
    if missing <= 0 or not len(candidates.bitmaps):
        return candidates
    bitmaps = np.pad(candidates.bitmaps, ((0, 0), (0, missing)))
    return Candidates(candidates.exceptions, bitmaps=bitmaps, bitmap=candidates.bitmap)
