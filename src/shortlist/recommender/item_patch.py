"""What changed in a catalogue since its artifact was made, as arrays, and how it is laid over what the artifact has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shortlist.data.availability import Availability
from shortlist.data.dataset import Dataset
from shortlist.data.features import Column, joined
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.vocabulary import OutsideId
from shortlist.models.base import Retriever
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.retrieval import PatchedVectors, Vectors

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ItemPatch:
    """Items of an artifact that have other columns, new ones behind them, and those that are deleted.

    Args:
        artifact: the data set as it was, of N items.
        changed: [C] items with other columns, ascending.
        new_ids: [L] of the items N to N + L.
        shown: C + L rows for ``Dataset.display``: of the changed, then of the new ones.
        features: likewise, encoded.
        windows: likewise, from when until when they may be shown.
        arrived: [L] when the new ones came, milliseconds since 1970.
        withdrawn: items of the artifact that are deleted.
        neighbours: L rows of items of the artifact; an item without any counts as the mean of ``ordinary``.
        weights: of all of them, one after the other; those of each row sum to 1.
        ordinary: items that somebody liked.
        placed: the artifact's items that the tower placed anew, ascending, of those in ``changed``.
        towered: vectors [P + L, D] by the retriever's item tower, of ``placed`` and the new ones; None: there is no tower.
    """

    artifact: Dataset
    changed: Rows
    new_ids: tuple[OutsideId, ...]
    shown: pa.Table
    features: dict[str, Column]
    windows: Availability
    arrived: NDArray[np.float64]
    withdrawn: Rows
    neighbours: Ragged
    weights: NDArray[np.float32]
    ordinary: NDArray[Any]
    placed: Rows
    towered: NDArray[np.float32] | None

    @property
    def num_known(self) -> int:
        """N."""
        return self.artifact.num_items

    @property
    def new(self) -> Rows:
        """Indices of the new items."""
        return np.arange(self.num_known, self.num_known + len(self.new_ids))

    @cached_property
    def source(self) -> Rows:
        """[N + L] where each item's columns stand in those of the artifact with ``shown`` behind them."""
        source = np.append(np.arange(self.num_known), self.num_known + len(self.changed) + np.arange(len(self.new_ids)))
        source[self.changed] = self.num_known + np.arange(len(self.changed))
        return source

    @cached_property
    def dataset(self) -> Dataset:
        """The artifact's data with the items as they are now."""
        known, number, source = self.artifact, self.num_known + len(self.new_ids), self.source
        stays = not len(self.changed)
        display = pa.concat_tables([known.display, self.shown])
        features = {name: joined(column, self.features[name]) for name, column in known.item_features.items()}
        arrived = np.full(number, np.nan)
        arrived[self.num_known :] = self.arrived
        return replace(
            known,
            items=known.items.extended(self.new_ids) if self.new_ids else known.items,
            display=(display if stays else display.take(source)).combine_chunks(),
            item_features=features if stays else {name: column.take(source) for name, column in features.items()},
            availability=self._availability(source),
            arrived=arrived,
        )

    def _availability(self, source: Rows) -> Availability | None:
        """A deleted item is never available: no part of the path returns what is not."""
        known, windows = self.artifact.availability, self.windows
        bounded = np.isfinite(windows.start).any() or np.isfinite(windows.end).any()
        if known is None and not bounded and not len(self.withdrawn):
            return None
        always = np.full(self.num_known, -np.inf), np.full(self.num_known, np.inf)
        first, last = always if known is None else (known.start, known.end)
        start, end = np.concatenate([first, windows.start])[source], np.concatenate([last, windows.end])[source]
        start[self.withdrawn] = np.inf
        return Availability(start, end)

    def vectors_for(self, retriever: Retriever, *, towered: bool) -> PatchedVectors | None:
        """A retriever's item vectors with those of the patch; None: they stay as they are."""
        base = retriever.encode_items()
        if towered and self.towered is not None:
            rows = np.append(self.placed, self.new)
            return PatchedVectors(base, rows, self.towered) if len(rows) else None
        if not self.new_ids:
            return None
        return PatchedVectors(base, self.new, self.by_neighbours(base, has_bias=retriever.has_item_bias))

    def by_neighbours(self, vectors: Vectors, *, has_bias: bool) -> Vectors:
        """[L, D]: the direction of the neighbours' weighted mean, their mean length, and their mean bias.

        The mean alone would be shorter, the more the neighbours differ: new items would be in nobody's list.
        """
        from scipy.sparse import csr_array, diags_array

        near = self.neighbours
        weights = csr_array((self.weights, near.values, near.offsets), shape=(len(near), self.num_known))
        means, lengths = weights @ vectors, _lengths(vectors[near.values], has_bias=has_bias)
        wanted = np.bincount(near.row_of_value, self.weights * lengths, len(near))
        stretch = (wanted / np.maximum(_lengths(means, has_bias=has_bias), 1e-9)).astype(np.float32)
        if not isinstance(means, np.ndarray):
            return (diags_array(stretch) @ means).tocsr().astype(np.float32)
        means[:, : means.shape[1] - has_bias] *= stretch[:, None]
        placeless = np.flatnonzero(near.lengths == 0)
        if len(placeless):
            means[placeless] = np.asarray(vectors)[self.ordinary].mean(axis=0)
        return means

    def retriever(self, base: Retriever, *, towered: bool) -> Retriever:
        """A retriever that has the items as they are now."""
        vectors = self.vectors_for(base, towered=towered)
        if vectors is None:
            return base
        folder = base.folder if isinstance(base, ServedRetriever) else Path()
        return ServedRetriever(
            folder,
            base.name,
            vectors,
            lambda queries: base.encode_queries(self.known(queries)),
            has_item_bias=base.has_item_bias,
        )

    def known(self, queries: QueryBatch) -> QueryBatch:
        """Queries as a model of the artifact can read them: in histories a new item is its nearest neighbour."""
        liked, disliked = queries.liked, queries.disliked
        if max(liked.values.max(initial=-1), disliked.values.max(initial=-1)) < self.num_known:
            return queries
        return replace(queries, liked=self._stood_for(liked), disliked=self._stood_for(disliked))

    def _stood_for(self, history: Ragged) -> Ragged:
        first = np.full(len(self.new_ids), -1, dtype=np.int32)
        has_one = self.neighbours.lengths > 0
        first[has_one] = self.neighbours.values[self.neighbours.offsets[:-1][has_one]]
        table = np.append(np.arange(self.num_known, dtype=np.int32), first)
        stood = Ragged(table[history.values], history.offsets)
        return stood.where(stood.values >= 0)


def _lengths(vectors: Vectors, *, has_bias: bool) -> NDArray[np.float32]:
    """[n] without the bias."""
    if isinstance(vectors, np.ndarray):
        own = vectors[:, : vectors.shape[1] - has_bias]
        squares: NDArray[np.float32] = np.einsum("nd,nd->n", own, own)
    else:
        squares = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    return np.sqrt(squares)
