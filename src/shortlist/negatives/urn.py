"""Draws from what is left of an urn, exactly, without trying again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, distinct
from shortlist.negatives.base import Negatives, check_items


class Urn:
    """An urn with a whole number of balls for each item; every ball is as likely as another.

    Lay the balls in a row, item by item. A draw is a ball's number, and cumulative counts tell its item. A query's own
    balls are taken out by numbering only the others: the u-th that is left is the u-th of all, plus the own balls
    before it. So a query that owns all items but one gets that one at the first draw, where redrawing until nothing is
    owned would try for ever, and the probability is exactly (balls of the item) / (balls left). Balls are integers:
    no rounding can lead to a neighbour that is owned.

    Args:
        balls: [N] int64, ≥ 0, not all 0; an item with none never comes. All equal: draws need no search.

    >>> urn, rng = Urn(np.array([1, 5, 2])), np.random.default_rng(0)
    >>> own = Ragged.from_rows([[1], [0, 1]])
    >>> drawn = urn.outside(own, 4, rng)
    >>> drawn.item_idx[1].tolist(), np.exp(drawn.log_q[1]).tolist()
    ([2, 2, 2, 2], [1.0, 1.0, 1.0, 1.0])
    """

    def __init__(self, balls: NDArray[np.int64]) -> None:
        self.num_items = len(balls)
        self._ends = np.cumsum(balls, dtype=np.int64)
        self.total = int(self._ends[-1]) if len(balls) else 0
        if not self.total or balls.min() < 0:
            raise ValueError("an urn needs at least one ball, and no item may have fewer than none")
        self._starts = self._ends - balls
        self._even = bool((balls == 1).all())
        with np.errstate(divide="ignore"):
            self._log_balls = np.log(balls)

    def draw(self, num: int, rng: np.random.Generator) -> Negatives:
        """Items of ``num`` balls, each laid back, [S]."""
        item_idx = self._item_of(rng.integers(self.total, size=num))
        return Negatives(item_idx, self.log_q_of(item_idx))

    def log_q_of(self, item_idx: NDArray[Any]) -> NDArray[np.float32]:
        """Natural logarithm of each item's share of all balls; −inf for one without."""
        log_q: NDArray[np.float32] = (self._log_balls[item_idx] - np.log(self.total)).astype(np.float32)
        return log_q

    def outside(self, own: Ragged, num: int, rng: np.random.Generator) -> Negatives:
        """For each row the items of ``num`` balls that are not its own, each laid back, [B, S].

        Args:
            own: B rows of items, in any order, repeated or not.
            num: S.
            rng: draws.

        Raises:
            ValueError: a row owns every ball; an own item that is none; more rows than 64 bits can number.
        """
        num_rows, spacing = len(own), self.total + 1
        if num_rows * spacing >= 2**63:
            raise ValueError(f"{num_rows} queries at once are too many; ask for at most {2**63 // spacing - 1}")
        check_items(own.values, self.num_items, "own")
        pairs = distinct(own.row_of_value * self.num_items + own.values)
        first = np.searchsorted(pairs, np.arange(num_rows + 1) * self.num_items)  # of each row among the pairs
        row, item = np.divmod(pairs, self.num_items)
        taken = np.concatenate([[0], np.cumsum(self._ends[item] - self._starts[item])])  # balls, over all rows
        taken_before_row = taken[first[:-1]]
        left = self.total - (taken[first[1:]] - taken_before_row)
        self._refuse_empty(left)
        drawn = rng.integers(left[:, None], size=(num_rows, num))
        places = self._starts[item] - (taken[:-1] - taken_before_row[row])  # what is left before each own item
        passed = np.searchsorted(row * spacing + places, np.arange(num_rows)[:, None] * spacing + drawn, side="right")
        item_idx = self._item_of(drawn + taken[passed] - taken_before_row[:, None])
        return Negatives(item_idx, (self._log_balls[item_idx] - np.log(left)[:, None]).astype(np.float32))

    def _item_of(self, ball: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._even:
            return ball
        flat = ball.ravel()
        order = np.argsort(flat)  # ascending needles find their way through the caches, five times as fast
        item_idx = np.empty(len(flat), dtype=np.int64)
        item_idx[order] = np.searchsorted(self._ends, flat[order], side="right")
        return item_idx.reshape(ball.shape)

    def _refuse_empty(self, left: NDArray[np.int64]) -> None:
        empty = np.flatnonzero(left == 0)
        if len(empty):
            raise ValueError(
                f"{len(empty)} of {len(left)} queries, first row {empty[0]}, own every item that can be drawn, so they"
                " have no negative; leave them out of the batch or give them fewer own items"
            )
