"""What happened: aligned columns, sorted by user, then time, then the order of the source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.features import FeatureTable, take_rows
from shortlist.data.ragged import Ragged, spans


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions of ``num_users`` users with items, sorted by user, then time.

    Args:
        user_idx, item_idx: [n] int32.
        timestamp: [n] int64 milliseconds since 1970, or the position in the source where there is no time.
        liked: [n] a positive: something to predict.
        disliked: [n] taken, but not liked.
        num_users: users in the vocabulary, also those without a row here.
        value: [n] float32 or None.
        context: features of the moment, aligned.
    """

    user_idx: NDArray[np.int32]
    item_idx: NDArray[np.int32]
    timestamp: NDArray[np.int64]
    liked: NDArray[np.bool_]
    disliked: NDArray[np.bool_]
    num_users: int
    value: NDArray[np.float32] | None = None
    context: FeatureTable = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.user_idx)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """[num_users + 1]: user ``u`` has the rows ``offsets[u]:offsets[u + 1]``."""
        return np.searchsorted(self.user_idx, np.arange(self.num_users + 1)).astype(np.int64)

    @cached_property
    def strictly_before(self) -> NDArray[np.int64]:
        """[n]: the first row of the same user at the same time; rows before it happened strictly earlier.

        What shares the target's second is no history of it: on a page of ratings stored at once, it would
        tell the model the company the target came in.
        """
        starts = np.ones(len(self), dtype=bool)
        starts[1:] = (self.user_idx[1:] != self.user_idx[:-1]) | (self.timestamp[1:] != self.timestamp[:-1])
        return np.maximum.accumulate(np.where(starts, np.arange(len(self)), 0)).astype(np.int64)

    def history_ends(self, rows: NDArray[Any], *, in_order: bool) -> NDArray[np.int64]:
        """For targets at ``rows`` the first row that is no history of theirs.

        Args:
            rows: of the targets.
            in_order: rows of the same time that stand before a target are its history, too.
        """
        ends: NDArray[np.int64] = np.asarray(rows, dtype=np.int64) if in_order else self.strictly_before[rows]
        return ends

    @cached_property
    def in_history(self) -> NDArray[np.bool_]:
        """[n]: enters the history as a like; a positive that turned out a dislike does not."""
        return self.liked & ~self.disliked

    @cached_property
    def last_history_row(self) -> NDArray[np.int64]:
        """[n + 1]: at ``i`` the last row before row ``i`` that is a like or a dislike of anybody's history; -1: none."""
        rows = np.full(len(self) + 1, -1, dtype=np.int64)
        np.maximum.accumulate(np.where(self.in_history | self.disliked, np.arange(len(self)), -1), out=rows[1:])
        return rows

    def last_times(self, starts: NDArray[Any], stops: NDArray[Any]) -> NDArray[np.float64]:
        """Time of the last like or dislike in the row ranges ``[starts, stops)``; NaN where there is none."""
        last = self.last_history_row[stops]
        return np.where(last >= starts, self.timestamp[last].astype(np.float64), np.nan)

    def take(self, rows: NDArray[Any]) -> Interactions:
        """Some rows (a mask, or positions in ascending order)."""
        positions = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return replace(
            self,
            user_idx=self.user_idx[positions],
            item_idx=self.item_idx[positions],
            timestamp=self.timestamp[positions],
            liked=self.liked[positions],
            disliked=self.disliked[positions],
            value=None if self.value is None else self.value[positions],
            context=take_rows(self.context, positions),
        )

    def positives(self) -> Ragged:
        """Liked items of every user, in order of time: [num_users] rows."""
        return Ragged.from_row_of_value(self.item_idx[self.liked], self.user_idx[self.liked], self.num_users)

    def histories(self, starts: NDArray[Any], stops: NDArray[Any]) -> tuple[Ragged, Ragged]:
        """Liked and disliked items in the row ranges ``[starts, stops)``, most recent last."""
        rows = spans(starts, stops)
        items = Ragged(self.item_idx[rows.values], rows.offsets)
        return items.where(self.in_history[rows.values]), items.where(self.disliked[rows.values])
