"""Feature columns: what is known of users, items and the moment of the request, as arrays a model can take.

Training tables and the features of a single HTTP request go through the same ``FeatureSpec.encode``:
there is no second road on which they could come to differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, slices
from shortlist.errors import DataError
from shortlist.settings import FeatureSettings

MISSING, UNSEEN, FIRST_VALUE = (
    0,
    1,
    2,
)  # codes of categories and tags: missing and unseen have rows of their own
Side = Literal["user", "item", "context"]


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


Column = NumberColumn | CategoryColumn | TagsColumn
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
    assert isinstance(first, TagsColumn)
    assert isinstance(second, TagsColumn)
    a, b = first.codes, second.codes
    begin = np.where(takes_first, a.offsets[:-1], b.offsets[:-1] + len(a.values))
    lengths = np.where(takes_first, a.lengths, b.lengths)
    return TagsColumn(slices(np.concatenate([a.values, b.values]), begin, begin + lengths))


@dataclass(frozen=True)
class FeatureSpec:
    """How one feature becomes numbers; fitted on the table, saved in ``schema.json``.

    Args:
        name: the feature's name, also in ``--feature name=value``.
        side: ``user``, ``item`` or ``context``.
        kind: ``number``, ``category`` or ``tags``.
        separator: between tags in text.
        values: known categories or tags, most frequent first; value ``i`` has code ``i + 2``.
        mean, std: of the numbers present.
    """

    name: str
    side: Side
    kind: Literal["number", "category", "tags"]
    separator: str = "|"
    values: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0

    @property
    def num_codes(self) -> int:
        """Rows an embedding table for this feature needs."""
        return FIRST_VALUE + len(self.values)

    @classmethod
    def fit(cls, name: str, side: Side, settings: FeatureSettings, plain: pa.Array) -> FeatureSpec:
        """Learn the values, or mean and deviation, from a column in plain form (see ``plain_column``)."""
        if settings.kind == "number":
            numbers = plain.drop_null().to_numpy(zero_copy_only=False)
            std = float(numbers.std()) if len(numbers) else 1.0
            mean = float(numbers.mean()) if len(numbers) else 0.0
            return cls(name, side, "number", settings.separator, (), mean, std if std > 0 else 1.0)
        values = pc.list_flatten(plain) if settings.kind == "tags" else plain
        counts = pc.value_counts(values.drop_null())
        ordered = sorted(counts.to_pylist(), key=lambda entry: (-entry["counts"], entry["values"]))
        kept = tuple(entry["values"] for entry in ordered[: settings.max_values])
        return cls(name, side, settings.kind, settings.separator, kept)

    def encode(self, plain: pa.Array) -> Column:
        """Turn a column in plain form into arrays."""
        if self.kind == "number":
            numbers = plain.to_numpy(zero_copy_only=False).astype(np.float64)
            return NumberColumn(((numbers - self.mean) / self.std).astype(np.float32))
        if self.kind == "category":
            return CategoryColumn(self._codes(plain))
        filled = pc.fill_null(plain, pa.scalar([], plain.type))
        lengths = pc.list_value_length(filled).to_numpy(zero_copy_only=False).astype(np.int64)
        # give rows without a tag the one code MISSING
        codes = np.full(int(np.maximum(lengths, 1).sum()), MISSING, dtype=np.int32)
        has_tag = np.repeat(lengths > 0, np.maximum(lengths, 1))
        codes[has_tag] = self._codes(pc.list_flatten(filled))
        return TagsColumn(Ragged.from_lengths(codes, np.maximum(lengths, 1)))

    def _codes(self, values: pa.Array) -> NDArray[np.int32]:
        found = pc.index_in(values, value_set=pa.array(self.values, pa.string()))
        codes = pc.if_else(pc.is_null(values), MISSING, pc.fill_null(pc.add(found, FIRST_VALUE), UNSEEN))
        return np.asarray(codes.to_numpy(zero_copy_only=False)).astype(np.int32)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``schema.json``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureSpec:
        """Read ``to_dict``'s values back."""
        return cls(**{**values, "values": tuple(values["values"])})


def plain_column(array: pa.Array | pa.ChunkedArray, kind: str, separator: str, where: str) -> pa.Array:
    """Bring a column into plain form: float64, text, or lists of text.

    Args:
        array: as read.
        kind: the feature's kind.
        separator: between tags, where they are text.
        where: the column's name and table, for messages.

    Raises:
        DataError: a number that is none.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if kind == "number":
        return _numbers(array, where)
    if kind == "category":
        return array.cast(pa.string())
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return array.cast(pa.list_(pa.string()))
    split = pc.split_pattern(array.cast(pa.string()), separator)
    return _without_empty(split)


def _numbers(array: pa.Array, where: str) -> pa.Array:
    try:
        numbers = array.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"{where}: expected numbers, got {array.type} ({str(error).splitlines()[0]}). "
            'Use kind = "category" for words, or correct the value.'
        ) from None
    # NaN and null are one thing here: missing
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)


def _without_empty(lists: pa.Array) -> pa.Array:
    filled = pc.fill_null(lists, pa.scalar([], lists.type))
    values, lengths = pc.list_flatten(filled), pc.list_value_length(filled).to_numpy(zero_copy_only=False)
    keep = pc.not_equal(values, "").to_numpy(zero_copy_only=False).astype(bool)
    kept = Ragged.from_lengths(keep, lengths).where(keep)
    return pa.ListArray.from_arrays(pa.array(kept.offsets.astype(np.int32)), values.filter(pa.array(keep)))


@dataclass(frozen=True)
class Schema:
    """The features of all sides, in the order models take them.

    >>> Schema((FeatureSpec("age", "user", "number"),)).side("user")[0].name
    'age'
    """

    specs: tuple[FeatureSpec, ...] = ()

    def side(self, *sides: Side) -> tuple[FeatureSpec, ...]:
        """Features of the given sides."""
        return tuple(spec for spec in self.specs if spec.side in sides)

    @property
    def query(self) -> tuple[FeatureSpec, ...]:
        """Features a query has: those of the user and of the moment."""
        return self.side("user", "context")

    def __iter__(self) -> Iterator[FeatureSpec]:
        return iter(self.specs)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``schema.json``."""
        return {"features": [spec.to_dict() for spec in self.specs]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """Read ``to_dict``'s values back."""
        return cls(tuple(FeatureSpec.from_dict(spec) for spec in values["features"]))


def encode_values(specs: Sequence[FeatureSpec], rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """Encode the features given with queries, one mapping a query; absent ones are missing.

    Raises:
        DataError: a value that does not fit its feature's kind.
    """
    table: dict[str, Column] = {}
    for spec in specs:
        values = [row.get(spec.name) for row in rows]
        table[spec.name] = spec.encode(_plain_values(spec, values))
    return table


def _plain_values(spec: FeatureSpec, values: list[Any]) -> pa.Array:
    where = f"feature {spec.name!r}"
    try:
        if spec.kind == "number":
            return _numbers(pa.array([None if v is None else float(v) for v in values], pa.float64()), where)
        if spec.kind == "category":
            return pa.array([None if v is None else str(v) for v in values], pa.string())
        lists = [v.split(spec.separator) if isinstance(v, str) else [str(tag) for tag in v or ()] for v in values]
        return _without_empty(pa.array(lists, pa.list_(pa.string())))
    except (TypeError, ValueError):
        raise DataError(f"{where}: expected a {spec.kind}, got {values!r}.") from None
