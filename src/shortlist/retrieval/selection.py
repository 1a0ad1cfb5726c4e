"""From a block of scores to the best k and to the ranks of targets, without sorting the corpus.

Two roads give the same answers: plain NumPy, and, for large blocks where numba is installed, the loops of ``compiled``.
A forbidden item has the score −inf.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged

_COMPILED_CELLS = 2_000_000  # smaller blocks take milliseconds either way, and should not wait for numba to load
_COMPARED_AT_ONCE = 4_000_000
NO_KEY = np.int64(np.iinfo(np.int64).max)  # worse than any (see to_keys)


Keys = NDArray[np.int64]  # see to_keys


@cache
def has_numba() -> bool:
    """Whether loops can be compiled."""
    try:
        return find_spec("numba") is not None
    except ImportError:
        return False


def top(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k best columns of every row, best first; of equal scores the lower column first.

    Args:
        scores: [B, N], finite or −inf.
        k: at most N.

    Returns:
        columns [B, k], −1 where there are fewer than k; their scores [B, k], −inf there.
    """
    if _is_worth_compiling(scores):
        from shortlist.retrieval.compiled import top as compiled_top

        return compiled_top(scores, k)
    order = _best_of_one(scores, k) if len(scores) == 1 and k > 0 else _best_first(scores, k)
    best = np.take_along_axis(scores, order, 1)
    return np.where(best > -np.inf, order, -1).astype(np.int32), best


def to_keys(scores: NDArray[np.float32], items: NDArray[Any]) -> NDArray[np.int64]:
    """Score and item in one number each: the lower, the better; of equal scores the lower item is the better.

    So one unstable partition or one heap gives one answer.

    Args:
        scores: any shape, no NaN.
        items: indices, of a shape that broadcasts.

    >>> keys = to_keys(np.array([2, -1, 2], np.float32), np.array([7, 5, 3]))
    >>> [one.tolist() for one in from_keys(np.sort(keys))]
    [[3, 7, 5], [2.0, 2.0, -1.0]]
    """
    bits = (scores + np.float32(0)).view(np.int32)  # + 0 makes -0 and 0 one number
    ordered = np.where(bits >= 0, bits, bits ^ np.int32(0x7FFFFFFF)).astype(np.int64)  # monotone in the score
    keys: NDArray[np.int64] = -(ordered << 32) + items
    return keys


def from_keys(keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Items and scores of keys; of ``NO_KEY`` −1 and −inf."""
    ordered = (-(keys >> 32)).astype(np.int32)
    scores = np.where(ordered >= 0, ordered, ordered ^ np.int32(0x7FFFFFFF)).view(np.float32)
    items, is_none = (keys & 0xFFFFFFFF).astype(np.int32), keys == NO_KEY
    if is_none.any():
        items[is_none], scores[is_none] = -1, -np.inf
    return items, scores


def ranks(scores: NDArray[np.float32], targets: Ragged, first_query: int = 0) -> NDArray[np.int64]:
    """Rank (1 is best) of every target in its row. Equal scores are ordered by lot.

    The lot is a hash of query and item: the same in every run, and independent of the items' order, so that a model
    whose scores are all equal gets what chance gets. (The lower index is no fair judge of ties: items are numbered by
    popularity.)

    Args:
        scores: [B, N].
        targets: B rows of columns.
        first_query: number of row 0 among all queries: blocks do not change ranks.

    Returns:
        [T], aligned with ``targets.values``; N + 1 for a forbidden target.
    """
    if _is_worth_compiling(scores):
        from shortlist.retrieval.compiled import ranks as compiled_ranks

        return compiled_ranks(scores, targets, first_query)
    query, item = targets.row_of_value, targets.values
    own = scores[query, item]
    ahead = np.empty(len(item), dtype=np.int64)
    size = max(1, _COMPARED_AT_ONCE // max(1, scores.shape[1]))
    for start in range(0, len(item), size):
        chunk = slice(start, start + size)
        others, mine = scores[query[chunk]], own[chunk, None]
        ahead[chunk] = (others > mine).sum(axis=1)
        row, column = np.nonzero(others == mine)
        query_of_tie = first_query + query[chunk][row]
        loses = lot(query_of_tie, column) < lot(query_of_tie, item[chunk][row])
        ahead[chunk] += np.bincount(row[loses], minlength=len(mine))
    return np.where(own > -np.inf, ahead + 1, scores.shape[1] + 1)


def lot(query: NDArray[np.int64], item: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number that looks random for every pair (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = query.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + item.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _is_worth_compiling(scores: NDArray[np.float32]) -> bool:
    return has_numba() and scores.size >= _COMPILED_CELLS


def _best_of_one(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """``_best_first`` of a single row: the k-th best score first, then only what comes up to it is put in order."""
    row = scores[0]
    kth = np.partition(row, len(row) - k)[len(row) - k]
    columns = np.flatnonzero(row >= kth)
    best: NDArray[np.int64] = columns[np.argsort(-row[columns], kind="stable")[:k]]
    return best[None]


def _best_first(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """[B, k] columns of the best scores, ties by lower column."""
    num_items = scores.shape[1]
    keys = to_keys(scores, np.arange(num_items))
    if k < num_items:
        part = np.argpartition(keys, k - 1, axis=1)[:, :k]
    else:
        part = np.broadcast_to(np.arange(num_items), keys.shape)
    return np.take_along_axis(part, np.argsort(np.take_along_axis(keys, part, 1), axis=1), 1)
