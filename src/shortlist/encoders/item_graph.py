"""Items smoothed over the graph of who took what: neighbours by way of people lend each other their vectors."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from shortlist.data.ragged import Ragged
from shortlist.encoders.sparse import compressed, sparse_product


class ItemGraph(nn.Module):
    """Light graph convolution between items (He et al., *LightGCN*, SIGIR 2020), without vectors of people.

    With R [users, N], 1/√(items of the user · users of the item) where the user took the item:

        smoothed(E) = E + Σ_{l = 1..L} (RᵀR)^l E

    An item few have taken stands near what their takers took besides. Nothing is learned here but what goes through: L
    linear steps on the training data. The people are only the way from item to item, so that new ones are asked about
    like any other, by their history.

    Args:
        taken: items of every user in training; a pair counts once.
        num_items: N.
        steps: L.

    >>> import torch
    >>> graph = ItemGraph(Ragged.from_rows([[0, 1], [1]]), num_items=3, steps=1)
    >>> smoothed = graph(torch.tensor([[0.0], [1.0], [1.0]]))
    >>> [round(float(x), 2) for x in smoothed]  # 0 of 1; 1 of itself, by two people; 2 of nobody
    [0.35, 1.75, 1.0]
    """

    by_user: Tensor
    by_item: Tensor

    def __init__(self, taken: Ragged, num_items: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        pairs = np.unique(taken.row_of_value * num_items + taken.values)
        users, items = pairs // num_items, pairs % num_items
        of_user, of_item = np.bincount(users, minlength=len(taken)), np.bincount(items, minlength=num_items)
        weights = (1 / np.sqrt(of_user[users] * of_item[items])).astype(np.float32)
        by_user, by_item = compressed(users, items, weights, (len(taken), num_items))
        self.register_buffer("by_user", by_user, persistent=False)
        self.register_buffer("by_item", by_item, persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """[N, D] of [N, D]."""
        smoothed, step = vectors, vectors
        for _ in range(self.steps):
            people = sparse_product(self.by_user, self.by_item, step)
            step = sparse_product(self.by_item, self.by_user, people)
            smoothed = smoothed + step
        return smoothed
