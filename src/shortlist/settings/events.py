"""``[events]``: what the words of live events mean."""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from shortlist.settings.table import Positive, Table

Meaning = Literal["liked", "disliked", "taken", "seen", "cleared", "rated"]


class EventSettings(Table):
    """Which events mean what; any other word is kept and exported, and changes no answer."""

    liked: tuple[str, ...] = Field(
        ("like", "love", "favorite", "save", "share", "add_to_cart", "purchase", "subscribe", "complete"),
        description="events that say so: the item enters the history and takes back an earlier dislike",
    )
    disliked: tuple[str, ...] = Field(
        ("dislike", "hide", "block", "not_interested", "report"),
        description="events after which the item is never returned to this user, until one of liked or cleared",
    )
    taken: tuple[str, ...] = Field(
        ("view", "click", "open", "play", "read", "watch", "listen"),
        description="events by which an item is taken: it enters the history; an earlier dislike stays",
    )
    seen: tuple[str, ...] = Field(
        ("seen", "skip"), description="events that say only that the user knows the item: it is not returned again"
    )
    cleared: tuple[str, ...] = Field(
        ("clear", "unlike", "undislike", "unhide", "unfavorite", "unsave"),
        description="events that take back what the user said of the item before",
    )
    rated: tuple[str, ...] = Field(
        ("rate", "rating"),
        description="events whose value says what they mean, by the conditions of [data.feedback]; without one: taken",
    )
    history: Positive = Field(
        10_000,
        description="most recent events of a user that an answer looks at, and as many likes and dislikes before",
    )

    @model_validator(mode="after")
    def _one_meaning_a_word(self) -> Self:
        found: dict[str, str] = {}
        for meaning in get_args(Meaning):
            for word in getattr(self, meaning):
                if word != word.strip().lower() or not word:
                    raise ValueError(
                        f"{meaning}: {word!r} is no event; events are words in small letters, such as 'like'"
                    )
                if found.setdefault(word, meaning) != meaning:
                    raise ValueError(f"{word!r} stands under {found[word]} and {meaning}; a word has one meaning")
        return self

    def meaning_of(self, word: str) -> Meaning | None:
        """What an event says; None: nothing that changes an answer.

        >>> EventSettings().meaning_of("like"), EventSettings().meaning_of("scrolled")
        ('liked', None)
        """
        return next((meaning for meaning in get_args(Meaning) if word in getattr(self, meaning)), None)
