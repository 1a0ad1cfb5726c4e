"""How a feature becomes arrays: fitted on the training table, saved with the artifact.

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

from shortlist.data.features import (
    FIRST_VALUE,
    MISSING,
    UNSEEN,
    CategoryColumn,
    Column,
    NumberColumn,
    TagsColumn,
    VectorColumn,
)
from shortlist.data.hashing import hashes, word_hashes
from shortlist.data.moments import HOURS, WEEKDAYS, YEAR_MINUTES
from shortlist.data.plain_columns import plain_values
from shortlist.data.ragged import Ragged
from shortlist.errors import DataError
from shortlist.settings import Computed, FeatureSettings, Kind

Side = Literal["user", "item", "context"]
_KNOTS = 101  # quantiles kept of a number


@dataclass(frozen=True)
class FeatureSpec:
    """How one feature becomes numbers; saved in ``schema.json``.

    Args:
        name: the feature's name, also in ``--feature name=value``.
        side: ``user``, ``item`` or ``context``.
        kind: see ``FeatureSettings``.
        separator: between tags, or the numbers of a vector, in text.
        values: known ids, or categories or tags, most frequent first; value ``i`` has code ``i + 2``.
        mean, std: of the numbers present, transformed.
        transform: of a number, before it is standardised.
        knots: quantiles of the numbers present (``transform = "quantile"``).
        buckets: codes that categories or words are hashed to; 0: categories have a vocabulary.
        width: of a vector.
        computed: from what of the moment it is computed (``shortlist.data.moments``); None: somebody supplies it.
    """

    name: str
    side: Side
    kind: Kind
    separator: str = "|"
    values: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    transform: Literal["standard", "log", "quantile"] = "standard"
    knots: tuple[float, ...] = ()
    buckets: int = 0
    width: int = 0
    computed: Computed | None = None

    @property
    def num_codes(self) -> int:
        """Rows an embedding table for this feature needs."""
        return FIRST_VALUE + (self.buckets or len(self.values))

    @classmethod
    def fit(cls, name: str, side: Side, settings: FeatureSettings, plain: pa.Array) -> FeatureSpec:
        """Learn the values, or mean and deviation, from a column in plain form (see ``plain_column``)."""
        kind: Any = settings.kind
        separator = settings.separator
        if kind == "number":
            return cls._fit_number(name, side, settings, plain)
        if kind == "vector":
            widths = pc.list_value_length(plain).drop_null().unique().to_pylist()
            if len(widths) != 1 or not widths[0]:
                raise DataError(f"feature {name!r}: vectors of one length were expected, got the lengths {widths[:5]}.")
            return cls(name, side, kind, separator, width=widths[0])
        if settings.buckets or kind == "text":
            return cls(name, side, kind, separator, buckets=settings.buckets or settings.max_values)
        if kind == "id":
            return cls(name, side, kind, separator, tuple(plain.to_pylist()))
        values = pc.list_flatten(plain) if kind == "tags" else plain.cast(pa.string())
        counts = pc.value_counts(values.drop_null())
        ordered = sorted(counts.to_pylist(), key=lambda entry: (-entry["counts"], entry["values"]))
        kept = tuple(entry["values"] for entry in ordered[: settings.max_values])
        return cls(name, side, kind, separator, kept)

    @classmethod
    def of_moment(cls, name: str, computed: Computed) -> FeatureSpec:
        """What is computed from the moment of the request: nothing about it is learned from the data.

        Numbers are logs: 1 is a year since the last item, and a hundred items.

        >>> FeatureSpec.of_moment("when", "weekday").num_codes
        9
        >>> FeatureSpec.of_moment("often", "history_count").encode(pa.array([0.0, 100.0])).values.tolist()
        [0.0, 1.0]
        """
        if computed in ("since_last", "history_count"):
            one = {"since_last": YEAR_MINUTES, "history_count": 100}[computed]
            return cls(name, "context", "number", transform="log", std=float(np.log1p(one)), computed=computed)
        values = {"hour": HOURS, "weekday": WEEKDAYS}[computed]
        return cls(name, "context", "category", values=values, computed=computed)

    @classmethod
    def _fit_number(cls, name: str, side: Side, settings: FeatureSettings, plain: pa.Array) -> FeatureSpec:
        numbers = plain.drop_null().to_numpy(zero_copy_only=False)
        knots: tuple[float, ...] = ()
        if settings.transform == "quantile" and len(numbers):
            knots = tuple(np.quantile(numbers, np.linspace(0, 1, _KNOTS)).tolist())
        spec = cls(name, side, "number", settings.separator, transform=settings.transform, knots=knots)
        transformed = spec._transformed(numbers)
        std = float(transformed.std()) if len(numbers) else 1.0
        mean = float(transformed.mean()) if len(numbers) else 0.0
        return cls(**{**asdict(spec), "mean": mean, "std": std if std > 0 else 1.0})

    def encode(self, plain: pa.Array) -> Column:
        """Turn a column in plain form into arrays."""
        if self.kind == "number":
            numbers = plain.to_numpy(zero_copy_only=False).astype(np.float64)
            return NumberColumn(((self._transformed(numbers) - self.mean) / self.std).astype(np.float32))
        if self.kind == "vector":
            return self._vectors(plain)
        if self.kind == "text":
            return TagsColumn(_or_missing(word_hashes(plain), self.buckets))
        if self.kind in ("category", "id"):
            return CategoryColumn(self._codes(plain.cast(pa.string())))
        filled = pc.fill_null(plain, pa.scalar([], plain.type))
        lengths = pc.list_value_length(filled).to_numpy(zero_copy_only=False).astype(np.int64)
        # give rows without a tag the one code MISSING
        codes = np.full(int(np.maximum(lengths, 1).sum()), MISSING, dtype=np.int32)
        has_tag = np.repeat(lengths > 0, np.maximum(lengths, 1))
        codes[has_tag] = self._codes(pc.list_flatten(filled))
        return TagsColumn(Ragged.from_lengths(codes, np.maximum(lengths, 1)))

    def plain_numbers(self, encoded: NDArray[Any]) -> NDArray[np.float64]:
        """Encoded numbers as they were in the table."""
        values = np.asarray(encoded, dtype=np.float64) * self.std + self.mean
        if self.transform == "log":
            return np.sign(values) * np.expm1(np.abs(values))
        if self.transform == "quantile":
            return np.interp(values, np.linspace(-1, 1, len(self.knots)), self.knots)
        return values

    def _transformed(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.transform == "log":
            return np.sign(numbers) * np.log1p(np.abs(numbers))
        if self.transform == "quantile" and self.knots:
            places = np.linspace(-1, 1, len(self.knots))
            # of equal quantiles the middle one: half the people are below a value that half the people have
            low, high = (np.searchsorted(self.knots, numbers, side=side) for side in ("left", "right"))
            inside = np.interp(numbers, self.knots, places)
            level = (places[np.minimum(low, len(places) - 1)] + places[np.maximum(high - 1, 0)]) / 2
            transformed: NDArray[np.float64] = np.where(
                np.isnan(numbers), np.nan, np.where(high - low > 1, level, inside)
            )
            return transformed
        return numbers

    def _vectors(self, plain: pa.Array) -> VectorColumn:
        lengths = pc.list_value_length(plain)
        wrong = pc.filter(lengths, pc.fill_null(pc.not_equal(lengths, self.width), False))
        if len(wrong):
            raise DataError(
                f"feature {self.name!r}: {len(wrong):,} vectors have not the {self.width} numbers the others have, such as one "
                f"of {wrong[0].as_py()}. Give all of one length, or leave the value empty where there is none."
            )
        present = pc.is_valid(plain).to_numpy(zero_copy_only=False)
        values = np.full((len(plain), self.width), np.nan, dtype=np.float32)
        values[present] = pc.list_flatten(plain).to_numpy(zero_copy_only=False).reshape(-1, self.width)
        return VectorColumn(values)

    def _codes(self, values: pa.Array) -> NDArray[np.int32]:
        if self.buckets:
            hashed = hashes(values) % self.buckets + FIRST_VALUE
            return np.where(pc.is_null(values).to_numpy(zero_copy_only=False), MISSING, hashed).astype(np.int32)
        found = pc.index_in(values, value_set=pa.array(self.values, pa.string()))
        codes = pc.if_else(pc.is_null(values), MISSING, pc.fill_null(pc.add(found, FIRST_VALUE), UNSEEN))
        return np.asarray(codes.to_numpy(zero_copy_only=False)).astype(np.int32)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``schema.json``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureSpec:
        """Read ``to_dict``'s values back."""
        return cls(**{**values, "values": tuple(values["values"]), "knots": tuple(values.get("knots", ()))})


def _or_missing(hashes: Ragged, buckets: int) -> Ragged:
    """Codes of hashes; rows without one hold the code MISSING."""
    lengths = np.maximum(hashes.lengths, 1)
    codes = np.full(int(lengths.sum()), MISSING, dtype=np.int32)
    codes[np.repeat(hashes.lengths > 0, lengths)] = hashes.values % buckets + FIRST_VALUE
    return Ragged.from_lengths(codes, lengths)


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
    """Encode the features given with queries, one mapping a query; absent ones are missing, computed ones left out.

    Raises:
        DataError: a value that does not fit its feature's kind.
    """
    table: dict[str, Column] = {}
    for spec in specs:
        if spec.computed:
            continue
        values = [row.get(spec.name) for row in rows]
        table[spec.name] = spec.encode(plain_values(values, spec.kind, spec.separator, f"feature {spec.name!r}"))
    return table
