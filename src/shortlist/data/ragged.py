"""Rows of different lengths in two flat arrays: ``values`` and ``offsets``.

Histories, tags, targets and exclusion lists are all of this shape. Every operation is a whole-array one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Ragged:
    """``len(self)`` rows; row ``i`` is ``values[offsets[i]:offsets[i + 1]]``.

    Args:
        values: [T], the rows one after the other.
        offsets: [R + 1] int64, not decreasing, from 0 to T.

    >>> r = Ragged.from_rows([[3, 1], [], [2]])
    >>> r.lengths.tolist(), r.row(0).tolist(), r.row_of_value.tolist()
    ([2, 0, 1], [3, 1], [0, 0, 2])
    >>> r.padded(width=2, fill=-1).tolist()
    [[3, 1], [-1, -1], [2, -1]]
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[int] | NDArray[Any]], dtype: Any = np.int32) -> Ragged:
        """Build from a sequence of sequences."""
        arrays = [np.asarray(row, dtype=dtype) for row in rows]
        values = np.concatenate(arrays) if arrays else np.empty(0, dtype)
        return cls.from_lengths(values, np.array([len(row) for row in arrays], dtype=np.int64))

    @classmethod
    def from_lengths(cls, values: NDArray[Any], lengths: NDArray[Any]) -> Ragged:
        """Build from the values in row order and the length of each row."""
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(values, offsets)

    @classmethod
    def from_row_of_value(cls, values: NDArray[Any], row_of_value: NDArray[Any], num_rows: int) -> Ragged:
        """Build from values that are grouped by row (``row_of_value`` not decreasing)."""
        return cls.from_lengths(values, np.bincount(row_of_value, minlength=num_rows))

    @classmethod
    def empty(cls, num_rows: int, dtype: Any = np.int32) -> Ragged:
        """``num_rows`` rows without a value."""
        return cls(np.empty(0, dtype), np.zeros(num_rows + 1, dtype=np.int64))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of values in each row, [R]."""
        return self.offsets[1:] - self.offsets[:-1]  # np.diff takes four times as long for a few rows

    @property
    def row_of_value(self) -> NDArray[np.int64]:
        """The row each value stands in, [T]."""
        if len(self) == 1:  # one query alone, while serving
            return np.zeros(len(self.values), dtype=np.int64)
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def row(self, i: int) -> NDArray[Any]:
        """The values of one row (a view)."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def take(self, rows: NDArray[Any]) -> Ragged:
        """The given rows in the given order; a row may be asked for twice."""
        return slices(self.values, self.offsets[rows], self.offsets[np.asarray(rows) + 1])

    def last(self, n: int) -> Ragged:
        """At most the last ``n`` values of every row."""
        return slices(self.values, np.maximum(self.offsets[:-1], self.offsets[1:] - n), self.offsets[1:])

    def where(self, keep: NDArray[np.bool_]) -> Ragged:
        """Only the values for which ``keep`` [T] holds; rows stay, maybe empty."""
        kept = np.zeros(len(self.values) + 1, dtype=np.int64)
        np.cumsum(keep, out=kept[1:])
        return Ragged(self.values[keep], kept[self.offsets])

    def concat_rows(self, other: Ragged) -> Ragged:
        """Row ``i`` of both, one after the other."""
        if not len(other.values):
            return self
        rows = np.concatenate([self.row_of_value, other.row_of_value])
        order = np.argsort(rows, kind="stable")
        return Ragged.from_lengths(np.concatenate([self.values, other.values])[order], self.lengths + other.lengths)

    def padded(self, width: int, fill: int) -> NDArray[Any]:
        """[R, width]: rows from the left, the rest ``fill``; longer rows keep their first ``width`` values."""
        out = np.full((len(self), width), fill, dtype=self.values.dtype)
        column = np.arange(len(self.values)) - np.repeat(self.offsets[:-1], self.lengths)
        fits = column < width
        out[self.row_of_value[fits], column[fits]] = self.values[fits]
        return out


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The different values, ascending. NumPy's own ``unique`` hashes, which takes ten times as long on a million pairs.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def distinct_in_rows(rows: Ragged, num_values: int) -> Ragged:
    """Each row's different values, ascending; values are from 0 to ``num_values`` − 1.

    >>> distinct_in_rows(Ragged.from_rows([[2, 0, 2], []]), 3).row(0).tolist()
    [0, 2]
    """
    pairs = distinct(rows.row_of_value * num_values + rows.values)
    return Ragged.from_row_of_value((pairs % num_values).astype(np.int32), pairs // num_values, len(rows))


def is_among(values: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value stands among the others; ``np.isin`` by sorting, for the same reason.

    >>> is_among(np.array([3, 1, 4]), np.array([4, 3])).tolist()
    [True, False, True]
    """
    ordered = np.sort(others)
    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    among: NDArray[np.bool_] = ordered[place] == values
    return among


def slices(values: NDArray[Any], starts: NDArray[Any], stops: NDArray[Any]) -> Ragged:
    """The rows ``values[starts[i]:stops[i]]``, gathered at once.

    >>> slices(np.array([5, 6, 7, 8]), np.array([1, 0]), np.array([3, 1])).values.tolist()
    [6, 7, 5]
    """
    if len(starts) == 1:  # one query alone, while serving
        own = values[int(starts[0]) : int(stops[0])]
        return Ragged(own, np.array([0, len(own)], dtype=np.int64))
    places = spans(starts, stops)
    return Ragged(values[places.values], places.offsets)


def spans(starts: NDArray[Any], stops: NDArray[Any]) -> Ragged:
    """The rows of places ``starts[i]`` to ``stops[i]`` − 1.

    >>> spans(np.array([7, 0]), np.array([9, 1])).values.tolist()
    [7, 8, 0]
    """
    if len(starts) == 1:
        own = np.arange(int(starts[0]), int(stops[0]))
        return Ragged(own, np.array([0, len(own)], dtype=np.int64))
    lengths = np.asarray(stops, dtype=np.int64) - np.asarray(starts, dtype=np.int64)
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Ragged(np.arange(offsets[-1]) + np.repeat(np.asarray(starts) - offsets[:-1], lengths), offsets)
