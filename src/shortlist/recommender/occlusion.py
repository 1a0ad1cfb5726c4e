"""What is known of a query, in parts that can be taken away from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import MISSING, CategoryColumn, Column, NumberColumn, TagsColumn
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.recommender.attribution import PartKind


@dataclass(frozen=True)
class Part:
    """Of a query: one liked item (``item``), several together (``count``), a feature (``name``), or what the kind says."""

    kind: PartKind
    item: int = -1
    name: str = ""
    count: int = 1


@dataclass(frozen=True, eq=False)
class Known:
    """One query, and what can be taken away from it.

    Args:
        query: one.
        groups: what can be; all liked items are one group.
        liked: the parts of that group: the newest items each by itself, and all older ones.
        part_of: [H] the part each item of the history belongs to.
        weights: [len(liked)] the part of what they add together that is nobody's own, by items the model looks at; sum 1.
    """

    query: QueryBatch
    groups: tuple[Part, ...]
    liked: tuple[Part, ...]
    part_of: NDArray[np.int64]
    weights: NDArray[np.float64]

    def has(self, kind: PartKind, on: NDArray[np.bool_], name: str = "") -> NDArray[np.bool_]:
        """[E] whether variants have a group; those that no variant could have are had by none."""
        for column, group in enumerate(self.groups):
            if (group.kind, group.name) == (kind, name):
                return on[:, column]
        return np.zeros(len(on), dtype=bool)

    def variants(self, on: NDArray[np.bool_], lacks: NDArray[np.int64]) -> QueryBatch:
        """E variants of the query.

        Args:
            on: [E, groups] whether each has the group.
            lacks: [E] a part of the liked items that it does without; -1: none.
        """
        query, same = self.query, np.zeros(len(on), dtype=np.int64)
        liked = _kept(query.liked, self.has("liked", on)[:, None] & (self.part_of[None] != lacks[:, None]))
        disliked = _kept(
            query.disliked, np.repeat(self.has("disliked", on)[:, None], len(query.disliked.values), axis=1)
        )
        features = {
            name: column.take(np.where(self.has("feature", on, name), 0, -1)) for name, column in query.features.items()
        }
        now = self.has("moment", on)
        remembers = now & (liked.lengths + disliked.lengths > 0)
        return QueryBatch(
            liked,
            disliked,
            features,
            None if query.time is None else np.where(now, query.time, np.nan),
            None if query.last_time is None else np.where(remembers, query.last_time, np.nan),
            None if query.user_idx is None else query.user_idx[same],
        )


def known_of(
    query: QueryBatch,
    specs: Sequence[FeatureSpec],
    at_most: int,
    window: int | None = None,
    *,
    time_counts: bool,
    retrieved: bool = False,
) -> Known:
    """What can be taken away from one query.

    Args:
        query: one.
        specs: its features.
        at_most: liked items that are told apart, the newest.
        window: newest liked items the model looks at; None: all.
        time_counts: whether the model looks at the moment.
        retrieved: whether it looks at how the items came out of retrieval.
    """
    liked, part_of, of_part = _liked(query.liked.row(0), at_most, len(query.liked.values) if window is None else window)
    groups: list[Part] = []
    if liked:
        groups.append(Part("liked", count=len(query.liked.values)))
    if len(query.disliked.values):
        groups.append(Part("disliked", count=len(query.disliked.values)))
    given = [one.name for one in specs if one.computed is None and _is_known(query.features[one.name])]
    groups += [Part("feature", name=name) for name in given]
    moments = [one for one in (query.time, query.last_time) if one is not None and not np.isnan(one[0])]
    if time_counts and moments:
        groups.append(Part("moment"))
    if retrieved:
        groups.append(Part("retrieval"))
    return Known(query, tuple(groups), liked, part_of, of_part)


def _liked(
    history: NDArray[np.int32], at_most: int, window: int
) -> tuple[tuple[Part, ...], NDArray[np.int64], NDArray[np.float64]]:
    """Parts, the part of every position, and weights; an item that comes again is one part, where it came last."""
    if not len(history):
        return (), np.empty(0, dtype=np.int64), np.empty(0)
    items, back = np.unique(history[::-1], return_index=True)
    newest_first = items[np.argsort(back)]
    named, older = newest_first[:at_most][::-1], newest_first[at_most:]
    place = np.full(int(items[-1]) + 1, len(named), dtype=np.int64)
    place[named] = np.arange(len(named))
    part_of = place[history]
    parts = [Part("liked", item=int(item)) for item in named]
    parts += [Part("liked", count=len(older))] if len(older) else []
    looked_at = np.bincount(part_of[-window:], minlength=len(parts)).astype(np.float64)
    return tuple(parts), part_of, looked_at / looked_at.sum()


def _kept(history: Ragged, keep: NDArray[np.bool_]) -> Ragged:
    """E copies of the one row of a history, of each what is kept, [E, H]."""
    return Ragged.from_lengths(np.broadcast_to(history.values, keep.shape)[keep], keep.sum(axis=1))


def _is_known(column: Column) -> bool:
    if isinstance(column, CategoryColumn):
        return bool(column.codes[0] != MISSING)
    if isinstance(column, TagsColumn):
        return bool((column.codes.row(0) != MISSING).any())
    if isinstance(column, NumberColumn):
        return not np.isnan(column.values[0])
    return not np.isnan(column.values[0, 0])
