"""Several sources of candidates: each gives its share of one list, and who gave what is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.base import Retriever
from shortlist.retrieval import Candidates, Index, ScoredItems, Vectors

SIMILAR_TO_LAST = "similar_to_last"


@dataclass(frozen=True, eq=False)
class Source:
    """One that candidates come from.

    Args:
        name: of its model.
        retriever: encodes queries.
        index: of its items.
        quota: candidates it gives, of all there are.
    """

    name: str
    retriever: Retriever
    index: Index
    quota: int

    def search(self, queries: QueryBatch, k: int, allowed: Candidates) -> list[ScoredItems]:
        """Its own best k of what is allowed to each query."""
        return self.index.search(self.retriever.encode_queries(queries), k, allowed)


class SimilarToLast:
    """Retrieves what points the same way as the item liked last; everything is alike to who liked nothing.

    Args:
        vectors: [N, D] of length 1.
    """

    name = SIMILAR_TO_LAST
    has_item_bias = False

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    def encode_queries(self, queries: QueryBatch) -> Vectors:
        """[B, D]: of the last liked item; zero where there is none."""
        has_one = queries.liked.lengths > 0
        last = np.where(has_one, queries.liked.offsets[1:] - 1, 0)
        items = queries.liked.values[last] if len(queries.liked.values) else np.zeros(len(queries), dtype=np.int32)
        found = self.vectors[items]
        if isinstance(found, np.ndarray):
            return np.where(has_one[:, None], found, np.float32(0))
        return found.multiply(has_one[:, None]).tocsr()

    def encode_items(self) -> Vectors:
        """[N, D]."""
        return self.vectors

    def history_shares(self, queries: QueryBatch) -> tuple[Ragged, Vectors]:
        """See ``Retriever``: the last liked item is all there is."""
        last = queries.liked.last(1)
        return last, self.vectors[last.values]


def merged(
    lists: Sequence[Sequence[ScoredItems]], quotas: Sequence[int], wanted: NDArray[np.int64]
) -> list[ScoredItems]:
    """One list a query out of several, without repeats, in which every source has its share from the top on.

    The item at rank r (from 0) of a source with quota q is due at (r + ½) / q, and items come in the order in which they are
    due: the divisor method of Webster and Sainte-Laguë, whose shares are as near to the quotas as whole items allow, in
    every beginning of the list. What several gave comes once, where it is due first, and counts for all of them. Scores
    of different models cannot be compared: the new score is 1 / place.

    Args:
        lists: of each source, those of the B queries.
        quotas: of each source.
        wanted: [B] items at most.

    >>> one, other = (ScoredItems(np.array(items, np.int32), np.zeros(3, np.float32)) for items in ([1, 2, 3], [2, 7, 8]))
    >>> merged([[one], [other]], [2, 1], np.array([5]))[0].item_idx.tolist()
    [1, 2, 3, 7, 8]
    """
    num_queries, parts = len(wanted), [found for of_source in lists for found in of_source]
    sizes = np.array([len(found) for found in parts], dtype=np.int64)
    item = np.concatenate([np.empty(0, np.int32), *(found.item_idx for found in parts)])
    rank = np.arange(len(item)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    query = np.repeat(np.tile(np.arange(num_queries), len(lists)), sizes)
    due = (rank + 0.5) / np.repeat(np.repeat(np.asarray(quotas, dtype=float), num_queries), sizes)
    order = np.lexsort((due, query))  # stable: of what is due at once the earlier source's comes first
    item, query = item[order], query[order]
    is_first = np.zeros(len(item), dtype=bool)
    is_first[np.unique(query * (int(item.max(initial=0)) + 1) + item, return_index=True)[1]] = True
    item, query = item[is_first], query[is_first]
    begin = np.searchsorted(query, np.arange(num_queries + 1))
    made = []
    for row, n in enumerate(np.minimum(np.diff(begin), wanted).tolist()):
        score = (1 / np.arange(1, n + 1)).astype(np.float32)
        made.append(ScoredItems(item[begin[row] : begin[row] + n], score, "sources"))
    return made
