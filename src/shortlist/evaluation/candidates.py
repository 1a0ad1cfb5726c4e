"""Which items compete in the queries of a holdout: those that serving would let through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout
from shortlist.models.base import Retriever
from shortlist.retrieval import BitmapCache, Candidates, ExactIndex, Vectors, dot
from shortlist.retrieval.filters import open_at

_SCORES_AT_ONCE = 8_000_000


def candidates_of(holdout: Holdout) -> Candidates:
    """Everything but what is seen, and what is not available at the query's time.

    Args:
        holdout: Q queries.
    """
    unseen = Candidates(holdout.seen)
    if holdout.availability is None or holdout.queries.time is None:
        return unseen
    return unseen & open_at(holdout.availability, holdout.queries.time, BitmapCache(limit=0))


def retrieved(index: ExactIndex, vectors: Vectors, holdout: Holdout, count: int) -> tuple[Ragged, NDArray[np.float32]]:
    """What is found for every query, best first, and its scores [T].

    Args:
        index: of the items.
        vectors: [Q, D] of the queries.
        holdout: Q queries.
        count: items of each; fewer where fewer are allowed.
    """
    found = index.search(vectors, min(count, len(index)), candidates_of(holdout))
    items = Ragged.from_rows([one.item_idx for one in found])
    return items, Ragged.from_rows([one.score for one in found], np.float32).values


def scores_of(retriever: Retriever, queries: QueryBatch, items: Ragged) -> NDArray[np.float32]:
    """A retriever's scores [T] of given items, B rows of them."""
    vectors, corpus = retriever.encode_queries(queries), retriever.encode_items()
    out, size = np.empty(len(items.values), dtype=np.float32), max(1, _SCORES_AT_ONCE // corpus.shape[0])
    for start in range(0, len(items), size):
        scores, stop = dot(vectors[start : start + size], corpus), min(start + size, len(items))
        part = items.take(np.arange(start, stop))
        out[items.offsets[start] : items.offsets[stop]] = scores[part.row_of_value, part.values]
    return out
