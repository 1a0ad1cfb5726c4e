"""One vector for every item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from shortlist.data.feature_bags import feature_bags
from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import FeatureTable
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
        bags, num_values = feature_bags(num_items, specs, features)
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
