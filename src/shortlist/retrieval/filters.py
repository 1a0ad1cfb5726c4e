"""Which items may come back, as one value that every filter compiles to: seen, named, met by a condition, available."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.availability import Availability
from shortlist.data.moments import Times
from shortlist.data.ragged import Ragged, distinct, is_among

Bitmap = NDArray[np.uint8]
ALL, NONE = -1, -2  # in the place of a bitmap's number: every item, no item


@dataclass(frozen=True, eq=False)
class Candidates:
    """The items that may come back to each of B queries. Forbidden means absent: a forbidden item is never returned.

    A query's set is a bitmap, which queries may share, and its own exceptions: a list of what somebody has seen costs its
    length and not the corpus. ``&``, ``|`` and ``~`` combine the sets of the same queries, all at once.

    Args:
        exceptions: B rows of item indices, any order, repeats allowed: forbidden where the bitmap has them, allowed where
            it has not.
        bitmaps: [M, ⌈N / 8⌉], see ``pack``.
        bitmap: [B] which of them each query has, or ALL, or NONE; None: ALL, so that the exceptions are what is excluded.

    >>> unseen, listed = Candidates(Ragged.from_rows([[1], [0]])), Candidates.only(Ragged.from_rows([[0, 1], [0, 2]]))
    >>> (unseen & listed).mask(3).tolist()
    [[True, False, False], [False, False, True]]
    >>> (~unseen | Candidates.shared(np.array([[False, False, True]]), np.array([0, 0]))).mask(3).tolist()
    [[False, True, True], [True, False, True]]
    """

    exceptions: Ragged
    bitmaps: Bitmap = field(default_factory=lambda: np.empty((0, 0), np.uint8), kw_only=True)
    bitmap: NDArray[np.int64] | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.exceptions)

    @classmethod
    def only(cls, allowed: Ragged) -> Candidates:
        """Nothing but the items of each row."""
        return cls(allowed, bitmap=np.full(len(allowed), NONE))

    @classmethod
    def shared(cls, masks: NDArray[np.bool_], mask: NDArray[Any]) -> Candidates:
        """Masks [M, N] and which of them each query has, [B]."""
        return cls(Ragged.empty(len(mask)), bitmaps=pack(masks), bitmap=np.asarray(mask, dtype=np.int64))

    @classmethod
    def concatenated(cls, parts: Sequence[Candidates]) -> Candidates:
        """The queries of several values, one after the other."""
        firsts = np.cumsum([0, *(len(one.bitmaps) for one in parts)])
        numbers = [
            np.where(one.base >= 0, one.base + first, one.base) for one, first in zip(parts, firsts, strict=False)
        ]
        lengths = np.concatenate([one.exceptions.lengths for one in parts])
        exceptions = Ragged.from_lengths(np.concatenate([one.exceptions.values for one in parts]), lengths)
        return cls(exceptions, bitmaps=_stacked([one.bitmaps for one in parts]), bitmap=np.concatenate(numbers))

    @property
    def base(self) -> NDArray[np.int64]:
        """[B] number of each query's bitmap, ALL or NONE."""
        return np.full(len(self), ALL) if self.bitmap is None else self.bitmap

    def __invert__(self) -> Candidates:
        base = self.base
        return Candidates(self.exceptions, bitmaps=~self.bitmaps, bitmap=np.where(base < 0, ALL + NONE - base, base))

    def __or__(self, other: Candidates) -> Candidates:
        return ~(~self & ~other)

    def __and__(self, other: Candidates) -> Candidates:
        bitmaps, bitmap = _intersections(self, other)
        either = self.exceptions.concat_rows(other.exceptions)
        width = int(either.values.max(initial=0)) + 1
        row, item = np.divmod(distinct(either.row_of_value * width + either.values), width)
        admitted = self.admits(row, item, width) & other.admits(row, item, width)
        is_exception = admitted != _has(bitmaps, bitmap[row], item)
        exceptions = Ragged.from_row_of_value(item[is_exception].astype(np.int32), row[is_exception], len(self))
        return Candidates(exceptions, bitmaps=bitmaps, bitmap=bitmap)

    def take(self, rows: NDArray[Any]) -> Candidates:
        """Some of the queries."""
        if len(rows) == len(self) and (np.asarray(rows) == np.arange(len(self))).all():
            return self
        used, bitmap = np.unique(self.base[rows], return_inverse=True)
        number = np.where(used < 0, used, np.arange(len(used)) - int((used < 0).sum()))
        return Candidates(self.exceptions.take(rows), bitmaps=self.bitmaps[used[used >= 0]], bitmap=number[bitmap])

    def among(self, items: NDArray[Any]) -> Candidates:
        """The same sets in a corpus of some of the items only, given in ascending order and numbered anew."""
        kept = self.exceptions.where(is_among(self.exceptions.values, items))
        places = Ragged(np.searchsorted(items, kept.values).astype(np.int32), kept.offsets)
        bits = _has(self.bitmaps, np.arange(len(self.bitmaps))[:, None], np.asarray(items))
        return Candidates(places, bitmaps=pack(bits), bitmap=self.bitmap)

    def forbid(self, scores: NDArray[np.float32]) -> None:
        """Set −inf, in place, in [B, N] wherever an item may not come back."""
        if (self.base == ALL).all():
            scores[self.exceptions.row_of_value, self.exceptions.values] = -np.inf
        else:
            np.copyto(scores, np.float32(-np.inf), where=~self.mask(scores.shape[1]))

    def mask(self, num_items: int) -> NDArray[np.bool_]:
        """[B, N]: whether an item may come back."""
        fixed = np.repeat([[False], [True]], num_items, axis=1)  # NONE and ALL, the last two
        masks = np.concatenate([unpack(self.bitmaps, num_items), fixed])
        mask: NDArray[np.bool_] = masks[self.base]
        row, item = self.exceptions.row_of_value, self.exceptions.values
        mask[row, item] = ~mask[row, item]  # by assignment: a repeat changes nothing
        return mask

    def admits(self, row: NDArray[Any], item: NDArray[Any], width: int) -> NDArray[np.bool_]:
        """[T] whether each item may come back to its query; all items and exceptions below ``width``."""
        own = self.exceptions.row_of_value * width + self.exceptions.values
        return _has(self.bitmaps, self.base[row], item) ^ is_among(row * width + item, own)

    def groups(self) -> list[tuple[int, NDArray[np.int64]]]:
        """Numbers of bitmaps (or ALL, NONE), and the queries that have each."""
        if self.bitmap is None:
            return [(ALL, np.arange(len(self)))]
        order = np.argsort(self.base, kind="stable")
        numbers, first = np.unique(self.base[order], return_index=True)
        return list(zip(numbers.tolist(), np.split(order, first[1:]), strict=True))


def pack(masks: NDArray[np.bool_]) -> Bitmap:
    """Masks [M, N] as bits [M, ⌈N / 8⌉]: item i is bit i mod 8 of byte ⌊i / 8⌋.

    >>> pack(np.array([[True, False, True]])).tolist(), unpack(pack(np.array([[True, False, True]])), 3).tolist()
    ([[5]], [[True, False, True]])
    """
    return np.packbits(masks, axis=1, bitorder="little")


def unpack(bitmaps: Bitmap, num_items: int) -> NDArray[np.bool_]:
    """[M, N]; bits beyond the corpus mean nothing."""
    if not len(bitmaps):
        return np.empty((0, num_items), dtype=bool)
    return np.unpackbits(bitmaps, axis=1, count=num_items, bitorder="little").view(np.bool_)


class BitmapCache:
    """Bitmaps by what they were made from; the least recently used leave. May be asked by several threads.

    Args:
        limit: bytes of bitmaps and their keys (as they print) held at most.

    >>> cache = BitmapCache(limit=1 << 20)
    >>> [cache.get("year > 3", lambda: np.array([True, False])).tolist() for _ in range(2)]
    [[1], [1]]
    """

    _ENTRY_BYTES = 512  # what an entry takes besides

    def __init__(self, limit: int = 64 << 20) -> None:
        self.limit = limit
        self._held: OrderedDict[Hashable, tuple[Bitmap, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], NDArray[np.bool_]]) -> Bitmap:
        """The bitmap [⌈N / 8⌉] of a key; ``make`` gives its mask [N] where it is not held."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
        bitmap: Bitmap = pack(make()[None])[0]
        bitmap.setflags(write=False)
        size = bitmap.nbytes + len(repr(key)) + self._ENTRY_BYTES
        with self._lock:
            if key not in self._held:
                self._held[key] = bitmap, size
                self._bytes += size
            while self._bytes > self.limit:
                self._bytes -= self._held.popitem(last=False)[1][1]
        return bitmap

    def __len__(self) -> int:
        return len(self._held)


def open_at(availability: Availability, times: Times, cache: BitmapCache) -> Candidates:
    """What is available at the time [B] of each query; queries of one period share a bitmap.

    Args:
        availability: of the N items.
        times: [B] milliseconds since 1970.
        cache: of bitmaps; its limit is none on what is returned, one bitmap for each period that is asked for.
    """
    periods, first, period = np.unique(availability.period(times), return_index=True, return_inverse=True)
    bitmaps = [
        cache.get(("period", number), partial(availability.at, times[query]))
        for number, query in zip(periods.tolist(), first, strict=True)
    ]
    return Candidates(Ragged.empty(len(times)), bitmaps=_stacked([one[None] for one in bitmaps]), bitmap=period)


def _has(bitmaps: Bitmap, bitmap: NDArray[Any], item: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether bitmaps have items, without exceptions."""
    if not len(bitmaps):
        return np.broadcast_to(bitmap == ALL, np.broadcast_shapes(bitmap.shape, item.shape))
    bits = (bitmaps[np.maximum(bitmap, 0), item >> 3] >> (item & 7)).astype(np.uint8) & 1
    has: NDArray[np.bool_] = np.where(bitmap < 0, bitmap == ALL, bits == 1)
    return has


def _intersections(one: Candidates, other: Candidates) -> tuple[Bitmap, NDArray[np.int64]]:
    """Bitmaps of what both admit, exceptions aside, and which of them each query has; as many as there are pairs."""
    width = len(other.bitmaps) - NONE
    pairs, pair_of_query = np.unique((one.base - NONE) * width + other.base - NONE, return_inverse=True)
    bitmaps: list[Bitmap] = []
    numbers = []
    for a, b in zip((pairs // width + NONE).tolist(), (pairs % width + NONE).tolist(), strict=True):
        if NONE in (a, b) or a == b == ALL:
            numbers.append(NONE if NONE in (a, b) else ALL)
            continue
        numbers.append(len(bitmaps))
        bitmaps.append(
            other.bitmaps[b] if a == ALL else one.bitmaps[a] if b == ALL else one.bitmaps[a] & other.bitmaps[b]
        )
    stacked = np.stack(bitmaps) if bitmaps else np.empty((0, 0), np.uint8)
    return stacked, np.array(numbers, dtype=np.int64)[pair_of_query]


def _stacked(bitmaps: Sequence[Bitmap]) -> Bitmap:
    present = [one for one in bitmaps if len(one)]
    return np.concatenate(present) if present else np.empty((0, 0), np.uint8)
