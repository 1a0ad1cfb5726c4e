"""The watch history as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MeanHistory(nn.Module):
    """Mean of the most recent items' embeddings, after Covington et al. 2016.

    The sum is divided by the square root of the number of items: so a long history speaks a little louder than a short
    one, as a sum of independent vectors grows with the root of their number.

    Args:
        window: most recent items taken.
        item_dropout: share of them left out while training, drawn anew for each query; not with a window of 1.

    >>> table = torch.tensor([[0.0], [1.0], [3.0]])
    >>> MeanHistory(window=2)(torch.tensor([[2, 1, 1, 2], [2, 0, 0, 0]]), table).round(decimals=2).tolist()
    [[2.83], [3.0]]
    """

    def __init__(self, window: int, item_dropout: float = 0.0) -> None:
        super().__init__()
        self.window = window
        self.item_dropout = item_dropout if window > 1 else 0.0

    def forward(self, items: Tensor, table: Tensor) -> Tensor:
        """Encode.

        Args:
            items: [B, L] item index + 1, oldest first; 0 after the last.
            table: [N + 1, D] embeddings; row 0 is never read.

        Returns:
            [B, D]; zero for an empty history.
        """
        length = (items > 0).sum(dim=1, keepdim=True)
        position = torch.arange(items.shape[1], device=items.device)
        taken = (position < length) & (position >= length - self.window)
        if self.training and self.item_dropout > 0:
            taken = taken & (torch.rand(items.shape, device=items.device) >= self.item_dropout)
        weight = taken.to(table.dtype)
        # a batched product sums without holding weighted copies of the vectors
        total = torch.bmm(weight.unsqueeze(1), nn.functional.embedding(items, table)).squeeze(1)
        return total * weight.sum(dim=1, keepdim=True).clamp(min=1).rsqrt()
