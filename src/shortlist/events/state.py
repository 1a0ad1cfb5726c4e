"""From what somebody did to what counts of it: liked, disliked, seen. The newest word on an item counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shortlist.events.store import Happened
from shortlist.settings import Meaning

MeaningOf = Callable[[str, float | None], Meaning | None]
"""Event and value → what it says."""


@dataclass(frozen=True)
class UserState:
    """What a user's events say today, in item ids as the store keeps them.

    Args:
        liked: liked or taken, the most recent last.
        liked_at: when, milliseconds since 1970.
        said: those of ``liked`` that the user spoke for, beyond taking them: only these take back an earlier dislike.
        disliked: never to be returned, the most recent last.
        seen: known to the user, whatever else was said.
        cleared: what was said of these before the newest event that cleared them, also in an artifact, no longer counts.
        last_time: when the newest of liked and disliked came, milliseconds since 1970; None: there is none.
    """

    liked: tuple[str, ...] = ()
    liked_at: tuple[int, ...] = ()
    said: frozenset[str] = frozenset()
    disliked: tuple[str, ...] = ()
    seen: frozenset[str] = frozenset()
    cleared: frozenset[str] = frozenset()
    last_time: int | None = None

    @classmethod
    def of(cls, events: Iterable[Happened], meaning_of: MeaningOf) -> UserState:
        """Read events, oldest first.

        A like or a dislike holds until another of them, or until it is cleared; a view alone enters the history but takes
        back no dislike.

        >>> from shortlist.settings import EventSettings
        >>> words = enumerate([("1", "dislike"), ("2", "like"), ("1", "view"), ("3", "hide"), ("3", "like")])
        >>> happened = [Happened(n, item, word, n, None) for n, (item, word) in words]
        >>> state = UserState.of(happened, lambda word, value: EventSettings().meaning_of(word))
        >>> state.liked, state.disliked, sorted(state.seen)
        (('2', '3'), ('1',), ['1', '2', '3'])
        """
        items: dict[str, _Item] = {}
        for place, one in enumerate(events):
            meaning = meaning_of(one.event, one.value)
            if meaning is not None:
                items.setdefault(one.item_id, _Item()).hear(meaning, (one.timestamp, place))
        in_order = sorted(items.items(), key=lambda entry: entry[1].at)
        liked = tuple(name for name, item in in_order if item.opinion == "liked" or (item.taken and not item.opinion))
        disliked = tuple(name for name, item in in_order if item.opinion == "disliked")
        spoken = [*liked, *disliked]
        return cls(
            liked,
            tuple(items[name].at[0] for name in liked),
            frozenset(name for name in liked if items[name].opinion),
            disliked,
            frozenset(name for name, item in items.items() if item.known or item.opinion),
            frozenset(name for name, item in items.items() if item.cleared),
            max((items[name].at[0] for name in spoken), default=None),
        )


@dataclass
class _Item:
    """What was said of one item so far."""

    opinion: Meaning | None = None
    taken: bool = False
    known: bool = False
    cleared: bool = False
    at: tuple[int, int] = (0, 0)

    def hear(self, meaning: Meaning, at: tuple[int, int]) -> None:
        if meaning == "cleared":  # a like by mistake leaves nothing behind; what was taken stays known
            self.opinion, self.taken, self.cleared = None, False, True
        elif meaning in ("liked", "disliked"):
            self.opinion, self.at = meaning, at
        else:
            self.known = True
            self.taken = self.taken or meaning == "taken"
            if meaning == "taken" and self.opinion != "disliked":
                self.at = at
