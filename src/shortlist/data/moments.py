"""What is known of the moment a query is asked at, without anybody supplying it: features computed from its time.

The time of a query is its target's while training and evaluating, and the request's (or now) while serving. That is no look into
the future: when somebody asks, what time it is is known.

The history ends before the target: neither the time since its last item nor the number of its items knows of the target
or of what came later.

All are computed from a ``QueryBatch`` on its way into the network (``QueryBatch.column``): there is no second road on
which training and serving could come to differ.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.features import FIRST_VALUE, MISSING, CategoryColumn
from shortlist.errors import QueryError

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
YEAR_MINUTES = 365 * DAY_MS // MINUTE_MS
HOURS = tuple(str(hour) for hour in range(24))
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIRST_DAY = 3  # 1 January 1970 was a Thursday

Times = NDArray[np.float64]
"""[Q] milliseconds since 1970, UTC; NaN where unknown."""


def hour_of_day(time: Times) -> CategoryColumn:
    """One of 24 values, UTC.

    >>> hour_of_day(np.array([0.0, 23.5 * HOUR_MS, np.nan])).codes.tolist()
    [2, 25, 0]
    """
    return _codes(np.floor(time / HOUR_MS) % 24)


def day_of_week(time: Times) -> CategoryColumn:
    """One of 7 values, UTC, Monday first.

    >>> WEEKDAYS[int(day_of_week(np.array([0.0])).codes[0]) - FIRST_VALUE]
    'Thursday'
    """
    return _codes((np.floor(time / DAY_MS) + _FIRST_DAY) % 7)


def minutes_since(last: Times, time: Times) -> NDArray[np.float64]:
    """Minutes from the history's last item to the query; NaN where a time is unknown, 0 where the query comes first.

    >>> minutes_since(np.array([0.0, 0.0, np.nan]), np.array([90_000.0, -1.0, 5.0])).tolist()
    [1.5, 0.0, nan]
    """
    return np.maximum((time - last) / MINUTE_MS, 0.0)


def _codes(places: NDArray[np.float64]) -> CategoryColumn:
    return CategoryColumn(np.where(np.isnan(places), MISSING, np.nan_to_num(places) + FIRST_VALUE).astype(np.int32))


def milliseconds(time: datetime | str | float, field: str = "time") -> float:
    """A time as it is asked with: milliseconds since 1970, UTC.

    Args:
        time: a datetime or ISO 8601 text (UTC, unless they say otherwise), or a number of seconds or milliseconds, also
            as text; the unit is told by its size, as in a table.
        field: what it is called, for messages.

    Raises:
        QueryError: it cannot be read.

    >>> milliseconds("1970-01-02T00:00:00+01:00"), milliseconds(82_800), milliseconds(datetime(1970, 1, 1, 23))
    (82800000.0, 82800000.0, 82800000.0)
    """
    if isinstance(time, datetime):
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000
    number = _number(time)
    if number is not None and abs(number) < 1e14:
        return number * 1000 if abs(number) < 3e11 else number
    try:
        return milliseconds(datetime.fromisoformat(time if isinstance(time, str) else ""))
    except (ValueError, OverflowError):  # the year 1, an hour east of Greenwich
        raise QueryError(
            f"{field}: expected seconds or milliseconds since 1970, or ISO 8601 such as 2026-11-22T20:00:00Z, got {time!r}."
        ) from None


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
