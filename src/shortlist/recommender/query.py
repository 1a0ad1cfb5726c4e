"""The question and the answer, in outside ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from pydantic_core import PydanticSerializationError, to_json

from shortlist.data.vocabulary import OutsideId
from shortlist.recommender.attribution import Attribution, Move, Reason
from shortlist.recommender.filters import Filter
from shortlist.recommender.passage import Draw


@dataclass(frozen=True)
class Query:
    """Who asks, and for what.

    Args:
        user_id: a known user, or None: then history and features are all that is known.
        history: item ids liked, most recent last; comes after a known user's own history.
        disliked: item ids disliked; never returned.
        features: values of the user and of the moment, by name; these win over a known user's own.
        k: items wanted.
        exclude: item ids never returned.
        where: condition on the items' columns, such as ``genres has "Comedy" and year >= 1990``; or a ``Filter``.
        allow: item ids of which alone any may be returned; None: all.
        seen: whether what the user has already may come back.
        forget: item ids of which a known user's own likes and dislikes no longer count.
        last_time: when the last of ``history`` and ``disliked`` came, milliseconds since 1970; None: unknown.
        time: when it is asked: a datetime, ISO 8601, seconds or milliseconds since 1970 (UTC unless it says otherwise);
            None: now. Features such as the hour are computed from it, and only what is available then is returned.

    >>> Query(history=[1, 588], k=5).user_id is None
    True
    """

    user_id: OutsideId | None = None
    history: Sequence[OutsideId] = ()
    disliked: Sequence[OutsideId] = ()
    features: Mapping[str, Any] = field(default_factory=dict)
    k: int = 10
    exclude: Sequence[OutsideId] = ()
    where: str | Filter | None = None
    allow: Sequence[OutsideId] | None = None
    seen: Literal["remove", "keep"] = "remove"
    forget: Sequence[OutsideId] = ()
    last_time: float | None = None
    time: datetime | str | float | None = None


Explain = bool | Literal["full"]


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Args:
        item_id: outside id.
        score: higher is better; comparable within one answer.
        rank: 1 is best.
        reasons: what carried the retriever's score most, strongest first.
        display: title and further columns.
        places: stage → place the item had after it, from 1, where more than the retriever decided; a stage that lessens it
            lifted the item. The score stays that of the last model, whatever place re-ranking gave.
        attributions: what each model's score is the sum of, where explained in full.
        moves: what each stage did with the item, likewise.
    """

    item_id: OutsideId
    score: float
    rank: int
    reasons: tuple[Reason, ...] = ()
    display: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    attributions: tuple[Attribution, ...] = ()
    moves: tuple[Move, ...] = ()

    @property
    def title(self) -> str:
        """What people read: the title, or the id where there is none."""
        return str(self.display.get("title", self.item_id))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        reasons = [reason.to_dict() for reason in self.reasons]
        return {
            "item_id": self.item_id,
            "score": self.score,
            "rank": self.rank,
            "reasons": reasons,
            **({"places": dict(self.places)} if self.places else {}),
            **({"attributions": [one.to_dict() for one in self.attributions]} if self.attributions else {}),
            **({"moves": [move.to_dict() for move in self.moves]} if self.moves else {}),
            **self.display,
        }


@dataclass(frozen=True)
class Answer:
    """The list for one query.

    Args:
        user_id: who asked, or None.
        items: best first.
        stages: stage → what it did and how long it took.
        experiment: name, arm and the exposure's id, where an arm of an experiment answered.
        draw: how the list was drawn, where the last step draws it; it is no part of what goes out.
    """

    user_id: OutsideId | None
    items: tuple[Recommendation, ...]
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    experiment: Mapping[str, str] | None = None
    draw: Draw | None = field(default=None, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As ``recommend --json`` prints it."""
        return {
            "user_id": self.user_id,
            "items": [item.to_dict() for item in self.items],
            "stages": {name: dict(stage) for name, stage in self.stages.items()},
            **({} if self.experiment is None else {"experiment": dict(self.experiment)}),
        }

    @cached_property
    def json(self) -> bytes:
        """``to_dict`` in UTF-8, encoded once."""
        return encoded(self.to_dict())


def encoded(document: Any) -> bytes:
    r"""JSON in UTF-8. Half a character, which JSON can name and UTF-8 cannot hold, stays the escape as which it came.

    >>> encoded({"title": "Amélie", "id": "\ud800"})
    b'{"title":"Am\xc3\xa9lie","id":"\\ud800"}'
    """
    try:
        return to_json(document, inf_nan_mode="constants")  # a fifth of json's time
    except (PydanticSerializationError, UnicodeError):
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
