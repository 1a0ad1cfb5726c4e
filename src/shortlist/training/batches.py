"""Training examples, built by whole-array operations: never row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.features import take_rows
from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged, distinct, slices


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """B queries with what came next.

    Args:
        queries: histories strictly before the first target's time.
        targets: item indices, at least one a query.
        seen: items each query had taken before its first target.
    """

    queries: QueryBatch
    targets: Ragged
    seen: Ragged

    def __len__(self) -> int:
        return len(self.queries)


class TrainingExamples:
    """Cuts every user's positives into windows: what came before is the query, the window is the target.

    Each epoch shifts the cuts by a random amount per user, so that every positive is a target once an epoch while it
    meets other neighbours and histories each time.

    Args:
        dataset: for the users' features.
        train: what may be learned from.
        target_window: positives a target holds (1: the next item).
    """

    def __init__(self, dataset: Dataset, train: Interactions, target_window: int = 1) -> None:
        self.train, self.window, self.user_features = train, target_window, dataset.user_features
        self.positives = np.flatnonzero(train.liked)
        self.user = train.user_idx[self.positives]
        first = np.searchsorted(self.user, np.arange(train.num_users))
        self.place = np.arange(len(self.positives)) - first[self.user]  # 0 for each user's first positive
        # histories are slices of these compressed columns
        self.likes_until = _exclusive_cumsum(train.in_history)
        self.dislikes_until = _exclusive_cumsum(train.disliked)
        self.liked_items = train.item_idx[train.in_history]
        self.disliked_items = train.item_idx[train.disliked]
        pairs = train.user_idx.astype(np.int64) * dataset.num_items + train.item_idx
        self.has_repeats = len(distinct(pairs)) < len(pairs)

    def __len__(self) -> int:
        """Positives: targets seen in one epoch."""
        return len(self.positives)

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[TrainingBatch]:
        """All positives as targets once, in random order."""
        shift = rng.integers(0, self.window, self.train.num_users)
        starts = np.flatnonzero((self.place == 0) | ((self.place - shift[self.user]) % self.window == 0))
        stops = np.append(starts[1:], len(self.positives))
        order = rng.permutation(len(starts))
        for begin in range(0, len(order), batch_size):
            chosen = order[begin : begin + batch_size]
            yield self.batch(starts[chosen], stops[chosen])

    def batch(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> TrainingBatch:
        """The examples whose targets are the positives ``starts[i]:stops[i]`` (of one user each)."""
        rows, train = self.positives[starts], self.train
        user = train.user_idx[rows]
        begin, strict = train.offsets[user], train.strictly_before[rows]
        queries = QueryBatch(
            liked=slices(self.liked_items, self.likes_until[begin], self.likes_until[strict]),
            disliked=slices(self.disliked_items, self.dislikes_until[begin], self.dislikes_until[strict]),
            features=take_rows(self.user_features, user) | take_rows(train.context, rows),
        )
        targets = slices(self.positives, starts, stops)
        return TrainingBatch(
            queries=queries,
            targets=Ragged(train.item_idx[targets.values], targets.offsets),
            seen=slices(train.item_idx, begin, rows),
        )


def _exclusive_cumsum(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    out = np.zeros(len(mask) + 1, dtype=np.int64)
    np.cumsum(mask, out=out[1:])
    return out
