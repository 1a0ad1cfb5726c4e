"""What live events mean for one artifact: its table of words, and its own conditions for what is rated."""

from __future__ import annotations

from functools import lru_cache
from typing import get_args

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

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

    def of_columns(self, words: pa.Array, values: pa.Array) -> pa.Array:
        """[n] words and values → meanings, null where there is none: the same for a whole table."""
        found = words.dictionary_encode()
        meanings = pa.array([self._meanings.get(one) for one in found.dictionary.to_pylist()], pa.string())
        meanings = meanings.take(found.indices)
        is_rated = pc.fill_null(pc.equal(meanings, "rated"), fill_value=False)
        return pc.replace_with_mask(meanings, is_rated, self._rated_column(values.filter(is_rated)))

    def _rate(self, value: float | None) -> Meaning:
        meaning: Meaning = self._rated_column(pa.array([value], pa.float64()))[0].as_py()
        return meaning

    def _rated_column(self, values: pa.Array) -> pa.Array:
        if not self._can_tell:
            return pa.array(["taken"] * len(values), pa.string())
        opinion = pc.if_else(_is_met(self._liked, values, default=True), "liked", "seen")
        opinion = pc.if_else(_is_met(self._disliked, values, default=False), "disliked", opinion)
        return pc.if_else(pc.is_null(values), "taken", opinion)


def _of_value(condition: str | None) -> str | None:
    return condition if condition is not None and set(columns_of(parse(condition))) == {"value"} else None


def _is_met(condition: str | None, values: pa.Array, *, default: bool) -> pa.Array:
    """[n] whether values meet a condition; of those that are missing it means nothing."""
    if condition is None:
        return pa.array([default] * len(values), pa.bool_())
    frame = nw.from_native(pa.table({"value": values}), eager_only=True)
    expression = to_expression(parse(condition), frame.schema, condition)
    met = frame.select(expression.alias("met")).to_native().column("met").combine_chunks()
    return pc.fill_null(met, fill_value=False)
