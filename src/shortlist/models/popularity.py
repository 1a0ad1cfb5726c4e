"""Popularity: everyone gets what most people took, ever or lately. The rows every model has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.settings import RecentPopularitySettings

_MS_A_DAY = 86_400_000


class Popularity:
    """One dimension: the query is 1, the item its share of the positives.

    Args:
        counts: [N] positives an item has.

    Does not know the query: with seen items removed, two people differ only by those.

    >>> Popularity(np.array([3, 1])).encode_items().ravel().tolist()
    [0.75, 0.25]
    """

    has_item_bias = False

    def __init__(self, counts: NDArray[Any], name: str = "popularity") -> None:
        self.name = name
        self.share = (counts / max(counts.sum(), 1e-30)).astype(np.float32)

    @classmethod
    def fit(cls, train: Interactions, num_items: int) -> Popularity:
        """Count the positives."""
        return cls(np.bincount(train.item_idx[train.liked], minlength=num_items))

    @classmethod
    def fit_recent(cls, train: Interactions, num_items: int, settings: RecentPopularitySettings) -> Popularity:
        """Count the positives, each with the weight 2^(−age / half-life); ages end with the newest one.

        The weights are the same for every query: one of last year is answered with what is popular at the end, too.
        """
        times = train.timestamp[train.liked]
        age_days = (times.max(initial=0) - times) / _MS_A_DAY
        weights = np.exp2(-age_days / settings.half_life_days)
        return cls(np.bincount(train.item_idx[train.liked], weights, num_items), "recent_popularity")

    def encode_queries(self, queries: QueryBatch) -> NDArray[np.float32]:
        """[B, 1] ones."""
        return np.ones((len(queries), 1), dtype=np.float32)

    def encode_items(self) -> NDArray[np.float32]:
        """[N, 1] shares."""
        vectors: NDArray[np.float32] = self.share[:, None]
        return vectors

    def history_shares(self, queries: QueryBatch) -> tuple[Ragged, NDArray[np.float32]]:
        """See ``Retriever``: nothing is added by anything."""
        return Ragged.empty(len(queries)), np.zeros((0, 1), dtype=np.float32)

    def config(self) -> dict[str, Any]:
        """What a saved retriever needs beside the item vectors."""
        return {"query_encoder": "constant"}
