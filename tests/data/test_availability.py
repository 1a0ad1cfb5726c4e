from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.data.availability import Availability
from shortlist.data.preparation import prepare
from shortlist.errors import DataError
from shortlist.settings import Settings

LOG = pa.table({"user_id": [1, 1], "item_id": [1, 2]})
SETTINGS = Settings.from_dict({"data": {"columns": {"available_from": "from", "available_until": "until"}}}).data


@given(st.integers(0, 1_000_000))
def test_within_a_period_nothing_changes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start = np.where(rng.random(6) < 0.3, -np.inf, rng.integers(0, 9, 6))
    availability = Availability(start, np.where(rng.random(6) < 0.3, np.inf, start + rng.integers(0, 5, 6)))
    times = np.arange(-1, 15, 0.5)
    available = [availability.at(time).tolist() for time in times]
    periods = availability.period(times)
    for one in range(len(times)):
        assert available[one] == [
            bool(a <= times[one] < b) for a, b in zip(availability.start, availability.end, strict=True)
        ]
        assert all(available[one] == available[other] for other in np.flatnonzero(periods == periods[one]))


def test_bad_windows_are_explained() -> None:
    with pytest.raises(
        DataError, match=r"\[data.columns\] available_from, \[data.columns\] available_until; but there is no"
    ):
        prepare(LOG, settings=SETTINGS)
    with pytest.raises(DataError, match="no column 'until'"):
        prepare(LOG, items=pa.table({"item_id": [1], "from": [1]}), settings=SETTINGS)
    with pytest.raises(DataError, match=r"Column 'from' \(available_from\) holds"):
        prepare(LOG, items=pa.table({"item_id": [1], "from": [[1]], "until": [2]}), settings=SETTINGS)
    with pytest.raises(DataError, match=r"1 items are available until a time before .* from 1970-01-01T00:00:03"):
        prepare(LOG, items=pa.table({"item_id": [1, 2], "from": [3, 1], "until": [2, None]}), settings=SETTINGS)
