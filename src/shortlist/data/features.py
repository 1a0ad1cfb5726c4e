"""Feature columns: what is known of users, items and the moment of the request, as arrays a model can take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, slices

# codes of categories and tags: missing and unseen have rows of their own
MISSING, UNSEEN, FIRST_VALUE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class NumberColumn:
    """Standardised numbers [R] float32; NaN where missing."""

    values: NDArray[np.float32]

    def take(self, rows: NDArray[Any]) -> NumberColumn:
        """The given rows; -1 is missing."""
        return NumberColumn(np.where(rows >= 0, self.values[rows], np.float32(np.nan)).astype(np.float32))


@dataclass(frozen=True, eq=False)
class CategoryColumn:
    """One code a row, [R] int32: 0 missing, 1 unseen, then the values."""

    codes: NDArray[np.int32]

    def take(self, rows: NDArray[Any]) -> CategoryColumn:
        """The given rows; -1 is missing."""
        return CategoryColumn(np.where(rows >= 0, self.codes[rows], MISSING).astype(np.int32))


@dataclass(frozen=True, eq=False)
class TagsColumn:
    """Several codes a row; a row without a tag holds the code 0, missing."""

    codes: Ragged

    def take(self, rows: NDArray[Any]) -> TagsColumn:
        """The given rows; -1 is missing."""
        known = self.codes.take(np.maximum(rows, 0))
        values = np.where(rows[known.row_of_value] >= 0, known.values, MISSING)
        return TagsColumn(Ragged(values.astype(np.int32), known.offsets))


@dataclass(frozen=True, eq=False)
class VectorColumn:
    """Given vectors [R, width] float32, such as a text model's; a row of NaN where missing."""

    values: NDArray[np.float32]

    def take(self, rows: NDArray[Any]) -> VectorColumn:
        """The given rows; -1 is missing."""
        return VectorColumn(np.where((rows >= 0)[:, None], self.values[rows], np.float32(np.nan)))


Column = NumberColumn | CategoryColumn | TagsColumn | VectorColumn
FeatureTable = Mapping[str, Column]


def take_rows(table: FeatureTable, rows: NDArray[Any]) -> dict[str, Column]:
    """The given rows of every column; -1 is missing."""
    return {name: column.take(rows) for name, column in table.items()}


def choose(first: Column, second: Column, takes_first: NDArray[np.bool_]) -> Column:
    """Row by row one of two columns of the same feature and length."""
    if isinstance(first, NumberColumn) and isinstance(second, NumberColumn):
        return NumberColumn(np.where(takes_first, first.values, second.values))
    if isinstance(first, CategoryColumn) and isinstance(second, CategoryColumn):
        return CategoryColumn(np.where(takes_first, first.codes, second.codes))
    if isinstance(first, VectorColumn) and isinstance(second, VectorColumn):
        return VectorColumn(np.where(takes_first[:, None], first.values, second.values))
    assert isinstance(first, TagsColumn)
    assert isinstance(second, TagsColumn)
    a, b = first.codes, second.codes
    begin = np.where(takes_first, a.offsets[:-1], b.offsets[:-1] + len(a.values))
    lengths = np.where(takes_first, a.lengths, b.lengths)
    return TagsColumn(slices(np.concatenate([a.values, b.values]), begin, begin + lengths))


def joined(first: Column, second: Column) -> Column:
    """The rows of two columns of the same feature, one after the other."""
    if isinstance(first, NumberColumn) and isinstance(second, NumberColumn):
        return NumberColumn(np.concatenate([first.values, second.values]))
    if isinstance(first, CategoryColumn) and isinstance(second, CategoryColumn):
        return CategoryColumn(np.concatenate([first.codes, second.codes]))
    if isinstance(first, VectorColumn) and isinstance(second, VectorColumn):
        return VectorColumn(np.concatenate([first.values, second.values]))
    assert isinstance(first, TagsColumn)
    assert isinstance(second, TagsColumn)
    lengths = np.concatenate([first.codes.lengths, second.codes.lengths])
    return TagsColumn(Ragged.from_lengths(np.concatenate([first.codes.values, second.codes.values]), lengths))
