"""All items on a plane: the two directions in which their vectors differ most, so that a query can be placed there, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.features import FIRST_VALUE, CategoryColumn, TagsColumn
from shortlist.data.ragged import Ragged
from shortlist.recommender.query import Query
from shortlist.recommender.recommender import Recommender
from shortlist.retrieval import Vectors, directions, dot

MAX_TAGS = 12  # in the legend: more colours cannot be told apart; 16 bits hold them
_DENSE_WIDTH = 1024  # wider vectors have no covariance matrix worth its memory
_STEPS, _SPARE = 12, 6  # of the power iteration


@dataclass(frozen=True, eq=False)
class Plane:
    """A linear shadow of D dimensions: what is near in them is near on it, not always the other way round.

    Args:
        mean: [D], lands at the origin.
        axes: [D, 2].
        shares: of the variance that each axis shows.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    shares: tuple[float, float]

    def land(self, vectors: Vectors) -> NDArray[np.float32]:
        """[n, 2] places of vectors [n, D], dense or sparse."""
        landed: NDArray[np.float32] = np.asarray(vectors @ self.axes - self.mean @ self.axes, dtype=np.float32)
        return landed


def principal_plane(vectors: Vectors) -> Plane:
    """The plane of the greatest variance (principal components), the same for the same vectors.

    Exact from the covariance where vectors are dense, else by power iteration of a block (Halko, Martinsson & Tropp 2011).

    >>> plane = principal_plane(np.array([[0, 0, 2], [0, 0, -2], [0, 1, 0], [0, -1, 0]], np.float32))
    >>> plane.axes.T.tolist(), [round(one, 2) for one in plane.shares]
    ([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]], [0.8, 0.2])
    """
    number, width = vectors.shape
    mean = np.asarray(vectors.mean(axis=0), dtype=np.float32).ravel()
    if isinstance(vectors, np.ndarray) and width <= _DENSE_WIDTH:
        covariance = vectors.T @ vectors / np.float32(number) - np.outer(mean, mean)
        total = float(np.trace(covariance))
        variances, axes = np.linalg.eigh(covariance)
    else:
        squares = vectors * vectors if isinstance(vectors, np.ndarray) else vectors.multiply(vectors)
        total = float(squares.sum()) / number - float(mean @ mean)
        variances, axes = _by_iteration(vectors, mean)
    count = min(2, len(variances))
    kept = np.zeros((width, 2), dtype=np.float32)
    kept[:, :count] = axes[:, ::-1][:, :count]
    largest = kept[np.abs(kept).argmax(axis=0), np.arange(2)]
    kept *= np.where(largest < 0, -1, 1)  # an axis and its negative are one: this makes it always the same one
    shares = np.zeros(2)
    shares[:count] = np.maximum(variances[::-1][:count], 0) / max(total, 1e-12)
    return Plane(mean, kept, (float(shares[0]), float(shares[1])))


def _by_iteration(vectors: Vectors, mean: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Largest variances, ascending, and their axes in columns."""
    block = np.random.default_rng(0).standard_normal((vectors.shape[1], 2 + _SPARE)).astype(np.float32)
    block = np.linalg.qr(block)[0]
    for _ in range(_STEPS):
        block = np.linalg.qr(_times_covariance(vectors, mean, block))[0]
    variances, turn = np.linalg.eigh(block.T @ _times_covariance(vectors, mean, block))
    return variances, block @ turn


def _times_covariance(vectors: Vectors, mean: NDArray[np.float32], block: NDArray[Any]) -> NDArray[Any]:
    product: NDArray[Any] = np.asarray(vectors.T @ (vectors @ block)) / vectors.shape[0]
    return product - np.outer(mean, mean @ block)


@dataclass(frozen=True, eq=False)
class ItemMap:
    """Where each item is, and what colours it.

    Args:
        plane: on which directions are placed.
        places: [N, 2] float32.
        popularity: [N] uint32, how many liked the item.
        feature: whose values are in the legend; None: items have no tags and no category.
        legend: its most frequent values with their number of items, most frequent first.
        tags: [N] uint16; bit ``i`` says that the item has the legend's value ``i``.
    """

    plane: Plane
    places: NDArray[np.float32]
    popularity: NDArray[np.uint32]
    feature: str | None
    legend: tuple[tuple[str, int], ...]
    tags: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.places)

    def to_bytes(self) -> bytes:
        """Little-endian, one array after the other: N × (x, y) float32, N uint32 popularity, N uint16 tags."""
        parts = ((self.places, "<f4"), (self.popularity, "<u4"), (self.tags, "<u2"))
        return b"".join(np.ascontiguousarray(values, dtype=kind).tobytes() for values, kind in parts)


def map_items(recommender: Recommender, plane: Plane | None = None) -> ItemMap:
    """The map of a recommender's items by the directions of their vectors: what ``similar`` compares.

    Args:
        recommender: whose items.
        plane: on which they are placed; None: that of their own greatest variance.
    """
    vectors, dataset = recommender.similarity_vectors, recommender.dataset
    plane = plane or principal_plane(vectors)
    liked = dataset.interactions.item_idx[dataset.interactions.liked]
    popularity = np.bincount(liked, minlength=dataset.num_items).astype(np.uint32)
    feature, values, codes = colours(recommender)
    counts = np.bincount(codes.values, minlength=len(values) + FIRST_VALUE)[FIRST_VALUE:]
    chosen = np.argsort(-counts, kind="stable")[:MAX_TAGS]
    chosen = chosen[counts[chosen] > 0]
    tags = np.zeros(dataset.num_items, dtype=np.uint16)
    for bit, value in enumerate(chosen.tolist()):
        tags[codes.row_of_value[codes.values == value + FIRST_VALUE]] |= np.uint16(1 << bit)
    legend = tuple((values[value], int(counts[value])) for value in chosen.tolist())
    return ItemMap(plane, plane.land(vectors), popularity, feature, legend, tags)


@dataclass(frozen=True, eq=False)
class Landing:
    """A query on the map.

    Args:
        x, y: where its vector's direction is.
        fit: [N] uint8, how each item's score stands among those of all items: 255 is the best, 128 the middle.
    """

    x: float
    y: float
    fit: NDArray[np.uint8]


def land_query(recommender: Recommender, plane: Plane, query: Query) -> Landing:
    """Where a query lands, and what the retriever thinks of every item for it.

    Raises:
        UnknownIdError, QueryError: as ``recommend``.
    """
    vectors = recommender.retriever.encode_queries(recommender.asking.read([query]).batch)
    x, y = plane.land(directions(vectors[:, :-1] if recommender.retriever.has_item_bias else vectors))[0].tolist()
    scores = dot(vectors, recommender.item_vectors)[0]
    fit = np.empty(len(scores), dtype=np.uint8)
    fit[np.argsort(scores, kind="stable")] = np.linspace(0, 255, len(scores)).round()
    return Landing(x, y, fit)


def colours(recommender: Recommender) -> tuple[str | None, tuple[str, ...], Ragged]:
    """The feature that colours: the first with tags, else the first category; its values, and each item's codes."""
    dataset = recommender.dataset
    specs = [spec for spec in dataset.schema.side("item") if spec.kind in ("tags", "category") and spec.values]
    for spec in sorted(specs, key=lambda one: one.kind != "tags"):
        column = dataset.item_features[spec.name]
        if isinstance(column, TagsColumn):
            return spec.name, spec.values, column.codes
        if isinstance(column, CategoryColumn):
            return spec.name, spec.values, Ragged.from_lengths(column.codes, np.ones(len(column.codes), dtype=np.int64))
    return None, (), Ragged.empty(dataset.num_items)
