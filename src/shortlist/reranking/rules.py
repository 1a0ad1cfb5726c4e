"""What somebody decided: forbid items, put some on top, lift some, no more than n of a group."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.reranking.base import Slate, page_first, unit

_NONE: NDArray[np.int32] = np.empty(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Rules:
    """Disliked and blocked items out, pinned ones on top, at most n of a group.

    Args:
        strength: 1: the rules as they are written. Less: pinned items go that share of the way up, and so many more of a group
            are let in; disliked and blocked items are out at any strength above 0.
        blocked, pinned: item indices; pinned ones in the order they shall stand in.
        groups: N rows of group codes; None: no quota.
        at_most: of a group on the page. Where nothing else is left, the page is filled with what is beyond it: k items come
            back whenever k are allowed.

    >>> from shortlist.data.ragged import Ragged
    >>> slate = Slate.of(np.arange(4, dtype=np.int32), np.array([4, 3, 2, 1], np.float32))
    >>> groups = Ragged.from_rows([[7], [7], [7], [8]])
    >>> Rules(pinned=np.array([2]), groups=groups, at_most=1).rerank(slate, 2).item_idx.tolist()
    [2, 3, 0, 1]
    """

    strength: float = 1.0
    blocked: NDArray[np.int32] = field(default_factory=lambda: _NONE)
    pinned: NDArray[np.int32] = field(default_factory=lambda: _NONE)
    groups: Ragged | None = None
    at_most: int = 1
    name: str = "rules"

    def rerank(self, slate: Slate, k: int) -> Slate:
        """Without forbidden items; the first k keep pins and quotas."""
        if self.strength <= 0 or not len(slate):
            return slate
        forbidden = np.concatenate([slate.disliked, self.blocked])
        allowed = np.flatnonzero(~np.isin(slate.item_idx, forbidden)) if len(forbidden) else np.arange(len(slate))
        order = allowed[pin(slate.item_idx[allowed], self.pinned, self.strength)]
        if self.groups is not None and len(order):
            room = self.at_most + round((1 - self.strength) * max(k - self.at_most, 0))
            own = self.groups.take(slate.item_idx[order])
            order = order[page_first(quota(own, room, k), len(order))]
        if np.array_equal(order, np.arange(len(slate))):
            return slate
        return slate.ordered(order)


@dataclass(frozen=True, eq=False)
class Boost:
    """Lifts some items: r' = (1 − s) r + s b, r the relevance on [0, 1], b 1 for the boosted and 0 for the others.

    Args:
        strength: s; at 1 all boosted items come before all others.
        boosted: [N] bool.
    """

    boosted: NDArray[np.bool_]
    strength: float = 0.2
    name: str = "boost"

    def rerank(self, slate: Slate, k: int) -> Slate:  # noqa: ARG002 - it sorts the whole list
        """By mixed relevance."""
        if self.strength <= 0:
            return slate
        s = self.strength
        return slate.resorted((1 - s) * unit(slate.relevance) + s * self.boosted[slate.item_idx])


def pin(item_idx: NDArray[np.int32], pinned: NDArray[np.int32], strength: float) -> NDArray[np.int64]:
    """An order [n] with the pinned items moved up, ``strength`` of the way from their places to the first ones.

    >>> pin(np.array([5, 6, 7, 8]), np.array([8, 7]), 1.0).tolist()
    [3, 2, 0, 1]
    """
    keys = np.arange(len(item_idx), dtype=np.float64)
    if not len(pinned):
        return keys.astype(np.int64)
    number = np.argsort(pinned, kind="stable")
    found = np.minimum(np.searchsorted(pinned[number], item_idx), len(pinned) - 1)
    is_pinned = pinned[number][found] == item_idx
    on_top = (number[found] - len(pinned))[is_pinned]  # negative: before everything that is not pinned
    keys[is_pinned] = (1 - strength) * keys[is_pinned] + strength * on_top
    return np.argsort(keys, kind="stable")


def quota(groups: Ragged, at_most: int, k: int) -> list[int]:
    """The first places, k of them or as many as there are, that hold no more than ``at_most`` of any group.

    Args:
        groups: n rows of codes in the list's order; a row without one is always let in.
        at_most: of each group; an item of several groups must find room in all.
        k: places.

    >>> quota(Ragged.from_rows([[1], [1], [1, 2], [2]]), 1, 3)
    [0, 3]
    """
    codes, offsets = groups.values.tolist(), groups.offsets.tolist()
    room: dict[int, int] = {}
    chosen: list[int] = []
    for place in range(len(offsets) - 1):
        own = codes[offsets[place] : offsets[place + 1]]
        if all(room.get(code, at_most) > 0 for code in own):
            for code in own:
                room[code] = room.get(code, at_most) - 1
            chosen.append(place)
            if len(chosen) == k:
                break
    return chosen
