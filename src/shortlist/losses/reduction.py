"""From the loss of each example to one number."""

from __future__ import annotations

from torch import Tensor


def weighted_mean(loss: Tensor, weights: Tensor | None) -> Tensor:
    """Σ w_b loss_b / Σ w_b; the plain mean without weights.

    Args:
        loss: [B].
        weights: [B], not all zero.

    >>> import torch
    >>> weighted_mean(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 1.0])).item()
    2.0
    """
    return loss.mean() if weights is None else (loss * weights).sum() / weights.sum()


def mean_over_present(values: Tensor, absent: Tensor | None) -> Tensor:
    """Mean of each row over what is not absent, [B]; 0 where nothing is left.

    Args:
        values: [B, S]. What is absent may be infinite.
        absent: [B, S] or anything that broadcasts to it, bool.

    >>> import torch
    >>> mean_over_present(torch.tensor([[1.0, torch.inf]]), torch.tensor([[False, True]])).item()
    1.0
    """
    if absent is None:
        return values.mean(dim=1)
    absent = absent.expand_as(values)
    total = values.masked_fill(absent, 0).sum(dim=1)
    return total / (~absent).sum(dim=1).clamp(min=1)


def positive_and_negatives(positive: Tensor, negative: Tensor) -> None:
    """Refuse shapes that would broadcast into something else than one positive and its negatives.

    Args:
        positive: [B].
        negative: [B, S], S ≥ 1.

    Raises:
        ValueError: with both shapes.

    >>> import torch
    >>> positive_and_negatives(torch.zeros(2), torch.zeros(2, 5))
    >>> positive_and_negatives(torch.zeros(2, 1), torch.zeros(2, 5))
    Traceback (most recent call last):
    ValueError: the positives must be [B] and the negatives [B, S] with S ≥ 1; they are [2, 1] and [2, 5]...
    """
    fits = positive.ndim == 1 and negative.ndim == 2 and len(positive) == len(negative) and negative.shape[1] >= 1
    if not fits:
        raise ValueError(
            f"the positives must be [B] and the negatives [B, S] with S ≥ 1; they are {list(positive.shape)} and"
            f" {list(negative.shape)}. A single negative each is negative[:, None]."
        )
