"""Why an item was recommended: which liked items carried its score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.base import Retriever
from shortlist.retrieval import dot

MAX_HISTORY = 50  # most recent liked items that may be named as a reason


def occlusion(
    retriever: Retriever, query: QueryBatch, item_idx: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """How much each liked item adds to each score: the score minus the score without it.

    Exact for any encoder, as a leave-one-out difference; the differences need not sum to the score, because items share
    credit in a nonlinear network.

    Args:
        retriever: encodes the query with and without each item, in one batch.
        query: one query.
        item_idx: [k] recommended items.

    Returns:
        history [H] item indices (the most recent ones), contributions [H, k].
    """
    liked = query.liked.row(0)
    recent = np.arange(max(0, len(liked) - MAX_HISTORY), len(liked))
    if not len(recent) or not len(item_idx):
        return np.empty(0, dtype=np.int32), np.zeros((0, len(item_idx)), dtype=np.float32)
    copies = query.take(np.zeros(len(recent) + 1, dtype=np.int64))
    keep = np.ones(len(copies.liked.values), dtype=bool)
    keep[copies.liked.offsets[1:-1] + recent] = False  # copy 0 is whole, copy h + 1 lacks recent[h]
    without = replace(copies, liked=copies.liked.where(keep))
    vectors = retriever.encode_queries(without)
    scores = dot(vectors, retriever.encode_items()[item_idx])
    return liked[recent].astype(np.int32), scores[:1] - scores[1:]


def strongest(contributions: NDArray[np.float32], at_most: int = 2) -> Ragged:
    """For each of k items the history positions that add most, only where they add; strongest first.

    >>> strongest(np.array([[0.5], [-1.0], [0.9]], dtype=np.float32)).row(0).tolist()
    [2, 0]
    """
    if contributions.shape[0] == 0:
        return Ragged.empty(contributions.shape[1])
    order = np.argsort(-contributions, axis=0, kind="stable")[:at_most].T  # [k, at_most]
    helps = np.take_along_axis(contributions.T, order, 1) > 0
    return Ragged.from_lengths(order[helps], helps.sum(axis=1))
