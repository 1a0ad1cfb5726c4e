"""The innermost loops of ``clusters``, compiled by numba: inverted lists are read where Faiss keeps them.

One pass chooses a query's clusters, scores their items, and leaves out what has been seen, before anything is handed to Python:
the answers of ``clusters`` with Faiss alone, in about half of the time.
"""

# ruff: noqa: ARG001 - the arguments of an intrinsic are types; numba passes the values
from __future__ import annotations

from typing import Any, TypeAlias

import numba
import numpy as np
from numba import carray, types  # type: ignore[attr-defined]
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.retrieval.compiled import in_threads
from shortlist.retrieval.compiled_scan import _to_key
from shortlist.retrieval.filters import Bitmap
from shortlist.retrieval.scan import LOWEST
from shortlist.retrieval.selection import NO_KEY

_TOGETHER = 8  # fewer queries are answered by the caller's own thread
_FEW = 300  # keys are put in order by counting
_LOWEST = np.float32(LOWEST)
Longs: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float32]


class Lists:
    """Inverted lists in memory that somebody else keeps.

    Args:
        vectors: [C] addresses of float32 [size, D + 1].
        items: [C] addresses of int64 [size].
        sizes: [C].
        middles: [C, D] of their vectors.
        standing_out: [C] by so much the best members are above the middle, for a query of length 1.
    """

    def __init__(self, vectors: Longs, items: Longs, sizes: Longs, middles: Floats, standing_out: Floats) -> None:
        self._facts = (vectors, items, sizes, middles, standing_out)

    def best(self, queries: Floats, k: int, exceptions: Ragged, probes: int, bitmap: Bitmap | None) -> Longs:
        """Keys [B, k] of the best in the ``probes`` most promising lists of each query; see ``clusters.Clusters.best``."""
        return self._best(queries, k, exceptions, np.empty((len(queries), 0), np.int64), probes, bitmap)

    def best_in(self, queries: Floats, k: int, exceptions: Ragged, lists: Longs, bitmap: Bitmap | None) -> Longs:
        """The same of given lists [B, P], −1 behind the last."""
        return self._best(queries, k, exceptions, np.ascontiguousarray(lists), 0, bitmap)

    def _best(
        self, queries: Floats, k: int, exceptions: Ragged, lists: Longs, probes: int, bitmap: Bitmap | None
    ) -> Longs:
        keys = np.full((len(queries), k), NO_KEY)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        bits = np.empty(0, np.uint8) if bitmap is None else np.ascontiguousarray(bitmap)
        values, offsets = np.ascontiguousarray(exceptions.values, dtype=np.int32), exceptions.offsets

        def work(rows: Longs) -> None:
            _search(*self._facts, queries, lists, probes, values, offsets, bits, keys, rows)

        rows = np.arange(len(queries))
        if len(rows) < _TOGETHER:
            work(rows)
        else:
            in_threads(work, rows)
        return keys


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """What lies at an address."""
    return types.voidptr(address), lambda _, builder, __, values: builder.inttoptr(values[0], cgutils.voidptr_t)


@numba.njit(nogil=True, cache=True)
def _vectors_at(address: np.int64, size: np.int64, width: int) -> Floats:
    found: Floats = carray(_pointer(address), (size, width), np.float32)  # type: ignore[call-arg] # numba gives the first
    return found


@numba.njit(nogil=True, cache=True)
def _items_at(address: np.int64, size: np.int64) -> Longs:
    found: Longs = carray(_pointer(address), (size,), np.int64)  # type: ignore[call-arg]
    return found


@numba.njit(nogil=True, cache=True)
def _search(
    vectors: Longs, items: Longs, sizes: Longs, middles: Floats, standing_out: Floats, queries: Floats,
    lists: Longs, probes: int, exceptions: NDArray[np.int32], offsets: Longs, bits: Bitmap, keys: Longs, rows: Longs,
) -> None:  # fmt: skip
    k, num_lists, dim = keys.shape[1], len(sizes), middles.shape[1]
    promises, chosen = np.empty(num_lists, np.float32), np.empty(num_lists, np.int64)
    scores, found = np.empty(0, np.float32), np.empty(0, np.int64)
    for row in rows:
        query, own = queries[row], exceptions[offsets[row] : offsets[row + 1]]
        count = 0
        if lists.shape[1]:
            for number in lists[row]:
                if number < 0:
                    break
                chosen[count] = number
                count += 1
        else:
            _dots(middles, query, promises)
            length = np.sqrt((query * query).sum())
            for number in range(num_lists):
                promises[number] += length * standing_out[number]
            least = _least(promises, probes, 0)
            for number in range(num_lists):
                chosen[count] = number
                count += promises[number] >= least
        num_chosen, total = count, sizes[chosen[:count]].sum()
        if len(scores) < total:
            scores, found = np.empty(2 * total, np.float32), np.empty(2 * total, np.int64)
        stop = 0
        for number in chosen[:num_chosen]:
            start, stop = stop, stop + sizes[number]
            _dots(_vectors_at(vectors[number], sizes[number], dim + 1), query, scores[start:stop])
            if len(bits):
                _forbid(_items_at(items[number], sizes[number]), bits, scores[start:stop])
        least, count = _least(scores[:total], k + len(own), (k + len(own)) // 8), 0
        for place in range(total):
            found[count] = place
            count += scores[place] >= least
        at, stop = 0, 0
        for number in chosen[:num_chosen]:
            start, stop = stop, stop + sizes[number]
            names = _items_at(items[number], sizes[number])
            while at < count and found[at] < stop:
                found[at] = _to_key(scores[found[at]], names[found[at] - start])
                at += 1
        _put(_in_order(found[:count]), own, keys[row])


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _dots(vectors: Floats, query: Floats, scores: Floats) -> None:
    """Products of a query [D] with the first D numbers of each row."""
    for row in range(len(vectors)):
        vector, total = (
            vectors[row],
            np.float32(0),
        )  # as an array of its own: only then the sum becomes vector instructions
        for i in range(len(query)):
            total += vector[i] * query[i]
        scores[row] = total


@numba.njit(nogil=True, cache=True)
def _forbid(items: Longs, bits: Bitmap, scores: Floats) -> None:
    """−inf where the bitmap has not the item."""
    for place in range(len(items)):
        if not (bits[items[place] >> 3] >> np.uint8(items[place] & 7)) & 1:
            scores[place] = -np.inf


@numba.njit(nogil=True, cache=True)
def _least(scores: Floats, wanted: int, more: int) -> np.float32:
    """A score which the ``wanted`` best reach, and few ``more`` or ties besides; the lowest where there are not so many.

    By bisection: to count what reaches a score is one vector instruction for many of them, and nothing is guessed wrong.
    """
    low, high = _extremes(scores)  # so many reach the first; too few, or all the same, reach the second
    if _count(scores, low) <= wanted:
        return low
    if _count(scores, high) >= wanted:
        return high
    while True:
        middle = low + (high - low) * np.float32(0.5)
        if middle <= low or middle >= high:
            return low
        count = _count(scores, middle)
        if count < wanted:
            high = middle
        else:
            low = middle
            if count <= wanted + more:
                return low


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nnan", "nsz"})
def _extremes(scores: Floats) -> tuple[np.float32, np.float32]:
    """The lowest and the highest that is not −inf."""
    low, high = np.float32(np.inf), np.float32(-np.inf)
    for place in range(len(scores)):
        score = scores[place]
        high = max(high, score)
        low = min(low, score if score >= _LOWEST else np.float32(np.inf))
    return low, high


@numba.njit(nogil=True, cache=True)
def _count(scores: Floats, least: np.float32) -> np.int32:
    count = np.int32(0)
    for place in range(len(scores)):
        count += scores[place] >= least
    return count


@numba.njit(nogil=True, cache=True)
def _in_order(keys: Longs) -> Longs:
    """Ascending; of a few, each one's place is the number of those below it, which is again counting."""
    if len(keys) > _FEW:
        return np.sort(keys)
    ordered = np.empty_like(keys)
    for at in range(len(keys)):
        key, place = keys[at], 0
        for other in range(len(keys)):
            place += keys[other] < key
        ordered[place] = key
    return ordered


@numba.njit(nogil=True, cache=True)
def _put(found: Longs, exceptions: NDArray[np.int32], keys: Longs) -> None:
    """The first of the found that are no exceptions."""
    own = np.sort(exceptions)
    at = 0
    for key in found:
        if at == len(keys):
            return
        item = key & np.int64(0xFFFFFFFF)
        place = np.searchsorted(own, item)
        if place == len(own) or own[place] != item:
            keys[at] = key
            at += 1
