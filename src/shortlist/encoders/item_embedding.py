"""One vector for every item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import FeatureTable, NumberColumn, TagsColumn, VectorColumn
from shortlist.data.ragged import Ragged
from shortlist.encoders.sparse import compressed, sparse_product

INIT_STD = 0.05
_DENSE_CELLS = 20_000_000  # items × feature values a dense matrix has at most: 80 MB
_DENSE_TIMES = 8  # it has at most so many cells for each that is not 0: beyond, the sparse product is faster


class ItemEmbedding(nn.Module):
    """A free vector for every item, plus the vectors of its features where there are any.

    What few have taken borrows from its kind: the free vector of a rare film stays near zero, its genres' do not. Every
    category, tag and number has a vector; an item adds those of its category, the mean of its tags', and each number times
    its vector.

    Args:
        num_items: N.
        dim: D.
        specs, features: the items' features; none: free vectors alone.
        ids: whether items have free vectors; without, an item is nothing but its features, and a new one is like any other.
    """

    by_item: Tensor
    by_value: Tensor
    matrix: Tensor

    def __init__(
        self,
        num_items: int,
        dim: int,
        specs: Sequence[FeatureSpec] = (),
        features: FeatureTable | None = None,
        *,
        ids: bool = True,
    ) -> None:
        super().__init__()
        if ids:
            self.free: Tensor = nn.Parameter(torch.randn(num_items, dim) * INIT_STD)
        else:
            self.register_buffer("free", torch.zeros(1, 1).expand(num_items, dim), persistent=False)
        self.has_features = bool(specs) and features is not None
        if not specs or features is None:
            return
        bags, num_values = _bags(num_items, specs, features)
        self.values = nn.Parameter(torch.randn(num_values, dim) * INIT_STD)
        self.is_dense = num_items * num_values <= min(_DENSE_CELLS, _DENSE_TIMES * len(bags[1]))
        if self.is_dense:
            matrix = np.zeros((num_items, num_values), dtype=np.float32)
            np.add.at(matrix, (bags[0].row_of_value, bags[0].values), bags[1])
            self.register_buffer("matrix", torch.from_numpy(matrix), persistent=False)
            return
        rows, columns = compressed(bags[0].row_of_value, bags[0].values, bags[1], (num_items, num_values))
        self.register_buffer("by_item", rows, persistent=False)
        self.register_buffer("by_value", columns, persistent=False)

    def forward(self) -> Tensor:
        """[N, D]."""
        if not self.has_features:
            return self.free
        if self.is_dense:
            return torch.addmm(self.free, self.matrix, self.values)
        return self.free + sparse_product(self.by_item, self.by_value, self.values)


def num_values(spec: FeatureSpec) -> int:
    """Vectors a feature of items needs: one for each code, or for each number and for its being missing."""
    return spec.width + 1 if spec.kind == "vector" else 2 if spec.kind == "number" else spec.num_codes


def _bags(
    num_items: int, specs: Sequence[FeatureSpec], features: FeatureTable
) -> tuple[tuple[Ragged, NDArray[np.float32]], int]:
    """For every item the codes of its feature values and their weights; and how many codes there are."""
    codes, weights, first = Ragged.empty(num_items, np.int64), Ragged.empty(num_items, np.float32), 0
    ones = np.ones(num_items, dtype=np.int64)
    for spec in specs:
        column = features[spec.name]
        if isinstance(column, (NumberColumn, VectorColumn)):  # a code for each number, and one for its being missing
            numbers = column.values.reshape(num_items, -1)
            missing = np.isnan(numbers[:, :1])
            known = np.concatenate([np.where(missing, np.float32(0), numbers), missing.astype(np.float32)], axis=1)
            width = known.shape[1]
            mine, weight = Ragged.from_lengths(np.tile(np.arange(width), num_items), width * ones), known.ravel()
        else:
            mine = column.codes if isinstance(column, TagsColumn) else Ragged.from_lengths(column.codes, ones)
            weight = np.repeat(1 / np.maximum(mine.lengths, 1), mine.lengths).astype(np.float32)
        codes = codes.concat_rows(Ragged(mine.values.astype(np.int64) + first, mine.offsets))
        weights = weights.concat_rows(Ragged(weight, mine.offsets))
        first += num_values(spec)
    return (codes, weights.values), first
