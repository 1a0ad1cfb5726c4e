"""The watch history as vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MeanHistory(nn.Module):
    """Means of the most recent items' embeddings, one for each window, after Covington et al. 2016.

    The sum is divided by the square root of the number of items: so a long history speaks a little louder than a short
    one, as a sum of independent vectors grows with the root of their number.

    Args:
        windows: numbers of most recent items, such as (100, 10, 1): what the person is like, and what they are up to.
        item_dropout: share of the items left out while training, drawn anew for each query; not from a window of 1.

    >>> table = torch.tensor([[0.0], [1.0], [3.0]])
    >>> MeanHistory((4, 1))(torch.tensor([[2, 1, 1, 1], [2, 0, 0, 0]]), table)[:, :, 0].tolist()
    [[3.0, 1.0], [3.0, 3.0]]
    """

    def __init__(self, windows: Sequence[int], item_dropout: float = 0.0) -> None:
        super().__init__()
        self.windows, self.item_dropout = tuple(windows), item_dropout

    def forward(self, items: Tensor, table: Tensor) -> Tensor:
        """Encode.

        Args:
            items: [B, L] item index + 1, oldest first; 0 after the last.
            table: [N + 1, D] embeddings; row 0 is never read.

        Returns:
            [B, W, D], one vector a window; zero for an empty history.
        """
        length = (items > 0).sum(dim=1, keepdim=True)
        age = length - 1 - torch.arange(items.shape[1], device=items.device)  # 0 for the most recent, negative after it
        kept = age >= 0
        if self.training and self.item_dropout > 0:
            kept = kept & (torch.rand(items.shape, device=items.device) >= self.item_dropout)
        taken = torch.stack([(kept if window > 1 else age >= 0) & (age < window) for window in self.windows], dim=1)
        weight = taken.to(table.dtype)
        weight = weight * weight.sum(dim=2, keepdim=True).clamp(min=1).rsqrt()
        return torch.bmm(weight, nn.functional.embedding(items, table))
