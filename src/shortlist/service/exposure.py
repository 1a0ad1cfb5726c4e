"""What is shown and taken, by popularity: counted on the way out, handed to the counters once a second."""

from __future__ import annotations

import time
from collections.abc import Iterable
from threading import Lock

from prometheus_client import Counter

from shortlist.recommender.popularity_bands import BANDS

_HAND_OVER_SECONDS = 1.0


class BandCounter:
    """A counter by band of popularity. A list has many items, and a counter that several workers share costs microseconds.

    Args:
        counter: with the label ``band``.
    """

    def __init__(self, counter: Counter) -> None:
        self._children = [counter.labels(band) for band in BANDS]
        self._waiting = [0] * len(BANDS)
        self._handed, self._lock = time.monotonic(), Lock()

    def add(self, bands: Iterable[int]) -> None:
        """Count items, each by the number of its band."""
        with self._lock:
            for band in bands:
                self._waiting[band] += 1
        if time.monotonic() - self._handed >= _HAND_OVER_SECONDS:
            self.hand_over()

    def hand_over(self) -> None:
        """What waits, to the counter."""
        with self._lock:
            waiting, self._waiting = self._waiting, [0] * len(BANDS)
            self._handed = time.monotonic()
        for child, number in zip(self._children, waiting, strict=True):
            if number:
                child.inc(number)
