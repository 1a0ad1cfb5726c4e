"""Popularity: everyone gets what most people took. The row every model has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch


class Popularity:
    """One dimension: the query is 1, the item its share of the positives.

    Args:
        counts: [N] positives an item has.

    Does not know the query: with seen items removed, two people differ only by those.

    >>> Popularity(np.array([3, 1])).encode_items().ravel().tolist()
    [0.75, 0.25]
    """

    name = "popularity"
    has_item_bias = False

    def __init__(self, counts: NDArray[Any]) -> None:
        self.share = (counts / max(counts.sum(), 1)).astype(np.float32)

    @classmethod
    def fit(cls, train: Interactions, num_items: int) -> Popularity:
        """Count the positives."""
        return cls(np.bincount(train.item_idx[train.liked], minlength=num_items))

    def encode_queries(self, queries: QueryBatch) -> NDArray[np.float32]:
        """[B, 1] ones."""
        return np.ones((len(queries), 1), dtype=np.float32)

    def encode_items(self) -> NDArray[np.float32]:
        """[N, 1] shares."""
        vectors: NDArray[np.float32] = self.share[:, None]
        return vectors

    def config(self) -> dict[str, Any]:
        """What a saved retriever needs beside the item vectors."""
        return {"query_encoder": "constant"}
