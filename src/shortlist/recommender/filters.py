"""Which items a query admits, as a value: ``Filter.where('genres has "Comedy"') & ~Filter.items([588])``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from shortlist.data.conditions import parse
from shortlist.data.vocabulary import OutsideId


@dataclass(frozen=True)
class Filter:
    """A set of items; combine with ``&``, ``|``, ``~``. Immutable; equal ones are answered from one cached bitmap.

    Made by ``where``, ``items`` and ``seen``. Goes into ``Query(where=...)``, where it narrows what may come back further:
    what is disliked, excluded or not available stays away, and what is seen, too, unless the query says ``seen="keep"``.

    >>> comedy = Filter.where('genres has "Comedy" and year >= 1990')
    >>> print(comedy & ~Filter.items([1, 588]) | Filter.seen())
    ((genres has "Comedy" and year >= 1990) and not items [1, 588]) or seen
    """

    kind: Literal["where", "items", "seen", "and", "or", "not"]
    text: str = ""
    ids: tuple[OutsideId, ...] = ()
    parts: tuple[Filter, ...] = ()

    @classmethod
    def where(cls, text: str) -> Filter:
        """Items whose columns meet a condition.

        Raises:
            ConditionError: it cannot be read; points at the character. (Whether the columns exist is seen when it is asked.)
        """
        parse(text)
        return cls("where", text=text)

    @classmethod
    def items(cls, item_ids: Iterable[OutsideId]) -> Filter:
        """Items by their ids."""
        return cls("items", ids=tuple(item_ids))

    @classmethod
    def seen(cls) -> Filter:
        """What the query's user or history has: ``Query(seen="keep", where=Filter.seen())`` asks what to take again."""
        return cls("seen")

    @property
    def asks_who(self) -> bool:
        """Whether the set differs from query to query."""
        return self.kind == "seen" or any(part.asks_who for part in self.parts)

    def __and__(self, other: Filter) -> Filter:
        return Filter("and", parts=(self, other))

    def __or__(self, other: Filter) -> Filter:
        return Filter("or", parts=(self, other))

    def __invert__(self) -> Filter:
        return Filter("not", parts=(self,))

    def __str__(self) -> str:
        if self.kind == "where":
            return self.text
        if self.kind == "items":
            return f"items [{', '.join(map(str, self.ids[:5]))}{', ...' if len(self.ids) > 5 else ''}]"
        if self.kind == "seen":
            return "seen"
        shown = [f"({part})" if part.kind in ("where", "and", "or") else str(part) for part in self.parts]
        return f"not {shown[0]}" if self.kind == "not" else f" {self.kind} ".join(shown)
