"""Many queries at once: who asks, as arrays.

A user is only a *part* of a query. What a model gets is a history and features, so that someone who was never in the
training data is asked about in the very same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import CategoryColumn, FeatureTable, NumberColumn, TagsColumn, VectorColumn, take_rows
from shortlist.data.ragged import Ragged


@dataclass(frozen=True, eq=False)
class QueryBatch:
    """``len(self)`` queries.

    Args:
        liked: item indices each query's history likes, most recent last.
        disliked: likewise disliked.
        features: columns of the user and of the moment, one row a query.
    """

    liked: Ragged
    disliked: Ragged
    features: FeatureTable = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.liked)

    def take(self, rows: NDArray[Any]) -> QueryBatch:
        """Some of the queries."""
        return QueryBatch(self.liked.take(rows), self.disliked.take(rows), take_rows(self.features, rows))


@dataclass(frozen=True, eq=False)
class SequenceQueries:
    """The queries at many moments of some sequences, which share their histories: training asks at all positions at once.

    Args:
        sequences: S rows of liked items, oldest first.
        position: [T] the place s·L + t of the last item each query knows, L the length of the longest sequence; S·L for a
            query that knows none.
        num_liked: [T] items of the whole history, also before the sequence.
        disliked: S rows of disliked items, those that any query of the sequence knows.
        disliked_span: [T, 2] the places s·(L + 1) + t, L the longest of ``disliked``, from and to which a query knows them.
        features: as of ``QueryBatch``, T rows.
    """

    sequences: Ragged
    position: NDArray[np.int64]
    num_liked: NDArray[np.int64]
    disliked: Ragged
    disliked_span: NDArray[np.int64]
    features: FeatureTable = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.position)


def sequence_inputs(queries: SequenceQueries, specs: Sequence[FeatureSpec]) -> dict[str, NDArray[Any]]:
    """The arrays of ``network_inputs`` for T queries, but of S sequences.

    Returns:
        ``liked`` and ``disliked`` [S, L], ``position`` [T] and ``disliked_span`` [T, 2] that say where in them each query
        stands; everything else as in ``network_inputs``.
    """
    none = Ragged.empty(len(queries))
    inputs = network_inputs(QueryBatch(none, none, queries.features), specs, max_history=1)
    inputs["liked_count"] = np.log1p(queries.num_liked).astype(np.float32)[:, None]
    for name, history in (("liked", queries.sequences), ("disliked", queries.disliked)):
        longest = int(history.lengths.max())
        inputs[name] = Ragged(history.values + 1, history.offsets).padded(longest, fill=0).astype(np.int64)
    return inputs | {"position": queries.position, "disliked_span": queries.disliked_span}


def network_inputs(queries: QueryBatch, specs: Sequence[FeatureSpec], max_history: int) -> dict[str, NDArray[Any]]:
    """The arrays a query network takes; the same for PyTorch while training and for ONNX Runtime while serving.

    Args:
        queries: B queries.
        specs: the query's features, in the schema's order.
        max_history: most recent items kept.

    Returns:
        ``liked`` and ``disliked`` [B, L] int64, item index + 1, 0 where there is none; ``liked_count`` [B, 1] float32,
        log(1 + length) of the whole history; ``numbers`` [B, 2F] float32, each number (0 where missing) and whether it
        is missing; ``vector.NAME`` [B, width + 1] float32, likewise; ``category.NAME`` [B] and ``tags.NAME`` [B, T] int64
        codes (of text: of its words).
    """
    inputs: dict[str, NDArray[Any]] = {}
    for name, history in (("liked", queries.liked), ("disliked", queries.disliked)):
        recent = history.last(max_history)
        width = max(1, int(recent.lengths.max(initial=1)))
        inputs[name] = Ragged(recent.values + 1, recent.offsets).padded(width, fill=0).astype(np.int64)
    inputs["liked_count"] = np.log1p(queries.liked.lengths).astype(np.float32)[:, None]
    numbers: list[NDArray[np.float32]] = []
    for spec in specs:
        column = queries.features[spec.name]
        if isinstance(column, NumberColumn):
            missing = np.isnan(column.values)
            numbers += [np.where(missing, np.float32(0), column.values), missing.astype(np.float32)]
        elif isinstance(column, VectorColumn):
            missing = np.isnan(column.values[:, :1])
            known = np.where(missing, np.float32(0), column.values)
            inputs[f"vector.{spec.name}"] = np.concatenate([known, missing.astype(np.float32)], axis=1)
        elif isinstance(column, CategoryColumn):
            inputs[f"category.{spec.name}"] = column.codes.astype(np.int64)
        elif isinstance(column, TagsColumn):
            # -1 pads, because 0 already says "no tag known"
            width = max(1, int(column.codes.lengths.max(initial=1)))
            inputs[f"tags.{spec.name}"] = column.codes.padded(width, fill=-1).astype(np.int64)
    if numbers:
        inputs["numbers"] = np.stack(numbers, axis=1)
    return inputs
