"""Everything Shortlist raises on purpose.

    ShortlistError
    ├── SettingsError      a setting is unknown, of the wrong type, or out of its range
    ├── DataError          a file, a column or a value cannot be used
    ├── ConditionError     a condition such as ``value >= 4`` cannot be read; points at the character
    ├── UnknownIdError     an outside id that the vocabulary does not hold
    ├── QueryError         a question that cannot be answered as asked (k, history, features)
    ├── TrainingError      training cannot go on (a loss that is not finite, a foreign checkpoint)
    ├── EventError         an event that cannot be kept as it is; names the field
    ├── ItemError          an item that cannot be kept as it is; names the column
    ├── PlacelessError     a new item of which nothing says where it belongs
    ├── StoreError         the event store is gone, full, or of another version
    ├── BusyError          what was asked for is under way already
    ├── EvaluationError    figures would mean nothing (scores that are not finite, a protocol without its data)
    └── ArtifactError      a saved recommender is missing, damaged, or from a newer format

A message is one paragraph: what was wrong and where, what was expected, what came, what to do.
The command line prints it and exits with 1; the service turns it into problem JSON with ``status``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class ShortlistError(Exception):
    """Base of all errors that a message fully explains."""

    status: ClassVar[int] = 400
    title: ClassVar[str] = "Shortlist cannot do this"


class SettingsError(ShortlistError):
    """A setting is unknown, of the wrong type, or out of its range."""

    title = "Invalid setting"


class DataError(ShortlistError):
    """A file, a column or a value cannot be used."""

    title = "Unusable data"


class ConditionError(ShortlistError):
    """A condition cannot be read or does not fit the columns."""

    title = "Invalid condition"

    def __init__(self, message: str, text: str = "", position: int | None = None) -> None:
        if position is not None:
            shown = "".join(" " if one.isspace() else one for one in text)  # one line, so that the mark stands below
            message = f"{message}\n    {shown}\n    {' ' * position}^"
        super().__init__(message)
        self.position = position


class UnknownIdError(ShortlistError):
    """An outside id that the vocabulary does not hold."""

    status = 404
    title = "Unknown id"


class QueryError(ShortlistError):
    """A question that cannot be answered as asked."""

    title = "Invalid query"


class EventError(ShortlistError):
    """An event that cannot be kept as it is."""

    status = 422
    title = "Invalid event"


class ItemError(ShortlistError):
    """An item that cannot be kept as it is."""

    status = 422
    title = "Invalid item"


class PlacelessError(ShortlistError):
    """A new item of which nothing says where it belongs."""

    status = 409
    title = "Item cannot be placed"


class StoreError(ShortlistError):
    """The event store is gone, full, or of another version: nothing was acknowledged."""

    status = 503
    title = "Event store unavailable"


class BusyError(ShortlistError):
    """What was asked for is under way already."""

    status = 409
    title = "Under way"


class TrainingError(ShortlistError):
    """Training cannot go on."""

    title = "Training stopped"


class EvaluationError(ShortlistError):
    """Figures would mean nothing."""

    title = "No honest figure"


class ArtifactError(ShortlistError):
    """A saved recommender is missing, damaged, or from a newer format."""

    status = 500
    title = "Unusable artifact"


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Name the nearest allowed word, or list all of them.

    >>> did_you_mean("epoch", ["epochs", "patience"])
    "did you mean 'epochs'? (allowed: epochs, patience)"
    >>> did_you_mean("zzz", ["epochs", "patience"])
    'allowed: epochs, patience'
    """
    names = sorted(allowed)
    listed = f"allowed: {', '.join(names)}" if names else "none are allowed here"
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}? ({listed})" if near else listed
