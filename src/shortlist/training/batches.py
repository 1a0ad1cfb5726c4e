"""Training examples, built by whole-array operations: never row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.features import take_rows
from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch, SequenceQueries
from shortlist.data.ragged import Ragged, distinct, slices
from shortlist.errors import SettingsError

_BELOW_1 = 1 - 2**-16  # so that a user's number and a random one never round up to the next user's


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """B queries with what came next.

    Args:
        queries: histories strictly before the first target's time.
        targets: item indices, at least one a query.
        seen: items each query had taken before its first target.
        user_idx: [B] whose queries they are; for what is kept of each user from batch to batch, no model is told.
        positive_weights: of the targets, aligned with ``targets.values``; None: all alike.
    """

    queries: QueryBatch | SequenceQueries
    targets: Ragged
    seen: Ragged
    user_idx: NDArray[Any]
    positive_weights: NDArray[np.float32] | None = None

    def weights(self, alike: Literal["query", "item"] = "query") -> NDArray[np.float32]:
        """What each target counts in the loss; the weights sum to B.

        Args:
            alike: what weighs the same, before values do: a query, or an item of a target.
        """
        shares = self._shares(alike)
        weights: NDArray[np.float32] = (shares * (len(self) / shares.sum())).astype(np.float32)
        return weights

    def mass(self, alike: Literal["query", "item"] = "query") -> float:
        """What the batch counts beside others: the sum of its weights before they were made to sum to B."""
        return float(self._shares(alike).sum())

    def _shares(self, alike: Literal["query", "item"]) -> NDArray[np.float64]:
        lengths = self.targets.lengths
        shares = np.repeat(1 / lengths, lengths) if alike == "query" else np.ones(len(self.targets.values))
        return shares if self.positive_weights is None else shares * self.positive_weights

    def __len__(self) -> int:
        return len(self.queries)


class Examples(Protocol):
    """Where batches come from."""

    train: Interactions
    has_repeats: bool
    """Whether a user took an item twice."""

    def __len__(self) -> int:
        """Targets seen in one epoch."""
        ...

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[TrainingBatch]:
        """All of them once, in random order."""
        ...


class TrainingExamples:
    """Cuts every user's positives into windows: what came before is the query, the window is the target.

    Each epoch shifts the cuts by a random amount per user, so that every positive is a target once an epoch while it
    meets other neighbours and histories each time.

    Args:
        dataset: for the users' features.
        train: what may be learned from.
        target_window: positives a target holds (1: the next item).
        in_order: whether what shares the first target's moment and stands before it is history.
        positive_weights: of the rows of ``train`` as targets; None: all alike.
    """

    def __init__(
        self,
        dataset: Dataset,
        train: Interactions,
        target_window: int = 1,
        *,
        in_order: bool = False,
        positive_weights: NDArray[np.float32] | None = None,
    ) -> None:
        self.positive_weights = positive_weights
        self.train, self.window, self.user_features = train, target_window, dataset.user_features
        self.in_order, self.has_time = in_order, dataset.has_time
        self.positives = np.flatnonzero(train.liked)
        self.user = train.user_idx[self.positives]
        first = np.searchsorted(self.user, np.arange(train.num_users))
        self.place = np.arange(len(self.positives)) - first[self.user]  # 0 for each user's first positive
        # histories are slices of these compressed columns
        self.likes_until = exclusive_cumsum(train.in_history)
        self.dislikes_until = exclusive_cumsum(train.disliked)
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
        begin, end = train.offsets[user], train.history_ends(rows, in_order=self.in_order)
        queries = QueryBatch(
            liked=slices(self.liked_items, self.likes_until[begin], self.likes_until[end]),
            disliked=slices(self.disliked_items, self.dislikes_until[begin], self.dislikes_until[end]),
            features=take_rows(self.user_features, user) | take_rows(train.context, rows),
            time=train.timestamp[rows].astype(np.float64) if self.has_time else None,
            last_time=train.last_times(begin, end) if self.has_time else None,
        )
        targets = slices(self.positives, starts, stops)
        return TrainingBatch(
            queries=queries,
            targets=Ragged(train.item_idx[targets.values], targets.offsets),
            seen=slices(train.item_idx, begin, rows),
            user_idx=user,
            positive_weights=None if self.positive_weights is None else self.positive_weights[targets.values],
        )


class BagExamples:
    """Takes every user's positives as a bag without order: a share of them is the target, the rest the query.

    The share is drawn anew each epoch. One example a user an epoch: the softmax DNN of the course, trained against the
    normalised multi-hot vector of what the user took, and the form that strong generalization asks for (Liang et al.,
    WWW 2018).

    Args:
        dataset: for the users' features.
        train: what may be learned from; its order plays no part.
        target_share: of each user's positives; at least one, and at least one is left to the query. 1: all are both.
        positive_weights: of the rows of ``train`` as targets; None: all alike.

    Raises:
        SettingsError: a feature is computed from the time of the query, which a bag has not.
    """

    def __init__(
        self,
        dataset: Dataset,
        train: Interactions,
        target_share: float,
        positive_weights: NDArray[np.float32] | None = None,
    ) -> None:
        for spec in dataset.schema.query:
            if spec.computed not in (None, "history_count"):
                raise SettingsError(
                    f'[retriever] target = "multi_hot" takes a person\'s items as a bag, which is asked at no moment, so that '
                    f"[features.context.{spec.name}] ({spec.computed}) cannot be learned: leave the feature out, or set "
                    'target = "next".'
                )
        self.train, self.share, self.user_features = train, target_share, dataset.user_features
        self.positive_weights = positive_weights
        positives = np.bincount(train.user_idx[train.liked], minlength=train.num_users)
        self.users = np.flatnonzero(positives >= 2)
        self.positives = np.flatnonzero(train.liked)
        self.user = train.user_idx[self.positives]
        self.place = np.arange(len(self.user)) - np.repeat(np.cumsum(positives) - positives, positives)
        most = positives if self.share == 1 else positives - 1
        self.num_targets = np.clip(np.round(self.share * positives), 1, np.maximum(most, 1)).astype(np.int64)
        pairs = train.user_idx.astype(np.int64) * dataset.num_items + train.item_idx
        self.has_repeats = len(distinct(pairs)) < len(pairs)

    def __len__(self) -> int:
        """Targets seen in one epoch."""
        return int(self.num_targets[self.users].sum())

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[TrainingBatch]:
        """All users once, in random order."""
        train, items = self.train, Ragged(self.train.item_idx, self.train.offsets)
        is_target = train.liked if self.share == 1 else self._draw_targets(rng)
        # a disliked target is no dislike of its own query
        asked = train.in_history if self.share == 1 else train.in_history & ~is_target
        liked, disliked = items.where(asked), items.where(train.disliked & ~is_target)
        targets, rest = items.where(is_target), items.where(~is_target)
        weights = (
            None if self.positive_weights is None else Ragged(self.positive_weights, train.offsets).where(is_target)
        )
        users = rng.permutation(self.users)
        for begin in range(0, len(users), batch_size):
            chosen = users[begin : begin + batch_size]
            features = take_rows(self.user_features, chosen)
            features |= take_rows(train.context, np.full(len(chosen), -1))  # a bag has no moment
            queries = QueryBatch(liked.take(chosen), disliked.take(chosen), features)
            mine = None if weights is None else weights.take(chosen).values
            yield TrainingBatch(queries, targets.take(chosen), rest.take(chosen), chosen, mine)

    def _draw_targets(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """[n] the rows that are targets this time."""
        # sorted by user, and at random within each; faster than np.lexsort ten times
        order = np.argsort(self.user + rng.random(len(self.user)) * _BELOW_1)
        is_target = np.zeros(len(self.train), dtype=bool)
        is_target[self.positives[order[self.place < self.num_targets[self.user]]]] = True
        return is_target


def exclusive_cumsum(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[n + 1]: how many are true before each place."""
    out = np.zeros(len(mask) + 1, dtype=np.int64)
    np.cumsum(mask, out=out[1:])
    return out
