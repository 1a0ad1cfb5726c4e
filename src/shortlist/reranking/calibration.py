"""A page that mixes kinds of items as the person's history does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.reranking.base import Slate, Values, indicators, page_first, unit

SMOOTHING = 0.01  # share of the profile mixed into the page's distribution, so that no logarithm is infinite
_MOST_TAGS = 32  # of a profile, the most frequent; the others are one tag


@dataclass(frozen=True, eq=False)
class Calibration:
    """Chooses the page item by item so that its tags are distributed as those of the liked items (Steck, RecSys 2018).

    Who has no history, or none with tags, keeps the list.

    Args:
        tags: N rows of codes; an item with several counts for each in equal parts.
        strength: s.
    """

    tags: Ragged
    strength: float = 0.3
    name: str = "calibration"

    def rerank(self, slate: Slate, k: int) -> Slate:
        """The page first, then the rest as it was."""
        if self.strength <= 0 or not len(slate):
            return slate
        codes, profile = profile_of(self.tags, slate.liked)
        if not len(codes):
            return slate
        shares = shares_of(self.tags, slate.item_idx, codes)
        chosen = calibrate(unit(slate.relevance), shares, profile, self.strength, min(k, len(slate)))
        return slate.ordered(page_first(chosen, len(slate)))


def profile_of(tags: Ragged, liked: NDArray[np.int32]) -> tuple[NDArray[np.int64], Values]:
    """The tags a history has most, and its distribution over them; a last entry is what the other tags have.

    Returns:
        codes [G ≤ 31] ascending, and p [G + 1] that sums to 1; both empty where no liked item has a tag.

    >>> codes, p = profile_of(Ragged.from_rows([[4, 9], [4], []]), np.array([0, 1, 2]))
    >>> codes.tolist(), p.tolist()
    ([4, 9], [0.75, 0.25, 0.0])
    """
    own = tags.take(liked)
    if not len(own.values):
        return np.empty(0, dtype=np.int64), np.empty(0)
    codes, column = np.unique(own.values, return_inverse=True)
    totals = np.bincount(column, weights=1 / own.lengths[own.row_of_value])
    kept = np.sort(np.argsort(-totals, kind="stable")[: _MOST_TAGS - 1])
    p = totals / totals.sum()
    return codes[kept], np.append(p[kept], max(1 - p[kept].sum(), 0.0) if len(kept) < len(codes) else 0.0)


def shares_of(tags: Ragged, item_idx: NDArray[np.int32], codes: NDArray[np.int64]) -> Values:
    """[n, G + 1]: each item's distribution over ``codes`` [G] and the rest; zeros where it has no tag."""
    own_codes, matrix = indicators(tags, item_idx)
    matrix /= np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares = np.zeros((len(item_idx), len(codes) + 1))
    if len(own_codes):
        place = np.minimum(np.searchsorted(own_codes, codes), len(own_codes) - 1)
        shares[:, :-1] = np.where(own_codes[place] == codes, matrix[:, place], 0.0)
        shares[:, -1] = np.maximum(matrix.sum(axis=1) - shares[:, :-1].sum(axis=1), 0.0)
    return shares


def calibrate(relevance: Values, shares: Values, profile: Values, strength: float, k: int) -> list[int]:
    """Greedily maximise (1 − s) Σ r_i − s KL(p ‖ 0.99 q + 0.01 p), q the mean of the page's ``shares``.

    Steck, RecSys 2018, equation 6 and the greedy choice after it (there λ = s).

    Args:
        relevance: [n] on [0, 1].
        shares: [n, G] each item's distribution over tags.
        profile: p [G].
        strength: s.
        k: places, at most n.

    Returns:
        k places in the list, in the order chosen.

    >>> two_to_one = np.array([2 / 3, 1 / 3])
    >>> calibrate(np.array([1.0, 0.9, 0.8, 0.1]), np.eye(2)[[0, 0, 0, 1]], two_to_one, 0.9, 3)
    [0, 3, 1]
    """
    present = profile > 0  # other tags add nothing to the divergence
    p = profile[present]
    given = (1 - SMOOTHING) * np.ascontiguousarray(shares[:, present])
    weighted, summed = (1 - strength) * relevance, np.zeros(len(p))
    left, chosen = np.zeros(len(relevance)), []
    for size in range(1, k + 1):
        mixed = (summed + given) / size + SMOOTHING * p
        best = int((weighted + strength * (np.log(mixed) @ p) + left).argmax())
        chosen.append(best)
        left[best] = -np.inf
        summed = summed + given[best]
    return chosen


def divergence(shares: Values, profile: Values) -> float:
    """KL(p ‖ 0.99 q + 0.01 p) in nats, q the mean of the items' shares [m, G].

    >>> round(divergence(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.5, 0.5])), 9)
    0.0
    """
    p = profile[profile > 0]
    mixed = (1 - SMOOTHING) * shares[:, profile > 0].mean(axis=0) + SMOOTHING * p
    return float((p * np.log(p / mixed)).sum())
