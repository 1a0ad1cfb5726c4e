"""The two shapes of a model. Nothing else is one.

A **retriever** puts queries and items into one space, where a dot product is the score: it can be indexed, so it can
choose from the whole corpus. A **ranker** looks at pairs, and so can only order candidates.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.retrieval.base import Vectors


@runtime_checkable
class Retriever(Protocol):
    """score(query, item) = ⟨encode_queries, encode_items⟩; higher is better.

    An item's bias is one more dimension: the query has 1 there, the item its bias. What is trained is what is searched.

    One whose query vector is a sum over the history says so by a method ``history_shares``: of B queries the different items
    of each history, T in all, and [T, D] what each adds to the vector of an empty one. Explanations are then exact item by item.
    """

    name: str
    has_item_bias: bool

    def encode_queries(self, queries: QueryBatch) -> Vectors:
        """[B, D] for B queries, dense or sparse. An empty history is a query too."""
        ...

    def encode_items(self) -> Vectors:
        """[N, D] for the whole corpus."""
        ...


@runtime_checkable
class Ranker(Protocol):
    """Scores each query's own candidates."""

    name: str

    def score(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """One score a candidate, aligned with ``candidates.values``; higher is better.

        Args:
            queries: B.
            candidates: B rows of items; without ``retrieved`` best first.
            retrieved: the retriever's scores of the candidates, aligned with them; None: they are not known.
        """
        ...
