"""Softmax losses."""

from __future__ import annotations

import torch
from torch import Tensor


def full_softmax(
    logits: Tensor,
    target_rows: Tensor,
    target_items: Tensor,
    target_weights: Tensor,
    forbidden: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Cross-entropy of the softmax over the whole corpus against a normalised multi-hot target.

    For query b with target distribution p_b (Σ_i p_bi = 1): −Σ_i p_bi log softmax(logits_b)_i, mean over queries.

    Args:
        logits: [B, N].
        target_rows, target_items: [T] where p is not zero.
        target_weights: [T] p there; sums to 1 within a row.
        forbidden: (rows, items) outside the corpus of that query, such as what it has already: they get no
            probability, so the network need not spend itself on learning not to recommend them.

    Returns:
        Scalar.

    >>> even = full_softmax(torch.zeros(1, 4), torch.tensor([0]), torch.tensor([2]), torch.tensor([1.0]))
    >>> round(even.item(), 4)  # log 4
    1.3863
    """
    if forbidden is not None:
        logits = logits.index_put(forbidden, torch.full((), -torch.inf, device=logits.device))
    normaliser = torch.logsumexp(logits, dim=1)
    log_p = logits[target_rows, target_items] - normaliser[target_rows]
    return -(target_weights * log_p).sum() / logits.shape[0]
