"""What a log says of every item, fixed when a ranker is fitted and saved with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.retrieval import Vectors, directions

_NEWEST = (0.1, 0.01)  # shares of the log that say what is popular of late


@dataclass(frozen=True, eq=False)
class ItemStatistics:
    """N items as a log knows them.

    Popularities are relative, log((n + 1) / (mean of n + 1)): those of a longer log mean the same.

    Args:
        popularity: [N] of the positives n in the whole log.
        recent: [N, 2] likewise, in its last spans of time (``newest_spans``).
        first, last: [N] milliseconds of the first and last positive; NaN where there is none, or no time is known.
        until: [1] milliseconds of the log's last positive, after which nothing is known of any item; NaN likewise.
        vectors: [N, D] directions of the retriever's item vectors, without a bias; 0 wide where those are sparse.
    """

    popularity: NDArray[np.float32]
    recent: NDArray[np.float32]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    until: NDArray[np.float64]
    vectors: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        learned: Interactions,
        item_vectors: Vectors,
        spans: tuple[float, float],
        *,
        has_item_bias: bool,
        has_time: bool,
    ) -> ItemStatistics:
        """Count what a retriever was fitted on, and take its vectors.

        Args:
            learned: the same rows the retriever learned from: a ranker must not count what it is asked for.
            item_vectors: [N, D] of that retriever.
            spans: lengths of what is recent, in the unit of ``learned.timestamp``.
            has_item_bias: whether their last dimension is a bias.
            has_time: whether the log's times are times.
        """
        num_items = item_vectors.shape[0]
        items, times = learned.item_idx[learned.liked], learned.timestamp[learned.liked].astype(np.float64)
        end = times.max(initial=-np.inf)
        parts = [items, *(items[times >= end - span] for span in spans)]
        popularity = np.stack([_relative(np.bincount(part, minlength=num_items)) for part in parts], axis=1)
        first, last = np.full(num_items, np.nan), np.full(num_items, np.nan)
        until = np.full(1, end if has_time else np.nan)
        if has_time:
            np.fmin.at(first, items, times)
            np.fmax.at(last, items, times)
        vectors = np.zeros((num_items, 0), dtype=np.float32)
        if isinstance(item_vectors, np.ndarray):
            vectors = directions(item_vectors[:, :-1] if has_item_bias else item_vectors)
        return cls(popularity[:, 0], popularity[:, 1:], first, last, until, vectors.astype(np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By name, to be saved."""
        return {one.name: np.ascontiguousarray(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ItemStatistics:
        """Read ``arrays`` back; others among them are left alone."""
        return cls(**{one.name: arrays[one.name] for one in fields(cls)})


def newest_spans(log: Interactions) -> tuple[float, float]:
    """How long the newest tenth and the newest hundredth of a log's positives took.

    Taken once, from the training part, for the statistics of all parts: the newest hundredth of a longer log is a longer time,
    and what is popular in it another thing.
    """
    times = log.timestamp[log.liked].astype(np.float64)
    tenth, hundredth = (float(times.max() - np.quantile(times, 1 - share)) for share in _NEWEST)
    return tenth, hundredth


def _relative(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    popularity: NDArray[np.float32] = np.log((counts + 1) / (counts.mean() + 1)).astype(np.float32)
    return popularity
