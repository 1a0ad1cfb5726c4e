"""What models that score an item by its ties to the items of the history have in common.

score(query, j) = Σ_{i ∈ history} W[i, j]. As a retriever: the query's vector is its history as a row of zeros and ones,
and the vector of item j is column j of W, so that nothing but the sparse query is new to an index.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged, distinct_in_rows
from shortlist.retrieval.base import Vectors


class ItemItem:
    """A retriever over item-to-item weights.

    Args:
        name: of the model.
        item_vectors: [N, D], dense or sparse.
        history_vectors: [N, D] sparse, one row an item of the history; None: the identity, D = N.
        last: so many items of a history count, the newest; None: all.

    An item counts once in a history, however often it was taken. An empty history scores every item 0.
    """

    has_item_bias = False

    def __init__(
        self, name: str, item_vectors: Vectors, history_vectors: Any = None, *, last: int | None = None
    ) -> None:
        self.name, self.item_vectors, self.history_vectors, self.last = name, item_vectors, history_vectors, last

    def encode_queries(self, queries: QueryBatch) -> Vectors:
        """[B, D]: sparse rows of ones, or (dense) the sums of their history vectors."""
        histories = multi_hot(self._counted(queries), self.item_vectors.shape[0])
        if self.history_vectors is None:
            return histories
        summed: NDArray[np.float32] = (histories @ self.history_vectors).toarray()
        return summed

    def encode_items(self) -> Vectors:
        """[N, D]."""
        return self.item_vectors

    def history_shares(self, queries: QueryBatch) -> tuple[Ragged, Vectors]:
        """See ``Retriever``."""
        num_items = self.item_vectors.shape[0]
        once = distinct_in_rows(self._counted(queries), num_items)
        each = multi_hot(Ragged.from_lengths(once.values, np.ones(len(once.values), dtype=np.int64)), num_items)
        return once, each if self.history_vectors is None else (each @ self.history_vectors).toarray()

    def config(self) -> dict[str, Any]:
        """What a saved retriever needs beside its vectors."""
        whole = {"query_encoder": "history_sum", "has_history_vectors": self.history_vectors is not None}
        return whole if self.last is None else {**whole, "last": self.last}

    def _counted(self, queries: QueryBatch) -> Ragged:
        return queries.liked if self.last is None else queries.liked.last(self.last)


def multi_hot(rows: Ragged, num_items: int) -> Any:
    """Sparse [R, num_items] float32 (SciPy's ``csr_array``): 1 where the item stands in the row.

    >>> multi_hot(Ragged.from_rows([[2, 0, 2], []]), 3).toarray().tolist()
    [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    from scipy.sparse import csr_array

    once = distinct_in_rows(rows, num_items)
    ones = np.ones(len(once.values), dtype=np.float32)
    return csr_array((ones, once.values, once.offsets.astype(np.int32)), shape=(len(rows), num_items))


def taken_matrix(train: Interactions | Ragged, num_items: int) -> Any:
    """X: sparse [users with a positive, N], 1 where the user took the item."""
    positives = train.positives() if isinstance(train, Interactions) else train
    return multi_hot(positives.take(np.flatnonzero(positives.lengths)), num_items)
