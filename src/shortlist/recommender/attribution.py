"""Why an item was recommended, in outside ids: what its score is the sum of, and what each stage did with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from shortlist.data.vocabulary import OutsideId

PartKind = Literal["liked", "disliked", "feature", "moment", "retrieval", "user"]


@dataclass(frozen=True)
class Reason:
    """One part of a score.

    Args:
        item_id: of a liked item; None: it is none, or several together.
        contribution: what it adds to the score, below 0 where it takes away.
        title: of the item.
        kind: ``liked``; ``disliked`` items (together); a ``feature`` of the user or the moment; the ``moment`` of the question
            and of the last item; for a ranker ``retrieval`` (how the retriever scored and placed the item) and ``user`` (the
            person's own trained vector).
        feature: its name.
        count: items, where it stands for several.
        share: the contribution over the sum of all parts' sizes, from −1 to 1: sizes add up to 1.
    """

    item_id: OutsideId | None
    contribution: float
    title: str | None = None
    kind: PartKind = "liked"
    feature: str | None = None
    count: int = 1
    share: float = 0.0

    @property
    def text(self) -> str:
        """For people.

        >>> Reason(None, 0.5, count=12).text, Reason(7, 0.5).text, Reason(None, 0.1, kind="feature", feature="age").text
        ('12 other liked items', '7', 'age')
        """
        if self.kind == "liked":
            several = f"{self.count:,} other liked item{'s' if self.count > 1 else ''}"
            return several if self.item_id is None else self.title or str(self.item_id)
        if self.kind == "disliked":
            return f"{self.count:,} disliked item{'s' if self.count > 1 else ''}"
        if self.kind == "feature":
            return str(self.feature)
        named = {
            "moment": "the time",
            "retrieval": "the retriever's score and place",
            "user": "the person's own vector",
        }
        return named[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what does not apply is left out."""
        told = {"item_id": self.item_id, "title": self.title, "feature": self.feature}
        return {
            **{name: value for name, value in told.items() if value is not None},
            "kind": self.kind,
            **({"count": self.count} if self.item_id is None and self.kind in ("liked", "disliked") else {}),
            "contribution": self.contribution,
            "share": self.share,
        }


@dataclass(frozen=True)
class Attribution:
    """What one model's score of one item is the sum of: ``score = baseline + Σ contributions``, but for rounding.

    Args:
        stage: ``retrieval``, ``ranker``, or the name of a further source of candidates.
        model: whose score.
        score: of the item.
        baseline: its score for somebody of whom nothing is known: no history, no features, no time; for a ranker of ids,
            for the mean of the people it was trained with.
        parts: largest first.
    """

    stage: str
    model: str
    score: float
    baseline: float
    parts: tuple[Reason, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        parts = [part.to_dict() for part in self.parts]
        told = {"stage": self.stage, "model": self.model, "score": self.score, "baseline": self.baseline}
        return {**told, "parts": parts}


@dataclass(frozen=True)
class Move:
    """What one stage did with an item.

    Args:
        stage: of the funnel, as in ``places``.
        place: after it, from 1; 0: it was not there yet.
        lifted: places it was lifted by, below 0 where it was lowered; None where the stage brought it in.
        score: after it; None where it was not there. Re-rankers keep the last model's.
    """

    stage: str
    place: int
    lifted: int | None
    score: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"stage": self.stage, "place": self.place, "lifted": self.lifted, "score": self.score}
