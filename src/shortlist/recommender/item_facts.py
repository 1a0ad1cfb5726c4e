"""What re-rankers look up of a data set's items: groups, tags, dates and counts, checked against the schema."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shortlist.data.conditions import parse, to_expression
from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import FIRST_VALUE, CategoryColumn, TagsColumn
from shortlist.data.interactions import Interactions
from shortlist.data.moments import DAY_MS, milliseconds
from shortlist.data.ragged import Ragged
from shortlist.data.vocabulary import OutsideId
from shortlist.errors import QueryError, SettingsError, did_you_mean

_HEAD = 0.8  # share of all positives that the head has
_YEARS, _DAYS = 3_000, 100_000  # numbers up to here are years, and days since 1970


class ItemFacts:
    """The items of a data set, asked for one step of ``[[rerank]]``.

    Args:
        place: the step, for messages: ``rerank.0``.
        dataset: the corpus and its features.
        log: what popularity and first interactions are counted from.

    All methods raise ``SettingsError`` where the data have not what a setting names; the message names the setting.
    """

    def __init__(self, place: str, dataset: Dataset, log: Interactions) -> None:
        self.place, self.dataset, self.log = place, dataset, log

    def spec(self, field: str, name: str, kinds: Sequence[str]) -> FeatureSpec:
        """An item feature of one of the kinds."""
        specs = {spec.name: spec for spec in self.dataset.schema.side("item")}
        if name not in specs:
            raise SettingsError(
                f"{self.place}.{field}: there is no item feature {name!r}; {did_you_mean(name, specs)}. "
                "[features.item] says what is known of items."
            )
        if specs[name].kind not in kinds or (specs[name].buckets and specs[name].kind != "vector"):
            hashed = "hashed " if specs[name].buckets else ""
            raise SettingsError(
                f"{self.place}.{field}: {name!r} is a {hashed}{specs[name].kind}; expected one of kind {' or '.join(kinds)}"
                f"{self.among(kinds)}."
            )
        return specs[name]

    def among(self, kinds: Sequence[str]) -> str:
        """Which features would fit, for a message."""
        fitting = [one.name for one in self.dataset.schema.side("item") if one.kind in kinds and not one.buckets]
        return f" (of {', '.join(fitting)})" if fitting else " (there is none yet: see [features.item])"

    def codes(self, field: str, name: str) -> Ragged:
        """N rows of values' numbers; items of which nothing is known have none."""
        spec = self.spec(field, name, ("tags", "category"))
        column = self.dataset.item_features[spec.name]
        if isinstance(column, TagsColumn):
            codes = column.codes
        else:
            assert isinstance(column, CategoryColumn)
            codes = Ragged.from_lengths(column.codes, np.ones(len(column.codes), dtype=np.int64))
        known = codes.where(codes.values >= FIRST_VALUE)
        return Ragged(known.values - FIRST_VALUE, known.offsets)

    def only_feature(self) -> str:
        """The one feature that can be meant where none is named."""
        specs = [one for one in self.dataset.schema.side("item") if not one.buckets]
        for kind in ("tags", "category"):
            fitting = [one.name for one in specs if one.kind == kind]
            if len(fitting) == 1:
                return fitting[0]
        raise SettingsError(
            f"{self.place}.feature: say which item feature is to be calibrated{self.among(('tags', 'category'))}."
        )

    def rows(self, field: str, ids: Sequence[OutsideId]) -> NDArray[np.int32]:
        """Indices of items."""
        rows = self.dataset.items.rows(list(ids)) if ids else np.empty(0, dtype=np.int32)
        unknown = [str(one) for one, row in zip(ids, rows, strict=True) if row < 0]
        if unknown:
            raise SettingsError(
                f"{self.place}.{field}: {len(unknown)} of {len(ids)} items are not known ({', '.join(unknown[:5])}). "
                f"Give ids of the {self.dataset.num_items:,} items of the data."
            )
        return rows

    def boosted(self, items: Sequence[OutsideId], where: str | None) -> NDArray[np.bool_]:
        """[N] items named, or that meet a condition."""
        boosted = np.zeros(self.dataset.num_items, dtype=bool)
        boosted[self.rows("items", items)] = True
        if where is not None:
            columns = nw.from_native(self.dataset.display, eager_only=True)
            expression = to_expression(parse(where), columns.schema, where)
            boosted |= columns.select(expression.alias("met"))["met"].to_numpy()
        return boosted

    def counts(self) -> NDArray[np.int64]:
        """[N] positives of each item."""
        return np.bincount(self.log.positives().values, minlength=self.dataset.num_items)

    def is_tail(self) -> NDArray[np.bool_]:
        """Items beyond the fewest that have 80 % of all positives."""
        counts = self.counts()
        order = np.argsort(-counts, kind="stable")
        before = np.cumsum(counts[order]) - counts[order]
        is_tail = np.ones(len(counts), dtype=bool)
        is_tail[order[before < _HEAD * counts.sum()]] = False
        return is_tail

    def times(self, date: str | None) -> NDArray[np.float64]:
        """[N] when each item came, milliseconds since 1970: by a feature, else its window, else its first interaction."""
        if date is not None:
            return self._dates(date)
        availability = self.dataset.availability
        if availability is not None and np.isfinite(availability.start).any():
            return self._or_arrived(np.where(np.isfinite(availability.start), availability.start, np.nan))
        if not self.dataset.has_time:
            raise SettingsError(
                f"{self.place}.date: the interactions have no time, so that an item's first one does not say when it came; name "
                "an item feature with its date."
            )
        first = np.full(self.dataset.num_items, np.inf)
        np.minimum.at(first, self.log.item_idx, self.log.timestamp.astype(np.float64))
        return self._or_arrived(np.where(np.isfinite(first), first, np.nan))

    def _or_arrived(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        arrived = self.dataset.arrived
        return times if arrived is None else np.where(np.isnan(times), arrived, times)

    def _dates(self, name: str) -> NDArray[np.float64]:
        """Milliseconds since 1970 from a column of years, days, seconds, milliseconds or ISO 8601."""
        self.spec("date", name, ("number", "category"))
        plain, arrived = self.dataset.display.column(name), self.dataset.arrived
        if pa.types.is_integer(plain.type) or pa.types.is_floating(plain.type):
            numbers = plain.to_numpy().astype(np.float64)
            return moments_of(numbers, numbers if arrived is None else numbers[np.isnan(arrived)])
        try:
            # where items came since, the table itself was checked before: what is no date is one of theirs
            return np.array([_moment(one, is_strict=arrived is None) for one in plain.to_pylist()])
        except (QueryError, ValueError):
            raise SettingsError(
                f"{self.place}.date: {name!r} holds values that are no dates; expected years, days, seconds or milliseconds "
                "since 1970, or ISO 8601 such as 2026-11-22."
            ) from None


def moments_of(numbers: NDArray[np.float64], told_by: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Years, or days, seconds or milliseconds since 1970, told by the largest, as milliseconds since 1970; NaN stays.

    Args:
        numbers: any shape.
        told_by: of which the largest tells; None: of all.

    >>> (moments_of(np.array([1970.0, 1971.0])) / DAY_MS).tolist(), moments_of(np.array([20_000.0])).tolist()
    ([0.0, 365.0], [1728000000000.0])
    """
    largest = float(np.nanmax(np.abs(numbers if told_by is None else told_by), initial=0.0))
    if largest <= _YEARS:
        whole = np.floor(np.where(np.abs(numbers) < 2e5, numbers, np.nan))  # no year lies beyond
        start = np.full(len(numbers), np.nan)
        known = np.isfinite(whole)
        first = (whole[known].astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[ms]")
        start[known] = first.astype(np.float64)
        return start
    if largest <= _DAYS:
        return numbers * DAY_MS
    return numbers * 1000 if largest < 3e11 else numbers


def _moment(value: Any, *, is_strict: bool = True) -> float:
    if value is None:
        return np.nan
    try:
        return milliseconds(value if isinstance(value, (datetime, float, int)) else str(value))
    except (QueryError, ValueError):
        if is_strict:
            raise
        return np.nan
