"""The loops of ``selection``, compiled by numba once and cached; threads share out the rows.

The loops hold no lock of Python's (``nogil``), so that plain threads run them: unlike numba's own pool these may be
called from several threads at a time, as a server does.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged


def top(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """See ``selection.top``."""
    columns = np.full((len(scores), k), -1, dtype=np.int32)
    best = np.full((len(scores), k), -np.inf, dtype=np.float32)
    _share_out(len(scores), lambda start, stop: _top(scores[start:stop], columns[start:stop], best[start:stop]))
    return columns, best


def ranks(scores: NDArray[np.float32], targets: Ragged, first_query: int) -> NDArray[np.int64]:
    """See ``selection.ranks``."""
    out = np.empty(len(targets.values), dtype=np.int64)
    offsets, values = targets.offsets, targets.values
    _share_out(len(scores), lambda start, stop: _ranks(scores, offsets, values, first_query, start, stop, out))
    return out


def _share_out(num_rows: int, work: Callable[[int, int], None]) -> None:
    """Give every thread a range of rows, a few times over, so that none waits long for the last."""
    bounds = np.linspace(0, num_rows, 4 * _num_threads() + 1).astype(int)
    list(_threads().map(work, bounds[:-1], bounds[1:]))


def in_threads(work: Callable[[NDArray[np.int64]], None], numbers: NDArray[np.int64]) -> None:
    """Deal the numbers out like cards, one hand to every thread; the caller's own plays when there is only one."""
    hands = [numbers[first :: _num_threads()] for first in range(min(_num_threads(), len(numbers)))]
    if len(hands) == 1:
        work(hands[0])
    else:
        list(_threads().map(work, hands))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_num_threads(), thread_name_prefix="shortlist-selection")


def _num_threads() -> int:
    """All processors this process may use, or as the environment's NUMBA_NUM_THREADS says."""
    config: Any = numba.config
    return int(config.NUMBA_NUM_THREADS)


@numba.njit(nogil=True, cache=True)
def _top(scores: NDArray[np.float32], columns: NDArray[np.int32], best: NDArray[np.float32]) -> None:
    """Each row keeps a heap of its k best, the worst on top: of equal scores the higher column is worse."""
    num_rows, num_items = scores.shape
    k = columns.shape[1]
    for row in range(num_rows):
        column, value = columns[row], best[row]
        size = 0
        for item in range(num_items):
            score = scores[row, item]
            if size == k:
                if score > value[0]:  # a later column never displaces an equal score
                    _sink(value, column, k, score, item)
            elif score > -np.inf:
                at = size
                size += 1
                while at > 0 and value[(at - 1) // 2] >= score:  # the newest is the worst among equals: it rises
                    parent = (at - 1) // 2
                    value[at], column[at] = value[parent], column[parent]
                    at = parent
                value[at], column[at] = score, item
        for last in range(size - 1, 0, -1):  # take the worst off the top, again and again
            score, item = value[last], column[last]
            value[last], column[last] = value[0], column[0]
            _sink(value, column, last, score, item)


@numba.njit(nogil=True, cache=True)
def _sink(value: NDArray[np.float32], column: NDArray[np.int32], size: int, score: np.float32, item: int) -> None:
    """Put an entry into the place of the top and let it sink below what is worse."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            value[other] < value[child] or (value[other] == value[child] and column[other] > column[child])
        ):
            child = other
        if value[child] > score or (value[child] == score and column[child] < item):
            break
        value[at], column[at] = value[child], column[child]
        at = child
    value[at], column[at] = score, item


@numba.njit(nogil=True, cache=True)
def _lot(query: int, item: int) -> np.uint64:
    mixed = np.uint64(query) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(item)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@numba.njit(nogil=True, cache=True)
def _ranks(
    scores: NDArray[np.float32],
    offsets: NDArray[np.int64],
    targets: NDArray[np.int32],
    first_query: int,
    start: int,
    stop: int,
    out: NDArray[np.int64],
) -> None:
    num_items = scores.shape[1]
    for row in range(start, stop):
        line = scores[row]
        for t in range(offsets[row], offsets[row + 1]):
            target = targets[t]
            own = line[target]
            if own == -np.inf:
                out[t] = num_items + 1
                continue
            above, level = np.int32(0), np.int32(0)
            for item in range(num_items):  # without a branch: one vector instruction for many items
                above += line[item] > own
                level += line[item] == own
            rank = above + 1
            if level > 1:
                mine = _lot(first_query + row, target)
                for item in range(num_items):
                    if line[item] == own and _lot(first_query + row, item) < mine:
                        rank += 1
            out[t] = rank
