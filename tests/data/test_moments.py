from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest

from shortlist.data.features import FIRST_VALUE, MISSING
from shortlist.data.moments import day_of_week, hour_of_day, milliseconds
from shortlist.data.preparation import prepare
from shortlist.data.queries import network_inputs
from shortlist.errors import DataError, QueryError, SettingsError
from shortlist.settings import Settings
from shortlist.training.batches import BagExamples, TrainingExamples


def test_hours_and_weekdays_are_the_calendars() -> None:
    """Against Python's own calendar, before 1970 too."""
    rng = np.random.default_rng(0)
    times = rng.integers(-2_000_000_000_000, 4_000_000_000_000, 500).astype(np.float64)
    moments = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=one) for one in times]
    assert (hour_of_day(times).codes - FIRST_VALUE).tolist() == [one.hour for one in moments]
    assert (day_of_week(times).codes - FIRST_VALUE).tolist() == [one.weekday() for one in moments]
    unknown = np.array([np.nan])
    assert hour_of_day(unknown).codes[0] == day_of_week(unknown).codes[0] == MISSING


@pytest.mark.parametrize(
    "time",
    [
        1_500_000_000,
        1_500_000_000.0,
        "1500000000",
        1_500_000_000_000,
        "2017-07-14T02:40:00",
        "2017-07-14T02:40:00Z",
        "2017-07-14T04:40:00+02:00",
        datetime(2017, 7, 14, 2, 40),
        datetime(2017, 7, 14, 4, 40, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_time_may_be_written_in_many_ways(time: datetime | str | float) -> None:
    assert milliseconds(time) == 1_500_000_000_000


@pytest.mark.parametrize("time", ["yesterday", True, float("nan"), 1e20, ""])
def test_what_is_no_time_is_explained(time: str | float) -> None:
    with pytest.raises(QueryError, match=r"time: expected .* ISO 8601 such as .*, got"):
        milliseconds(time)


def test_computed_features_belong_to_the_moment() -> None:
    for side in ("user", "item"):
        with pytest.raises(SettingsError, match=rf'{side}.h: kind = "hour" .* set it under \[features.context.h\]'):
            Settings.from_dict({"features": {side: {"h": {"kind": "hour"}}}})
    with pytest.raises(SettingsError, match=r'stands in no column; leave column = "when" out'):
        Settings.from_dict({"features": {"context": {"h": {"kind": "hour", "column": "when"}}}})


def test_without_a_time_there_is_no_hour() -> None:
    features = Settings.from_dict({"features": {"context": {"h": {"kind": "hour"}}}}).features
    with pytest.raises(DataError, match=r"The feature 'h' .* set \[data.columns\] timestamp"):
        prepare(pa.table({"user_id": [1, 1], "item_id": [1, 2]}), features=features)


def test_a_history_has_a_length_without_any_time() -> None:
    features = Settings.from_dict({"features": {"context": {"n": {"kind": "history_count"}}}}).features
    data = prepare(pa.table({"user_id": [1, 1, 1, 2], "item_id": [1, 2, 3, 1]}), features=features)
    for examples in (TrainingExamples(data, data.interactions), BagExamples(data, data.interactions, 0.4)):
        batch = next(iter(examples.epoch(9, np.random.default_rng(0))))
        assert batch.queries.time is None
        numbers = network_inputs(batch.queries, data.schema.query, 5)["numbers"]
        expected = np.log1p(batch.queries.liked.lengths + batch.queries.disliked.lengths) / np.log(101)
        np.testing.assert_allclose(numbers[:, 0], expected, rtol=1e-6)
        assert not numbers[:, 1].any()
