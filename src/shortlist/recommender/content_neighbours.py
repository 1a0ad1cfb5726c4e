"""Where an item belongs that nobody has taken yet: among the items that are most like it by what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import FIRST_VALUE, Column, FeatureTable, NumberColumn, TagsColumn, VectorColumn
from shortlist.data.ragged import Ragged, distinct
from shortlist.retrieval import directions

NEIGHBOURS = 20
_SHARP = 16
_ASKED = 50_000  # items that may be neighbours, the most taken ones: some ms for a new item
_CELLS = 20_000_000  # similarities at once
_STEEP = 1.702  # the logistic curve that is nearest to the normal distribution's


class Near(NamedTuple):
    """Neighbours of one item, best first: their indices [n], n ≤ k, and weights [n] that sum to 1."""

    rows: NDArray[Any]
    weights: NDArray[np.float32]


class ContentNeighbours:
    """The items of a data set that somebody liked, by their features.

    How alike an item is to a new one is the mean over the features that are known of the new one, each at most 1:

    | kind | likeness |
    |---|---|
    | category | 1 where it is the same |
    | tags, text | cosine of the sets: common / √(its · theirs) |
    | number | cos(½π·(p − q)), p and q the shares of a normal distribution that are below them |
    | vector | cosine |

    What is not known of the other counts 0. Each feature is a product of vectors of length 1, so that all likenesses of an item
    are one sparse product. Items that nobody liked have no vector worth lending, and are no neighbours. Of the k neighbours the
    one with likeness s weighs e^(16 (s − s_max)): as much less as it is less alike. docs/serving.md says what that was chosen on.

    Args:
        dataset: what the models were trained with.
        k: neighbours of an item. Of equally like ones those come first that more have taken.
    """

    def __init__(self, dataset: Dataset, k: int = NEIGHBOURS) -> None:
        self.specs, self.k = dataset.schema.side("item"), k
        log = dataset.interactions
        self.rows = distinct(log.item_idx[log.liked])[:_ASKED]  # they are numbered by how many took them
        self._units = unit_blocks(
            self.specs, {s.name: dataset.item_features[s.name].take(self.rows) for s in self.specs}
        )

    def of(self, features: FeatureTable, number: int) -> list[Near]:
        """The nearest items of L new ones.

        Args:
            features: encoded columns of the new items.
            number: L.
        """
        found = []
        for start in range(0, number, max(1, _CELLS // len(self.rows))):
            rows = np.arange(start, min(number, start + max(1, _CELLS // len(self.rows))))
            asked = unit_blocks(self.specs, {spec.name: features[spec.name].take(rows) for spec in self.specs})
            for likeness in self._likeness(asked):
                best = _best(likeness, self.k)
                weights = np.exp(_SHARP * (likeness[best] - likeness.max(initial=0)))
                found.append(Near(self.rows[best], (weights / max(weights.sum(), 1e-12)).astype(np.float32)))
        return found

    def _likeness(self, asked: Any) -> NDArray[np.float32]:
        """[R, number of ``rows``] of R items."""
        known = asked.multiply(asked).sum(axis=1)  # features: each is of length 1, or 0
        alike: NDArray[np.float32] = (asked @ self._units.T).toarray() / np.maximum(known, 1)[:, None]
        return alike


def unit_blocks(specs: Sequence[FeatureSpec], features: FeatureTable) -> Any:
    """[R, C] sparse: for every feature a vector of length 1, or of zeros where nothing is known, side by side."""
    from scipy.sparse import csr_array, hstack

    blocks = []
    for spec in specs:
        codes, weights, width = _block(spec, features[spec.name])
        blocks.append(csr_array((weights, codes.values, codes.offsets), shape=(len(codes), width), dtype=np.float32))
    return hstack(blocks, format="csr")


def _block(spec: FeatureSpec, column: Column) -> tuple[Ragged, NDArray[np.float32], int]:
    """Columns and weights of one feature's vectors, and how wide they are."""
    if isinstance(column, NumberColumn):
        known = np.isfinite(column.values)
        angle = np.pi / 2 / (1 + np.exp(-_STEEP * np.clip(column.values[known], -20, 20)))
        weights = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        codes = Ragged.from_lengths(np.tile(np.arange(2), int(known.sum())), 2 * known.astype(np.int64))
        return codes, weights.ravel().astype(np.float32), 2
    if isinstance(column, VectorColumn):
        known = ~np.isnan(column.values[:, 0])
        width = column.values.shape[1]
        codes = Ragged.from_lengths(np.tile(np.arange(width), int(known.sum())), width * known.astype(np.int64))
        return codes, directions(column.values[known]).ravel(), width
    codes = (
        column.codes
        if isinstance(column, TagsColumn)
        else Ragged.from_lengths(column.codes, np.ones(len(column.codes)))
    )
    codes = codes.where(codes.values >= FIRST_VALUE)
    pairs = distinct(codes.row_of_value * spec.num_codes + codes.values)  # a tag counts once
    codes = Ragged.from_row_of_value(pairs % spec.num_codes, pairs // spec.num_codes, len(codes))
    weights = 1 / np.sqrt(codes.lengths[codes.row_of_value])
    return codes, weights.astype(np.float32), spec.num_codes


def _best(likeness: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Places of the k greatest above 0; of equal ones the first."""
    k = min(k, len(likeness))
    least = np.partition(likeness, len(likeness) - k)[len(likeness) - k]
    above, equal = np.flatnonzero(likeness > least), np.flatnonzero(likeness == least)
    chosen = np.concatenate([above, equal[: k - len(above)]])
    chosen = chosen[likeness[chosen] > 0]
    order: NDArray[np.int64] = chosen[np.argsort(-likeness[chosen], kind="stable")]
    return order
