"""Many queries at once: who asks, as arrays.

A user is only a *part* of a query. What a model gets is a history and features, so that someone who was never in the
training data is asked about in the very same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import (
    CategoryColumn,
    Column,
    FeatureTable,
    NumberColumn,
    TagsColumn,
    VectorColumn,
    take_rows,
)
from shortlist.data.moments import Times, day_of_week, hour_of_day, minutes_since
from shortlist.data.ragged import Ragged


@dataclass(frozen=True, eq=False)
class QueryBatch:
    """``len(self)`` queries.

    Args:
        liked: item indices each query's history likes, most recent last.
        disliked: likewise disliked.
        features: columns of the user and of the moment, one row a query; not those that are computed.
        time: [Q] when each is asked, in milliseconds since 1970, NaN where unknown; None: of none it is known.
        last_time: [Q] likewise when the last item entered each history, liked or disliked; NaN where it is empty, too.
        user_idx: [Q] whose queries they are, for models that know users by their id alone; -1: nobody known. None: of none
            it is known.
    """

    liked: Ragged
    disliked: Ragged
    features: FeatureTable = field(default_factory=dict)
    time: Times | None = None
    last_time: Times | None = None
    user_idx: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.liked)

    def take(self, rows: NDArray[Any]) -> QueryBatch:
        """Some of the queries."""
        return QueryBatch(
            liked=self.liked.take(rows),
            disliked=self.disliked.take(rows),
            features=take_rows(self.features, rows),
            time=None if self.time is None else self.time[rows],
            last_time=None if self.last_time is None else self.last_time[rows],
            user_idx=None if self.user_idx is None else self.user_idx[rows],
        )

    @property
    def num_known(self) -> NDArray[np.int64]:
        """[B] items of each history, liked or disliked."""
        return self.liked.lengths + self.disliked.lengths


@dataclass(frozen=True, eq=False)
class SequenceQueries:
    """The queries at many moments of some sequences, which share their histories: training asks at all positions at once.

    Args:
        sequences: S rows of liked items, oldest first.
        position: [T] the place s·L + t of the last item each query knows, L the length of the longest sequence; S·L for a
            query that knows none.
        num_liked, num_known: [T] liked items of the whole history, also before the sequence; and those with disliked ones.
        disliked: S rows of disliked items, those that any query of the sequence knows.
        disliked_span: [T, 2] the places s·(L + 1) + t, L the longest of ``disliked``, from and to which a query knows them.
        features, time, last_time: as of ``QueryBatch``, T rows.
    """

    sequences: Ragged
    position: NDArray[np.int64]
    num_liked: NDArray[np.int64]
    num_known: NDArray[np.int64]
    disliked: Ragged
    disliked_span: NDArray[np.int64]
    features: FeatureTable = field(default_factory=dict)
    time: Times | None = None
    last_time: Times | None = None

    def __len__(self) -> int:
        return len(self.position)


def sequence_inputs(queries: SequenceQueries, specs: Sequence[FeatureSpec]) -> dict[str, NDArray[Any]]:
    """The arrays of ``network_inputs`` for T queries, but of S sequences.

    Returns:
        ``liked`` and ``disliked`` [S, L], ``position`` [T] and ``disliked_span`` [T, 2] that say where in them each query
        stands; everything else as in ``network_inputs``.
    """
    inputs = _feature_inputs(queries, specs) | {"position": queries.position, "disliked_span": queries.disliked_span}
    inputs["liked_count"] = np.log1p(queries.num_liked).astype(np.float32)[:, None]
    for name, history in (("liked", queries.sequences), ("disliked", queries.disliked)):
        longest = int(history.lengths.max())
        inputs[name] = Ragged(history.values + 1, history.offsets).padded(longest, fill=0).astype(np.int64)
    return inputs


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
    return inputs | _feature_inputs(queries, specs)


def column(queries: QueryBatch | SequenceQueries, spec: FeatureSpec) -> Column:
    """One feature of every query, supplied or computed."""
    if spec.computed is None:
        return queries.features[spec.name]
    unknown = np.full(len(queries), np.nan)
    time = unknown if queries.time is None else queries.time
    if spec.computed == "hour":
        return hour_of_day(time)
    if spec.computed == "weekday":
        return day_of_week(time)
    if spec.computed == "since_last":
        return spec.encode(pa.array(minutes_since(unknown if queries.last_time is None else queries.last_time, time)))
    return spec.encode(pa.array(queries.num_known.astype(np.float64)))


def _feature_inputs(queries: QueryBatch | SequenceQueries, specs: Sequence[FeatureSpec]) -> dict[str, NDArray[Any]]:
    inputs: dict[str, NDArray[Any]] = {}
    numbers: list[NDArray[np.float32]] = []
    for spec in specs:
        known = column(queries, spec)
        if isinstance(known, NumberColumn):
            missing = np.isnan(known.values)
            numbers += [np.where(missing, np.float32(0), known.values), missing.astype(np.float32)]
        elif isinstance(known, VectorColumn):
            missing = np.isnan(known.values[:, :1])
            vectors = np.where(missing, np.float32(0), known.values)
            inputs[f"vector.{spec.name}"] = np.concatenate([vectors, missing.astype(np.float32)], axis=1)
        elif isinstance(known, CategoryColumn):
            inputs[f"category.{spec.name}"] = known.codes.astype(np.int64)
        elif isinstance(known, TagsColumn):
            # -1 pads, because 0 already says "no tag known"
            width = max(1, int(known.codes.lengths.max(initial=1)))
            inputs[f"tags.{spec.name}"] = known.codes.padded(width, fill=-1).astype(np.int64)
    if numbers:
        inputs["numbers"] = np.stack(numbers, axis=1)
    return inputs
