"""Fresh items first: relevance that halves with age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.reranking.base import Slate, Values, unit

DAY_MS = 86_400_000


@dataclass(frozen=True, eq=False)
class Freshness:
    """r' = r · ((1 − s) + s · 2^(−(age − age of the freshest candidate) / half-life)), r the relevance on [0, 1].

    The exponential decay of time-weighted recommenders (Ding and Li, CIKM 2005), of the item's age and not the rating's.
    It knows only differences: counted from the freshest candidate, it says something in a catalogue of which all is old, too.

    Args:
        times: [N] when each item came, milliseconds since 1970; NaN where unknown: it counts as old as the middle of its list.
        half_life_days: an item of this age counts half (at strength 1).
        strength: s.

    >>> week = Freshness(np.array([0.0, 7.0]) * DAY_MS, half_life_days=7, strength=1.0)
    >>> slate = Slate.of(np.arange(2, dtype=np.int32), np.array([2, 1], np.float32), time=7.0 * DAY_MS)
    >>> week.rerank(slate, 2).item_idx.tolist()  # the older keeps half of 1, the other all of 0
    [0, 1]
    """

    times: NDArray[np.float64]
    half_life_days: float = 30.0
    strength: float = 0.5
    name: str = "freshness"

    def rerank(self, slate: Slate, k: int) -> Slate:  # noqa: ARG002 - it sorts the whole list
        """By decayed relevance."""
        if self.strength <= 0 or not len(slate):
            return slate
        came = self.times[slate.item_idx]
        if np.isfinite(slate.time):
            came = np.minimum(came, slate.time)  # what comes later is as fresh as can be
        decay = decayed(-came / DAY_MS, self.half_life_days)
        return slate.resorted(unit(slate.relevance) * (1 - self.strength + self.strength * decay))


def decayed(age_days: Values, half_life_days: float) -> Values:
    """2^(−(age − youngest) / half-life) for ages [n]; what has no age is as old as the median.

    >>> decayed(np.array([10.0, 40.0, 70.0, np.nan]), 30.0).round(3).tolist()
    [1.0, 0.5, 0.25, 0.5]
    """
    known = age_days[np.isfinite(age_days)]
    if not len(known):
        return np.ones(len(age_days))
    age = np.where(np.isfinite(age_days), age_days, np.median(known))
    decay: Values = np.exp2((known.min() - age) / half_life_days)
    return decay
