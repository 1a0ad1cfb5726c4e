"""One thing somebody did, checked field by field."""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import dataclass
from datetime import datetime

from shortlist.data.moments import milliseconds
from shortlist.data.vocabulary import OutsideId
from shortlist.errors import EventError, QueryError

MAX_ID, MAX_WORD = 256, 64
MAX_VALUE = 1e300
AHEAD_MS = 86_400_000  # a clock may be a little fast; a day ahead is another unit, or another year


@dataclass(frozen=True)
class Event:
    """What the store keeps. ``Event.of`` makes one from what a client says.

    Args:
        user_id, item_id: as text: 7 and "7" are one user, as they are to a vocabulary.
        event: a word in small letters.
        timestamp: milliseconds since 1970, UTC; never later than it was received.
        event_id: an event that comes again under the same one counts once.
        value: a number such as a rating or seconds watched.
    """

    user_id: str
    item_id: str
    event: str
    timestamp: int
    event_id: str
    value: float | None = None

    @classmethod
    def of(
        cls,
        user_id: OutsideId,
        item_id: OutsideId,
        event: str,
        timestamp: datetime | str | float | None = None,
        value: float | None = None,
        event_id: OutsideId | None = None,
    ) -> Event:
        """Check what a client says, and supply what it leaves out.

        Args:
            user_id, item_id: of any user and item, also unknown ones.
            event: a word; capitals are made small.
            timestamp: ISO 8601, seconds or milliseconds; None: now. A moment that has not come yet is taken for now.
            value: any finite number.
            event_id: for exactly one count, however often it is sent; None: one is made.

        Raises:
            EventError: names the field, what was expected, and what came.

        >>> Event.of(7, "b-12", "Like", 1_700_000_000, event_id="e1")
        Event(user_id='7', item_id='b-12', event='like', timestamp=1700000000000, event_id='e1', value=None)
        """
        return cls(
            _text(user_id, "user_id"),
            _text(item_id, "item_id"),
            _word(event),
            _moment(timestamp),
            new_event_id() if event_id is None else _text(event_id, "event_id"),
            _number(value),
        )


def new_event_id() -> str:
    """Not said before; ids made later sort later, so that an index grows at its end.

    >>> new_event_id() != new_event_id()
    True
    """
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def plain_id(value: OutsideId, field: str) -> str:
    """An id as the store keeps it.

    Raises:
        EventError: as ``Event.of``.
    """
    return _text(value, field)


def _text(value: object, field: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 2**63 else ""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID or not value.isprintable():
        raise EventError(
            f"{field}: expected an integer of 64 bits or a text of 1 to {MAX_ID} printable characters, got {str(value)[:80]!r}."
        )
    return value


def _word(value: object) -> str:
    word = value.lower() if isinstance(value, str) else ""
    if not 1 <= len(word) <= MAX_WORD or not word.replace("_", "a").replace("-", "a").replace(".", "a").isalnum():
        raise EventError(
            f"event: expected a word of at most {MAX_WORD} letters, digits, _, - and . such as 'view' or 'like', got "
            f"{str(value)[:80]!r}."
        )
    return word


def _moment(value: datetime | str | float | None) -> int:
    now = time.time_ns() // 1_000_000
    if value is None:
        return now
    try:
        given = milliseconds(value, "timestamp")
    except (QueryError, OverflowError) as error:
        raise EventError(
            str(error) if isinstance(error, QueryError) else "timestamp: it is beyond all years."
        ) from None
    if given > now + AHEAD_MS:
        raise EventError(f"timestamp: {value!r} is more than a day ahead. Expected when it happened.")
    return min(math.floor(given), now)


def _number(value: object) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not -MAX_VALUE <= value <= MAX_VALUE:  # type: ignore[operator]
        raise EventError(f"value: expected a finite number, got {str(value)[:80]!r}.")
    return float(value)  # type: ignore[arg-type]
