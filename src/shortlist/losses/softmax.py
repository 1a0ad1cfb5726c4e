"""Softmax over the whole corpus."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from shortlist.losses.tiles import ItemTiles, QueryTiles, item_by_item

_GATHERED = 4  # numbers passed over in the time of gathering one, and scattering its gradient
WIDE = 2**18
"""Items from which on a tile holds some of them, and no longer all of them, for some of the queries."""


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
    targets_apart: bool = False,
    wide: int = WIDE,
) -> Tensor:
    """Cross-entropy of the softmax over the whole corpus against a normalised multi-hot target.

    With logits s = query · itemsᵀ + bias and a target distribution p_b for query b (Σ_i p_bi = 1):
    −Σ_i p_bi log softmax(s_b)_i, mean over queries. The B × N logits are never held together: a tile of them stays in
    the caches, gives its part of the gradient, softmax(s) − p, and is written over. Up to 262,143 items a tile holds all
    logits of some queries, whose normalisers log Σ_i exp(s_bi) are then known at once: three matrix products, the least
    there can be. Beyond, it holds some items' logits of all queries; these give the normalisers first and are formed
    again for the gradient, a fourth product. So a million items need no more room for logits than a thousand. Both
    roads are exact.

    Args:
        query: [B, D].
        items: [N, D].
        bias: [N].
        target_rows, target_items: [T] where p is not zero.
        target_weights: [T] p there; sums to 1 within a row, or (then a row counts as much as it sums to) over rows to B.
            Without gradient.
        forbidden: [M] positions b·N + i outside the corpus of query b, such as what it has already: they get no
            probability, so the network need not spend itself on learning not to recommend them. No target among them.
        weights: [B] of the queries in the mean, not all zero; one each by default. Without gradient.
        targets_apart: whether a forbidden item may be a target: its own logit then stands beside a normaliser over what is
            allowed, log Σ_allowed exp(s) − s_target (Yeh et al., *Decoupled contrastive learning*, ECCV 2022). So the items
            somebody took do not push one another down.
        wide: number of items N from which on tiles hold some items of all queries.

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
    road = _SoftmaxByItems if len(items) >= wide else _SoftmaxByQueries
    loss: Tensor = road.apply(  # type: ignore[no-untyped-call]
        query, items, bias, target_rows, target_items, share.detach(), forbidden, targets_apart
    )
    return loss


def _mass(share: Tensor, rows: Tensor, num_rows: int) -> Tensor:
    """What the targets of each row sum to, [B]: its weight in the mean."""
    return share.new_zeros(num_rows).index_add_(0, rows, share)


class _SoftmaxByQueries(torch.autograd.Function):
    """Tiles of a few queries with all items: loss and gradient leave a tile while it is hot, and nothing is formed twice."""

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
        apart: bool,
    ) -> Tensor:
        tiles = QueryTiles(query, items, bias, forbidden)
        mass = _mass(share, rows, len(query))
        normaliser, logit = query.new_empty(len(query)), share.new_empty(len(share))
        to_query, to_items, to_bias = torch.empty_like(query), torch.zeros_like(items), torch.zeros_like(bias)
        # many targets are cheaper to put into the tile, few to gather the vectors of
        in_tile = _GATHERED * len(targets) * query.shape[1] > len(query) * len(items)
        for piece, logits, asked, of_pair in tiles.with_pairs(rows, targets, apart=apart):
            logit[asked] = of_pair
            largest = logits.amax(dim=1, keepdim=True).clamp_(min=torch.finfo(logits.dtype).min)
            total = logits.sub_(largest).exp_().sum(dim=1).clamp_(min=torch.finfo(logits.dtype).tiny)
            normaliser[piece] = largest[:, 0] + total.log()
            if not any(ctx.needs_input_grad):
                continue
            weight = (mass[piece] / total)[:, None]
            if in_tile:
                difference = logits.mul_(weight)
                cells = (rows[asked] - piece.start) * len(items) + targets[asked]
                difference.view(-1).index_add_(0, cells, share[asked], alpha=-1)
                torch.mm(difference, items, out=to_query[piece])
                to_items.addmm_(difference.T, query[piece])
                to_bias += difference.sum(dim=0)
            else:
                torch.mm(logits, items, out=to_query[piece]).mul_(weight)
                to_items.addmm_(logits.T, query[piece] * weight)
                to_bias.addmv_(logits.T, weight[:, 0])
        if not in_tile:
            of_target, its_query = items[targets], query[rows]
            to_query.index_add_(0, rows, of_target * share[:, None], alpha=-1)
            to_items.index_add_(0, targets, its_query * share[:, None], alpha=-1)
            to_bias.index_add_(0, targets, share, alpha=-1)
        ctx.save_for_backward(to_query, to_items, to_bias)
        return (share * (normaliser[rows] - logit)).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return *(one * gradient for one in ctx.saved_tensors), None, None, None, None, None


class _SoftmaxByItems(torch.autograd.Function):
    """Tiles of all queries with a few items: one pass for the normaliser, and one for the gradient."""

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
        apart: bool,
    ) -> Tensor:
        by_item = None if forbidden is None else item_by_item(forbidden, len(query), len(items))
        tiles = ItemTiles(query, items, bias, by_item)
        normaliser = tiles.log_sum_exp()
        ctx.save_for_backward(query, items, bias, rows, targets, share, by_item, normaliser)
        logits = (query[rows] * items[targets]).sum(dim=1) + bias[targets]
        if not apart:
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
        for piece, logits in ItemTiles(query, items, bias, by_item).minus(normaliser):
            p = logits.exp_()
            to_query.addmm_(p, items[piece])
            torch.mm(p.T, weighted, out=to_items[piece])
            torch.mv(p.T, mass, out=to_bias[piece])
        to_query *= mass[:, None]
        to_query.index_add_(0, rows, items[targets] * -share[:, None])
        to_items.index_add_(0, targets, query[rows] * -share[:, None])
        to_bias.index_add_(0, targets, -share)
        return to_query, to_items, to_bias, None, None, None, None, None
