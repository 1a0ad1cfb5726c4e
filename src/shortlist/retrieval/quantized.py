"""The best k of the whole corpus by a scan of bytes: whatever might be among them is scored exactly.

Vectors are written in whole numbers of a unit, v = s·v̂ + e with |v̂_i| ≤ 127, so that q·v = s_q s_v q̂·v̂ + e_q·v + s_q q̂·e_v, and
the product of bytes, which a processor does several times as fast as that of floats, tells the score up to

    |e_q| |v| + |s_q q̂| |e_v|

What reaches the k-th best score so far by this margin, a few items in a thousand, is scored in float32. So nothing is lost:
the answer is that of scoring everything in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, distinct
from shortlist.retrieval.filters import Candidates
from shortlist.retrieval.pruning import Bounds, norms, rounding
from shortlist.retrieval.scan import LOWEST
from shortlist.retrieval.selection import NO_KEY

PANEL, TOGETHER = 32, 12  # items and queries whose products are in the processor's registers at one time
BLOCK = 8  # panels that have one bound
_FIRST_PANELS = 64  # these, for all queries, tell which queries will stop early
_PANELS_AT_ONCE = 2048
_OFFSET = 128  # the processor multiplies unsigned by signed bytes: items are stored with this added
_MOST_DIMENSIONS = 32_768  # sums of products stay within 32 bits


@cache
def is_supported() -> bool:
    """Whether numba is there, and the processor has the instruction (AVX-512 VNNI: Intel since 2019, AMD since 2022)."""
    try:
        from shortlist.retrieval.compiled_products import has_byte_products
    except ImportError:
        return False
    return has_byte_products()


@dataclass(frozen=True, eq=False)
class Coded:
    """Vectors [n, D] in whole numbers of a unit.

    Args:
        codes: [n, D] int8, ±127.
        unit: [n].
        error: [n] norm of what is missing.
    """

    codes: NDArray[np.int8]
    unit: NDArray[np.float64]
    error: NDArray[np.float64]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], share: int = 1) -> Coded:
        """Every ``share`` vectors, one after the other, have the same unit; [n] is a multiple of it.

        >>> coded = Coded.of(np.array([[254, 3]], np.float32))
        >>> coded.codes.tolist(), coded.unit.tolist(), coded.error.tolist()
        ([[127, 2]], [2.0], [1.0])
        """
        exact = vectors.astype(np.float64)
        largest = np.abs(exact).max(axis=1).reshape(-1, share).max(axis=1)
        unit = np.repeat(np.where(largest > 0, largest / 127, 1.0), share)
        codes = np.rint(exact / unit[:, None])
        return cls(codes.astype(np.int8), unit, norms(exact - codes * unit[:, None]))

    @property
    def norm(self) -> NDArray[np.float64]:
        """[n] of the coded vectors, s·v̂."""
        return self.unit * norms(self.codes)


class QuantizedScan:
    """Panels of items against a dozen queries at a time, in the processor's registers; needs ``is_supported``.

    A pair's score is the same whoever else asks, whatever is filtered, and however many threads there are.

    Args:
        item_vectors: [N, D] finite; not copied: survivors are scored from them.
        order: [N] the promising ones first (``pruning.promising_first``).

    Holds a byte for each number of the vectors, and 8 for each item.
    """

    def __init__(self, item_vectors: NDArray[np.float32], order: NDArray[np.int64]) -> None:
        self._item_vectors = np.ascontiguousarray(item_vectors)
        num_items, num_dimensions = item_vectors.shape
        num_panels, steps = -(-num_items // PANEL), -(-num_dimensions // 4)
        self._items = np.full(num_panels * PANEL, -1, dtype=np.int32)
        self._items[:num_items] = order
        self._places = np.empty(num_items, dtype=np.int32)
        self._places[order] = np.arange(num_items, dtype=np.int32)
        self._panels = _aligned((num_panels, steps, PANEL, 4))
        bounds = Bounds.of(item_vectors, order, BLOCK * PANEL)
        self._bounds = np.stack([bounds.norm, bounds.rest, bounds.low, bounds.high], axis=1)
        self._facts = np.empty((num_panels, 3))
        for start in range(0, num_panels, _PANELS_AT_ONCE):
            part = slice(start, min(start + _PANELS_AT_ONCE, num_panels))
            chosen = self._items[part.start * PANEL : part.stop * PANEL]
            vectors = self._item_vectors[np.where(chosen >= 0, chosen, chosen[0])]  # the last panel is filled up
            coded = Coded.of(vectors, PANEL)
            codes = np.zeros((part.stop - part.start, PANEL, 4 * steps), dtype=np.int16)
            codes[:, :, :num_dimensions] = coded.codes.reshape(-1, PANEL, num_dimensions)
            of_steps = codes.reshape(-1, PANEL, steps, 4).transpose(0, 2, 1, 3)
            self._panels[part] = of_steps + _OFFSET
            facts = np.ones(len(vectors)), coded.error, norms(vectors)
            self._facts[part] = np.stack([fact.reshape(-1, PANEL).max(axis=1) for fact in facts], axis=1)
            self._facts[part] /= coded.unit[::PANEL, None]

    @staticmethod
    def can_hold(item_vectors: NDArray[np.float32]) -> bool:
        """Whether sums of products cannot overflow, and the item's number fits."""
        return item_vectors.shape[1] <= _MOST_DIMENSIONS and len(item_vectors) < 2**31 - PANEL

    def best(self, query_vectors: NDArray[np.float32], k: int, candidates: Candidates) -> NDArray[np.int64]:
        """See ``scan.Scan.best``."""
        from shortlist.retrieval.compiled_scan import scan

        queries = np.ascontiguousarray(query_vectors, dtype=np.float32)
        exceptions = self._places_of(candidates.exceptions)
        cursor = exceptions.offsets[:-1].copy()
        admitted = candidates.bitmaps, candidates.base, exceptions.offsets, exceptions.values, cursor
        keys = np.full((len(queries), k), NO_KEY)
        count, threshold = np.zeros(len(queries), np.int64), np.full(len(queries), LOWEST)
        coded, norm = Coded.of(queries), norms(queries)
        rows = np.arange(len(queries))
        num_panels = len(self._panels)
        # groups of queries that stop at about the same item: none waits for the others
        first = num_panels if len(queries) <= TOGETHER else min(_FIRST_PANELS, num_panels)
        for start, stop in ((0, first), (first, num_panels)):
            if start < stop:
                packed, facts = _packed(coded, queries, norm, rows)
                slots = np.append(rows, np.full(-len(rows) % TOGETHER, -1))
                scan(
                    self._panels, self._facts, self._bounds, self._items, self._item_vectors, packed, facts, slots, queries,
                    admitted, keys, count, threshold, start, stop,
                )  # fmt: skip
            rows = np.argsort(threshold / np.maximum(norm, np.finfo(np.float32).tiny), kind="stable")
        return np.sort(keys, axis=1)

    def _places_of(self, items: Ragged) -> Ragged:
        """Where the items of each row stand, ascending and without repeats."""
        keys = distinct(items.row_of_value * len(self._places) + self._places[items.values])
        row, place = np.divmod(keys, len(self._places))
        return Ragged.from_row_of_value(place.astype(np.int32), row, len(items))


def _packed(
    coded: Coded, queries: NDArray[np.float32], norm: NDArray[np.float64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Codes [G, steps, 12] of four dimensions each, and facts [G, 8, 12], of queries in this order, filled up."""
    num_rows, num_dimensions = queries.shape
    groups, steps = -(-num_rows // TOGETHER), -(-num_dimensions // 4)
    codes = np.zeros((groups * TOGETHER, 4 * steps), dtype=np.int8)
    codes[:num_rows, :num_dimensions] = coded.codes[rows]
    of_groups = codes.reshape(groups, TOGETHER, steps, 4).transpose(0, 2, 1, 3)
    rest = norms(queries[:, :-1])
    offset = _OFFSET * coded.codes.sum(axis=1, dtype=np.int64)
    rounded = rounding(num_dimensions) * norm
    per_query = norm, rest, queries[:, -1], coded.norm, coded.error + rounded, 1 / coded.unit, offset - 1, rounded
    facts = np.ones((len(per_query), groups * TOGETHER))
    facts[:, :num_rows] = np.stack(per_query)[:, rows]
    facts = np.ascontiguousarray(facts.reshape(-1, groups, TOGETHER).transpose(1, 0, 2))
    return np.ascontiguousarray(of_groups).view(np.int32)[..., 0], facts


def _aligned(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Empty bytes that begin where a line of the cache does: reading across two takes half as long again."""
    size = int(np.prod(shape))
    memory = np.empty(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].reshape(shape)
