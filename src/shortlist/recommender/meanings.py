"""What live events mean for one artifact: its table of words, and its own conditions for what is rated."""

from __future__ import annotations

from functools import lru_cache
from typing import get_args

import narwhals as nw
import pyarrow as pa

from shortlist.data.conditions import columns_of, parse, to_expression
from shortlist.settings import Meaning, Settings


class Meanings:
    """Event and value → meaning.

    Args:
        settings: of the run: ``[events]``, and ``[data.feedback]`` where its conditions look at the value alone.

    >>> settings = Settings.from_dict({"data": {"dataset": "ml-latest-small", "feedback": {"disliked": "value <= 2"}}})
    >>> of = Meanings(settings)
    >>> of("hide", None), of("rating", 1.5), of("rating", 4.0), of("rating", None), of("scroll", None)
    ('disliked', 'disliked', 'liked', 'taken', None)
    """

    def __init__(self, settings: Settings) -> None:
        self.events = settings.events
        self._meanings = {word: meaning for meaning in get_args(Meaning) for word in getattr(settings.events, meaning)}
        feedback = settings.data.feedback
        self._liked, self._disliked = _of_value(feedback.liked), _of_value(feedback.disliked)
        self._can_tell = feedback.liked is None or self._liked is not None
        self.lasting = (*self.events.liked, *self.events.disliked, *self.events.cleared, *self.events.rated)
        """Words that hold until they are taken back, however many events come after."""
        self._rated = lru_cache(maxsize=4096)(self._rate)

    def __call__(self, word: str, value: float | None) -> Meaning | None:
        """None: it changes no answer."""
        meaning: Meaning | None = self._meanings.get(word)
        return meaning if meaning != "rated" else self._rated(value)

    def _rate(self, value: float | None) -> Meaning:
        if value is None or not self._can_tell:
            return "taken"
        if self._disliked is not None and _is_met(self._disliked, value):
            return "disliked"
        return "liked" if self._liked is None or _is_met(self._liked, value) else "seen"


def _of_value(condition: str | None) -> str | None:
    return condition if condition is not None and set(columns_of(parse(condition))) == {"value"} else None


def _is_met(condition: str, value: float) -> bool:
    frame = nw.from_native(pa.table({"value": [value]}), eager_only=True)
    expression = to_expression(parse(condition), frame.schema, condition)
    return bool(frame.select(expression.alias("met"))["met"][0])
