"""Items in ten bands of popularity: what is shown and taken, beside what was learned from, without naming an item."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.vocabulary import OutsideId

NUM_BANDS = 10
BANDS = (*(f"{band:02d}" for band in range(1, NUM_BANDS + 1)), "new")
"""01: the fewest items that have a tenth of all positives, ..., 10: the long tail; new: not in the data."""


class PopularityBands:
    """The bands of one data set.

    An item is in the band that the positives of all more popular ones have reached: were lists drawn like the data, each band
    had about a tenth of them (one very popular item may fill several).

    Args:
        dataset: its positives count.

    >>> bands_of(np.array([50, 30, 10, 10, 0])).tolist()
    [0, 5, 8, 9, 9]
    """

    def __init__(self, dataset: Dataset) -> None:
        self._items = dataset.items
        counts = np.bincount(dataset.interactions.positives().values, minlength=dataset.num_items)
        band = bands_of(counts)
        self._band = [*band.tolist(), NUM_BANDS]  # row -1 is an item that is not known
        self.items: NDArray[np.int64] = np.bincount(band, minlength=len(BANDS))
        """[11] how many items a band has."""
        held = np.bincount(band, weights=counts, minlength=len(BANDS)).astype(np.float64)
        self.share: NDArray[np.float64] = held / max(1, int(counts.sum()))
        """[11] of the positives that a band has."""

    def of(self, item_ids: Iterable[OutsideId]) -> list[int]:
        """The number of each item's band, from 0. Lists rather than arrays: a few microseconds of each answer are spent here.

        Args:
            item_ids: of the vocabulary's own type.
        """
        band = self._band
        return [band[row] for row in self._items.rows_of_own(item_ids)]

    def of_texts(self, item_ids: Iterable[OutsideId]) -> list[int]:
        """Likewise, of ids of any type."""
        return self.of(map(self._items.typed, item_ids))


def bands_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """[N] band from 0 of each item, by its positives [N]."""
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    band = np.empty(len(counts), dtype=np.int64)
    band[order] = np.minimum(before * NUM_BANDS // max(1, int(counts.sum())), NUM_BANDS - 1)
    return band


def stability_index(counts: NDArray[np.int64], share: NDArray[np.float64]) -> float:
    """Population stability index of counts against shares: Σ (p − q) ln(p / q), both with half a count added everywhere.

    0: distributed alike. A rule of thumb calls less than 0.1 little and more than 0.25 much (Siddiqi 2006).

    >>> round(stability_index(np.array([500, 500]), np.array([0.5, 0.5])), 4)
    0.0
    >>> round(stability_index(np.array([900, 100]), np.array([0.5, 0.5])), 2)
    0.88
    """
    total = counts.sum()
    smoothing, whole = 0.5, total + 0.5 * len(counts)
    p, q = (counts + smoothing) / whole, (share * total + smoothing) / whole
    return float(((p - q) * np.log(p / q)).sum())
