"""Which of the negatives are none: accidental hits and what the query has already."""

from __future__ import annotations

import torch
from torch import Tensor


def accidental_hits(positive_idx: Tensor, negative_idx: Tensor) -> Tensor:
    """True where a negative is the very item that is the row's positive.

    Args:
        positive_idx: [B].
        negative_idx: [S], shared by all rows, or [B, S].

    Returns:
        [B, S] bool.

    >>> accidental_hits(torch.tensor([5, 7]), torch.tensor([7, 9])).tolist()
    [[False, False], [True, False]]
    """
    return positive_idx[:, None] == negative_idx


def owned(rows: Tensor, items: Tensor, negative_idx: Tensor, num_rows: int) -> Tensor:
    """True where a shared negative is among the items its row has already.

    The negatives are sorted once; each pair is looked up among them, and the answer is read off for all.

    Args:
        rows, items: [M] the pairs: row ``rows[j]`` has item ``items[j]``.
        negative_idx: [S]; an item may stand there twice.
        num_rows: B.

    Returns:
        [B, S] bool, the ``absent`` of the losses.

    >>> rows, items = torch.tensor([0, 0, 1]), torch.tensor([4, 9, 7])
    >>> owned(rows, items, torch.tensor([7, 9, 9]), num_rows=2).tolist()
    [[False, True, True], [True, False, False]]
    """
    if not len(negative_idx):
        return torch.zeros(num_rows, 0, dtype=torch.bool, device=negative_idx.device)
    ordered = negative_idx.sort().values
    place_of = torch.searchsorted(ordered, negative_idx)  # the first of equal ones stands for them
    place = torch.searchsorted(ordered, items).clamp_(max=len(ordered) - 1)
    found = ordered[place] == items
    has = torch.zeros(num_rows, len(ordered), dtype=torch.bool, device=negative_idx.device)
    has[rows[found], place[found]] = True
    return has[:, place_of]
