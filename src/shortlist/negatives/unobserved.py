"""Uniform over what each user has not taken, for many positives of the same users."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, distinct
from shortlist.negatives.base import Negatives, check_items


class Unobserved:
    """Negatives drawn uniformly, with replacement, from what a user does not have: log q = −log (N − |own|).

    The same draws as ``Uniform.per_query``, but of users who come again and again: what they have is put in order once.

    Args:
        own: U rows of what each user has; repeats count once.
        num_items: N.

    Raises:
        ValueError: an own item that is none; more users and items than 64 bits can number.

    >>> rng = np.random.default_rng(0)
    >>> sampler = Unobserved(Ragged.from_rows([[0, 2, 3], [1]]), 5)
    >>> np.unique(sampler.of_rows(np.zeros(100, int), 10, rng).item_idx).tolist()
    [1, 4]
    """

    def __init__(self, own: Ragged, num_items: int) -> None:
        check_items(own.values, num_items, "own")
        self._spacing = num_items + 1
        if len(own) * self._spacing >= 2**63:
            raise ValueError(f"{len(own)} users of {num_items} items are too many to number")
        row, item = np.divmod(distinct(own.row_of_value * num_items + own.values), num_items)
        self._first = np.searchsorted(row, np.arange(len(own) + 1)).astype(np.int64)
        before = np.arange(len(row)) - self._first[row]
        # the d-th item that is left is d plus the own items before it; they have item − before that are left before them
        self._keys = row * self._spacing + item - before
        self._left = num_items - np.diff(self._first)

    @property
    def has_some(self) -> NDArray[np.bool_]:
        """[U] whether there is anything a user does not have."""
        some: NDArray[np.bool_] = self._left > 0
        return some

    def of_rows(self, rows: NDArray[Any], num_negatives: int, rng: np.random.Generator) -> Negatives:
        """[P, S] items, none of them its user's own.

        Args:
            rows: [P] users, any of them again and again; fastest in ascending order.
            num_negatives: S.
            rng: draws.

        Raises:
            ValueError: a user owns every item.
        """
        left = self._left[rows]
        if not left.all():
            full = int(np.asarray(rows)[np.flatnonzero(left == 0)[0]])
            raise ValueError(f"the user of row {full} owns every item, so there is no negative; leave such users out")
        drawn = rng.integers(left[:, None], size=(len(left), num_negatives))
        passed = np.searchsorted(self._keys, np.asarray(rows)[:, None] * self._spacing + drawn, side="right")
        item_idx = drawn + passed - self._first[rows][:, None]
        log_q = np.broadcast_to(-np.log(left)[:, None], item_idx.shape).astype(np.float32)
        return Negatives(item_idx, log_q)
