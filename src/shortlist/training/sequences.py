"""Whole histories as training examples: a transformer is asked at all positions of a sequence at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.features import take_rows
from shortlist.data.interactions import Interactions
from shortlist.data.queries import SequenceQueries
from shortlist.data.ragged import Ragged, distinct, slices, spans
from shortlist.training.batches import TrainingBatch, exclusive_cumsum

_SPREAD = 0.1  # sequences whose lengths differ by less than this share are in random order


class TrainingSequences:
    """Cuts every user's likes into sequences; at each position the state is asked for what came next.

    Every positive is a target once an epoch. Positives that follow the same last like, such as those of one moment where
    history is strictly before, are one normalised multi-hot target. Users with more likes than a sequence holds are cut
    at other places each epoch. Sequences of like length share a batch: there is little to pad.

    Args:
        dataset: for the users' features.
        train: what may be learned from.
        length: most items of a sequence.
        in_order: whether what shares the target's moment and stands before it is history.
        positive_weights: of the rows of ``train`` as targets; None: all alike.
    """

    def __init__(
        self,
        dataset: Dataset,
        train: Interactions,
        length: int,
        *,
        in_order: bool = False,
        positive_weights: NDArray[np.float32] | None = None,
    ) -> None:
        self.positive_weights, self.has_time = positive_weights, dataset.has_time
        self.train, self.length, self.user_features = train, length, dataset.user_features
        self.liked_items, self.disliked_items = train.item_idx[train.in_history], train.item_idx[train.disliked]
        likes_until, dislikes_until = exclusive_cumsum(train.in_history), exclusive_cumsum(train.disliked)
        self.first_like = likes_until[train.offsets]  # [users + 1]
        self.like_user = train.user_idx[train.in_history]
        self.like_place = np.arange(len(self.liked_items)) - self.first_like[self.like_user]

        self.positives = np.flatnonzero(train.liked)
        ends = train.history_ends(self.positives, in_order=in_order)
        user, known = train.user_idx[self.positives], likes_until[ends]  # liked_items[:known] came before
        opens = np.ones(len(self.positives), dtype=bool)
        opens[1:] = (user[1:] != user[:-1]) | (known[1:] != known[:-1])
        # a query is all that is asked of one state
        self.starts = np.flatnonzero(opens)
        self.stops = np.append(self.starts[1:], len(self.positives))
        self.user, self.known, self.history_end = user[self.starts], known[self.starts], ends[self.starts]
        # of a query's dislikes the most recent are disliked_items[since:until]
        self.until = dislikes_until[self.history_end]
        first_dislike = dislikes_until[train.offsets[self.user]]
        self.num_disliked = self.until - first_dislike
        self.since = np.maximum(first_dislike, self.until - length)
        pairs = train.user_idx.astype(np.int64) * dataset.num_items + train.item_idx
        self.has_repeats = len(distinct(pairs)) < len(pairs)

    def __len__(self) -> int:
        """Targets seen in one epoch."""
        return len(self.positives)

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[TrainingBatch]:
        """All positives as targets once, in batches of at most so many positions, in random order."""
        num_likes = np.diff(self.first_like)
        shift = np.where(num_likes > self.length, rng.integers(0, self.length, len(num_likes)), 0)[self.like_user]
        cuts = np.flatnonzero((self.like_place == 0) | ((self.like_place - shift) % self.length == 0))
        # a query without history goes with its user's first sequence
        newest = np.maximum(self.known - 1, self.first_like[self.user])
        sequence = np.maximum(np.searchsorted(cuts, newest, side="right") - 1, 0)
        begins = np.flatnonzero(np.diff(sequence, prepend=-1))
        begin, end = begins, np.append(begins[1:], len(sequence))  # the queries of each sequence
        first = cuts[sequence[begin]]
        stop = np.maximum(self.known[end - 1], first + 1)  # what follows the last query's history is not read
        size = stop - first
        order = np.argsort(-size * (1 + _SPREAD * rng.random(len(size))), kind="stable")
        batches = _batches(size[order], batch_size)
        for number in rng.permutation(len(batches)):
            which = order[batches[number]]
            yield self.batch(first[which], stop[which], begin[which], end[which])

    def batch(
        self, first: NDArray[np.int64], stop: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64]
    ) -> TrainingBatch:
        """The sequences ``liked_items[first:stop]`` with the queries ``begin:end`` that are asked of their states."""
        sequences = slices(self.liked_items, first, stop)
        asked = spans(begin, end)
        query, longest = asked.values, int(sequences.lengths.max())
        place = self.known[query] - 1 - first[asked.row_of_value]
        is_empty = self.known[query] == self.first_like[self.user[query]]
        position = np.where(is_empty, len(sequences) * longest, asked.row_of_value * longest + place)
        user, rows = self.user[query], self.positives[self.starts[query]]
        user_begin = self.train.offsets[user]
        disliked, disliked_span = self._disliked(asked, begin, end)
        num_liked = self.known[query] - self.first_like[user]
        queries = SequenceQueries(
            sequences=sequences,
            position=position,
            num_liked=num_liked,
            num_known=num_liked + self.num_disliked[query],
            disliked=disliked,
            disliked_span=disliked_span,
            features=take_rows(self.user_features, user) | take_rows(self.train.context, rows),
            time=self.train.timestamp[rows].astype(np.float64) if self.has_time else None,
            last_time=self.train.last_times(user_begin, self.history_end[query]) if self.has_time else None,
        )
        targets = slices(self.positives, self.starts[query], self.stops[query])
        return TrainingBatch(
            queries=queries,
            targets=Ragged(self.train.item_idx[targets.values], targets.offsets),
            seen=slices(self.train.item_idx, user_begin, rows),
            user_idx=user,
            positive_weights=None if self.positive_weights is None else self.positive_weights[targets.values],
        )

    def _disliked(
        self, asked: Ragged, begin: NDArray[np.int64], end: NDArray[np.int64]
    ) -> tuple[Ragged, NDArray[np.int64]]:
        """What any query of each sequence knows as disliked, and from where to where each query knows it."""
        disliked = slices(self.disliked_items, self.since[begin], self.until[end - 1])
        row = asked.row_of_value
        shift = row * (int(disliked.lengths.max()) + 1) - self.since[begin][row]
        return disliked, np.stack([self.since[asked.values] + shift, self.until[asked.values] + shift], axis=1)


def _batches(size: NDArray[np.int64], positions: int) -> list[slice]:
    """Consecutive rows, at least one each, such that rows times the longest stay within the positions.

    >>> _batches(np.array([5, 3, 3, 1]), 6)
    [slice(0, 1, None), slice(1, 3, None), slice(3, 4, None)]
    """
    largest = np.maximum.accumulate(size[::-1])[::-1]  # of what is left
    pieces, start = [], 0
    while start < len(size):
        stop = min(start + max(1, positions // int(largest[start])), len(size))
        pieces.append(slice(start, stop))
        start = stop
    return pieces
