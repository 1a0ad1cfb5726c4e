"""Softmax losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def full_softmax(
    query: Tensor,
    items: Tensor,
    bias: Tensor,
    target_rows: Tensor,
    target_items: Tensor,
    target_weights: Tensor,
    forbidden: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of the softmax over the whole corpus against a normalised multi-hot target.

    With logits s = query · itemsᵀ + bias and a target distribution p_b for query b (Σ_i p_bi = 1):
    −Σ_i p_bi log softmax(s_b)_i, mean over queries. The gradient is formed by hand, softmax(s) − p, in the one buffer
    that holds the logits: autograd would keep three of that size.

    Args:
        query: [B, D].
        items: [N, D].
        bias: [N].
        target_rows, target_items: [T] where p is not zero.
        target_weights: [T] p there; sums to 1 within a row.
        forbidden: [M] positions b·N + i outside the corpus of query b, such as what it has already: they get no
            probability, so the network need not spend itself on learning not to recommend them. No target among them.

    Returns:
        Scalar. Differentiable once, in query, items and bias.

    >>> even = full_softmax(
    ...     torch.zeros(1, 2), torch.ones(4, 2), torch.zeros(4),
    ...     torch.tensor([0]), torch.tensor([2]), torch.tensor([1.0]),
    ... )
    >>> round(even.item(), 4)  # log 4
    1.3863
    """
    loss: Tensor = _FullSoftmax.apply(  # type: ignore[no-untyped-call]
        query, items, bias, target_rows, target_items, target_weights, forbidden
    )
    return loss


class _FullSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        items: Tensor,
        bias: Tensor,
        target_rows: Tensor,
        target_items: Tensor,
        target_weights: Tensor,
        forbidden: Tensor | None,
    ) -> Tensor:
        logits = torch.addmm(bias, query, items.T)
        if forbidden is not None:
            logits.view(-1).index_fill_(0, forbidden, -torch.inf)
        log_p = torch.log_softmax(logits, dim=1)
        ctx.save_for_backward(query, items, log_p, target_rows, target_items, target_weights)
        return -(target_weights * log_p[target_rows, target_items]).sum() / len(query)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, items, log_p, target_rows, target_items, target_weights = ctx.saved_tensors
        difference = log_p.exp_()  # softmax(s); the buffer is not needed again
        difference.index_put_((target_rows, target_items), -target_weights, accumulate=True)
        difference *= gradients[0] / len(query)
        return difference @ items, difference.T @ query, difference.sum(dim=0), None, None, None, None
