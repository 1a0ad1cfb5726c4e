"""Softmax over the whole corpus."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from shortlist.losses.tiles import LogitTiles, item_by_item

LARGE = 2**24
"""Logits, B × N, from which on they are made tile by tile: 64 MB of float32."""


def full_softmax(
    query: Tensor,
    items: Tensor,
    bias: Tensor,
    target_rows: Tensor,
    target_items: Tensor,
    target_weights: Tensor,
    forbidden: Tensor | None = None,
    *,
    weights: Tensor | None = None,
    large: int = LARGE,
) -> Tensor:
    """Cross-entropy of the softmax over the whole corpus against a normalised multi-hot target.

    With logits s = query · itemsᵀ + bias and a target distribution p_b for query b (Σ_i p_bi = 1):
    −Σ_i p_bi log softmax(s_b)_i, mean over queries. The gradient is formed by hand, softmax(s) − p. Few logits are
    formed once, in the one buffer that becomes their gradient: autograd would keep three of that size. Many are never
    held together: tile by tile they give log Σ_i exp(s_bi), and tile by tile they are formed again for the gradient.
    So a million items need no more room for logits than a thousand, at the price of a fourth matrix product beside the
    three; and since a tile stays in the caches, it is faster too. Both roads are exact.

    Args:
        query: [B, D].
        items: [N, D].
        bias: [N].
        target_rows, target_items: [T] where p is not zero.
        target_weights: [T] p there; sums to 1 within a row. Without gradient.
        forbidden: [M] positions b·N + i outside the corpus of query b, such as what it has already: they get no
            probability, so the network need not spend itself on learning not to recommend them. No target among them.
        weights: [B] of the queries in the mean, not all zero; one each by default. Without gradient.
        large: number of logits B·N from which on they are made tile by tile.

    Returns:
        Scalar. Differentiable once, in query, items and bias.

    >>> even = full_softmax(
    ...     torch.zeros(1, 2), torch.ones(4, 2), torch.zeros(4),
    ...     torch.tensor([0]), torch.tensor([2]), torch.tensor([1.0]),
    ... )
    >>> round(even.item(), 4)  # log 4
    1.3863
    """
    if weights is None:
        share = target_weights / len(query)
    else:
        share = target_weights * weights[target_rows] / weights.sum()
    road = _TiledSoftmax if len(query) * len(items) >= large else _OneBufferSoftmax
    loss: Tensor = road.apply(  # type: ignore[no-untyped-call]
        query, items, bias, target_rows, target_items, share.detach(), forbidden
    )
    return loss


def _mass(share: Tensor, rows: Tensor, num_rows: int) -> Tensor:
    """What the targets of each row sum to, [B]: its weight in the mean."""
    return share.new_zeros(num_rows).index_add_(0, rows, share)


class _OneBufferSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        items: Tensor,
        bias: Tensor,
        rows: Tensor,
        targets: Tensor,
        share: Tensor,
        forbidden: Tensor | None,
    ) -> Tensor:
        logits = torch.addmm(bias, query, items.T)
        if forbidden is not None:
            logits.view(-1).index_fill_(0, forbidden, -torch.inf)
        log_p = torch.log_softmax(logits, dim=1)
        ctx.save_for_backward(query, items, log_p, rows, targets, share)
        return -(share * log_p[rows, targets]).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, items, log_p, rows, targets, share = ctx.saved_tensors
        share = share * gradient
        difference = log_p.exp_()  # softmax(s); the buffer is not needed again
        difference *= _mass(share, rows, len(query))[:, None]
        difference.index_put_((rows, targets), -share, accumulate=True)
        return difference @ items, difference.T @ query, difference.sum(dim=0), None, None, None, None


class _TiledSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        items: Tensor,
        bias: Tensor,
        rows: Tensor,
        targets: Tensor,
        share: Tensor,
        forbidden: Tensor | None,
    ) -> Tensor:
        by_item = None if forbidden is None else item_by_item(forbidden, len(query), len(items))
        tiles = LogitTiles(query, items, bias, by_item)
        normaliser = tiles.log_sum_exp()
        ctx.save_for_backward(query, items, bias, rows, targets, share, by_item, normaliser)
        logits = (query[rows] * items[targets]).sum(dim=1) + bias[targets]
        logits.masked_fill_(tiles.forbids(rows, targets), -torch.inf)
        return (share * (normaliser[rows] - logits)).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, items, bias, rows, targets, share, by_item, normaliser = ctx.saved_tensors
        share = share * gradient
        mass = _mass(share, rows, len(query))
        weighted = query * mass[:, None]
        to_query, to_items, to_bias = torch.zeros_like(query), torch.empty_like(items), torch.empty_like(bias)
        for piece, logits in LogitTiles(query, items, bias, by_item).minus(normaliser):
            p = logits.exp_()
            to_query.addmm_(p, items[piece])
            torch.mm(p.T, weighted, out=to_items[piece])
            torch.mv(p.T, mass, out=to_bias[piece])
        to_query *= mass[:, None]
        to_query.index_add_(0, rows, items[targets] * -share[:, None])
        to_items.index_add_(0, targets, query[rows] * -share[:, None])
        to_bias.index_add_(0, targets, -share)
        return to_query, to_items, to_bias, None, None, None, None
