"""What a sampler returns, and what one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged


@dataclass(frozen=True, eq=False)
class Negatives:
    """Items to compare with, and how likely each was: always together, or the loss cannot correct for it.

    Args:
        item_idx: [S], shared by all queries, or [B, S], int64.
        log_q: of the same shape, float32: natural logarithm of the probability that one draw gives this item, under
            the very distribution it was drawn from. Losses *subtract* it.

    Raises:
        ValueError: two shapes.

    >>> Negatives(np.array([3, 1]), np.log([0.5, 0.25])).item_idx.tolist()
    [3, 1]
    """

    item_idx: NDArray[np.int64]
    log_q: NDArray[Any]

    def __post_init__(self) -> None:
        if self.item_idx.shape != self.log_q.shape:
            raise ValueError(
                f"item_idx is {list(self.item_idx.shape)} and log_q {list(self.log_q.shape)}; they must be of one shape"
            )

    def columns(self, chosen: NDArray[Any]) -> Negatives:
        """Of each row the chosen columns [B, K]; a column may be chosen twice."""
        return Negatives(
            np.take_along_axis(self.item_idx, chosen, axis=1), np.take_along_axis(self.log_q, chosen, axis=1)
        )


class Sampler(Protocol):
    """Draws items with replacement from one distribution."""

    def shared(self, num_negatives: int, rng: np.random.Generator) -> Negatives:
        """Items for all queries of a batch together, [S]; some may be a query's own, which the loss leaves out."""

    def per_query(self, own: Ragged, num_negatives: int, rng: np.random.Generator) -> Negatives:
        """Items for each query, [B, S], none its own; ``Ragged.empty(B)`` where own items may come too."""

    def log_q_of(self, item_idx: NDArray[Any]) -> NDArray[np.float32]:
        """Natural logarithm of the probability that one shared draw gives each item, of the shape of ``item_idx``."""


def check_items(item_idx: NDArray[Any], num_items: int, name: str) -> None:
    """Refuse rows of no item: counted from behind, −1 would be the last one.

    >>> check_items(np.array([0, -1]), 5, "own")
    Traceback (most recent call last):
    ValueError: own has item -1; there are 5 items, so every one must be in 0 … 4. Leave padding out.
    """
    if len(item_idx) and (item_idx.min() < 0 or item_idx.max() >= num_items):
        wrong = item_idx[(item_idx < 0) | (item_idx >= num_items)][0]
        raise ValueError(
            f"{name} has item {wrong}; there are {num_items} items, so every one must be in 0 … {num_items - 1}."
            " Leave padding out."
        )
