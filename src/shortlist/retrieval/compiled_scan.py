"""The loops of ``quantized``, compiled by numba: what becomes of items whose products of bytes are large."""

from __future__ import annotations

from typing import TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from shortlist.retrieval.compiled import in_threads
from shortlist.retrieval.compiled_products import lowest, products
from shortlist.retrieval.filters import ALL
from shortlist.retrieval.quantized import BLOCK, PANEL, TOGETHER

_PANELS_AT_ONCE = 512  # with 64 dimensions 1 MB, which a core keeps at hand for all its queries
_TINY = float(np.finfo(np.float32).tiny)
Bytes: TypeAlias = NDArray[np.uint8]
Ints: TypeAlias = NDArray[np.int32]
Longs: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]


def scan(
    panels: Bytes,
    panel_facts: Doubles,
    bounds: Doubles,
    items: Ints,
    item_vectors: Floats,
    codes: Ints,
    query_facts: Doubles,
    slots: Longs,
    queries: Floats,
    admitted: tuple[Bytes, Longs, Longs, Ints, Longs],
    keys: Longs,
    count: Longs,
    threshold: Doubles,
    start: int,
    stop: int,
) -> None:
    """Bring the heaps of all queries up to date with some panels, in place; threads share out the groups of queries.

    Args:
        panels: [P, steps, 32, 4] codes of the items, and 128.
        panel_facts: [P, 3] 1 / unit, largest error / unit, largest norm / unit.
        bounds: [⌈P / 8⌉, 4] of eight panels: ``pruning.Bounds``, in the order of its fields.
        items: [P · 32] which item stands there, −1: none.
        item_vectors: [N, D].
        codes: [G, steps, 12] of the queries, four dimensions in one.
        query_facts: [G, 8, 12] norm, norm of the rest, last dimension, coded norm, error and rounding, 1 / unit, what
            128 adds to a product, rounding.
        slots: [G · 12] the query that stands there, −1: none.
        queries: [B, D].
        admitted: bitmaps, their numbers [B], offsets and places of the exceptions, which ascend in each row, and how far each
            query has come in them.
        keys: [B, k] a heap a query, the worst key on top.
        count: [B] how many keys it has.
        threshold: [B] score of its worst key where it is full.
        start, stop: of the panels.
    """
    flat, numbers, steps = panels.reshape(-1), codes.reshape(-1), panels.shape[1]
    groups = np.arange(codes.shape[0])

    def work(own: Longs) -> None:
        _scan(
            flat, panel_facts, bounds, items, item_vectors, numbers, query_facts, slots, queries,
            *admitted, keys, count, threshold, start, stop, own, steps,
        )  # fmt: skip

    in_threads(work, groups)


@numba.njit(nogil=True, cache=True)
def _scan(
    panels: Bytes, panel_facts: Doubles, bounds: Doubles, items: Ints, item_vectors: Floats,
    codes: Ints, query_facts: Doubles, slots: Longs, queries: Floats,
    bitmaps: Bytes, bitmap: Longs, offsets: Longs, exceptions: Ints, cursor: Longs,
    keys: Longs, count: Longs, threshold: Doubles, start: int, stop: int, groups: Longs, steps: int,
) -> None:  # fmt: skip
    found = np.empty(TOGETHER, np.uint32)
    lines, least = np.empty((4, TOGETHER)), np.empty(TOGETHER)
    facts_of_panels = panel_facts.reshape(-1)
    for first in range(start, stop, _PANELS_AT_ONCE):
        for group in groups:
            facts = query_facts[group]
            for r in range(TOGETHER):
                query = slots[group * TOGETHER + r]
                least[r] = threshold[query] if query >= 0 else np.inf
                lines[0, r] = (least[r] - _TINY) * facts[5, r]
                lines[1, r], lines[2, r] = facts[3, r] * facts[5, r], facts[4, r] * facts[5, r]
                lines[3, r] = facts[6, r]
            for panel in range(first, min(first + _PANELS_AT_ONCE, stop)):
                if panel == first or panel % BLOCK == 0:
                    is_open = _reaches(facts, bounds[panel // BLOCK], least)
                if not is_open:
                    continue
                if not products(  # type: ignore[call-arg] # numba gives the first
                    codes, group * steps * TOGETHER, panels, panel * steps * PANEL * 4,
                    lines, facts_of_panels, panel * 3, steps, found,
                ):  # fmt: skip
                    continue
                for r in range(TOGETHER):
                    query, lanes = slots[group * TOGETHER + r], found[r]
                    if lanes == 0 or query < 0:
                        continue
                    while lanes:
                        place = panel * PANEL + lowest(lanes)
                        item = items[place]
                        lanes &= lanes - np.uint32(1)
                        if item < 0 or not _admits(
                            bitmaps, bitmap[query], exceptions, cursor, query, offsets[query + 1], place, item
                        ):
                            continue
                        score = _dot(queries, query, item_vectors, item)
                        if score >= least[r]:
                            least[r] = _keep(keys, query, count, score, item, least[r])
                    threshold[query] = least[r]
                    lines[0, r] = (least[r] - _TINY) * facts[5, r]


@numba.njit(nogil=True, cache=True)
def _reaches(facts: Doubles, bounds: Doubles, least: Doubles) -> bool:
    """Whether any query of a group may find a score it wants among these items; see ``pruning.Bounds.reach``."""
    norm, rest, low, high = bounds
    for r in range(TOGETHER):
        last = facts[2, r]
        apart = facts[1, r] * rest + max(last * low, last * high)
        if min(facts[0, r] * norm, apart) + facts[7, r] * norm + _TINY >= least[r]:
            return True
    return False


@numba.njit(nogil=True, cache=True)
def _admits(
    bitmaps: Bytes, number: int, exceptions: Ints, cursor: Longs, query: int, stop: int, place: int, item: int
) -> bool:
    """Places are asked for in ascending order, so that each query's exceptions are gone through once."""
    at = cursor[query]
    while at < stop and exceptions[at] < place:
        at += 1
    cursor[query] = at
    admits = number == ALL
    if number >= 0:
        admits = (bitmaps[number, item >> 3] >> np.uint8(item & 7)) & 1 == 1
    is_exception = bool(at < stop and exceptions[at] == place)
    return admits != is_exception


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _dot(queries: Floats, query: int, item_vectors: Floats, item: int) -> np.float32:
    total = np.float32(0)
    for i in range(queries.shape[1]):
        total += queries[query, i] * item_vectors[item, i]
    return total


@numba.njit(nogil=True, cache=True)
def _keep(keys: Longs, query: int, count: Longs, score: np.float32, item: int, least: float) -> float:
    """Put an item into its query's heap if it is good enough; the score that the next one must reach."""
    heap, size = keys[query], count[query]
    key = _to_key(score, item)
    if size < len(heap):
        count[query] = size + 1
        while size > 0 and heap[(size - 1) // 2] < key:
            heap[size] = heap[(size - 1) // 2]
            size = (size - 1) // 2
        heap[size] = key
    elif key < heap[0]:
        at, child = 0, 1
        while child + 1 < len(heap):
            child += heap[child + 1] > heap[child]  # without a branch, which would be guessed wrong every other time
            if heap[child] <= key:
                break
            heap[at] = heap[child]
            at, child = child, 2 * child + 1
        if child + 1 == len(heap) and heap[child] > key:
            heap[at] = heap[child]
            at = child
        heap[at] = key
    return _to_score(heap[0]) if count[query] == len(heap) else least


@numba.njit(nogil=True, cache=True)
def _to_key(score: np.float32, item: int) -> np.int64:
    """See ``selection.to_keys``."""
    bits = np.int64(np.float32(score + np.float32(0)).view(np.int32))
    return -((bits if bits >= 0 else bits ^ np.int64(0x7FFFFFFF)) << np.int64(32)) + np.int64(item)


@numba.njit(nogil=True, cache=True)
def _to_score(key: np.int64) -> float:
    bits = -(key >> np.int64(32))
    return np.float64(np.int32(bits if bits >= 0 else bits ^ np.int64(0x7FFFFFFF)).view(np.float32))
