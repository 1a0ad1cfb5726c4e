"""Angles instead of products: near the positive, far enough from the negatives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shortlist.losses.reduction import mean_over_present, weighted_mean


def cosine_contrastive(
    query: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    margin: float,
    negative_weight: float,
    rows: Tensor | None = None,
    absent: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Cosine contrastive loss: pull the positive's angle to 0, push only negatives that are nearer than a margin.

    loss_t = (1 − cos⁺_t) + w/|N_b| Σ_j max(0, cos⁻_bj − m) for a positive t of query b, mean over positives (Mao et al. 2021,
    SimpleX). Most random negatives are easy; the margin keeps them from drowning the few that matter, so that hundreds or
    thousands of negatives are of use. What negatives cost is the same for all positives of a query, and is reckoned once.

    Args:
        query: [B, D].
        positive: [T, D].
        negative: [S, D] vectors all queries share, or [B, S, D].
        margin: m, a cosine; a negative farther than that costs nothing.
        negative_weight: w ≥ 0, of the negatives' mean against the one positive.
        rows: [T] the query of each positive; default: one each, in their order.
        absent: [B, S] bool, negatives to leave out; without any left only the positive counts.
        weights: [T] of the positives in the mean.

    Returns:
        Scalar. A vector of length 0 has cosine 0 with everything.

    >>> east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    >>> cosine_contrastive(east, 3 * east, north, margin=0.5, negative_weight=1.0).item()
    0.0
    >>> cosine_contrastive(east, north, 3 * east, margin=0.5, negative_weight=1.0).item()
    1.5

    What it does not do: make scores for search. A model trained with it answers with normalised vectors.
    """
    query, positive, negative = (F.normalize(vectors, dim=-1) for vectors in (query, positive, negative))
    far = query @ negative.T if negative.ndim == 2 else torch.einsum("bd,bsd->bs", query, negative)
    pushed = negative_weight * mean_over_present(F.relu(far - margin), absent)
    if rows is not None:
        query, pushed = query[rows], pushed[rows]
    return weighted_mean(1 - (query * positive).sum(dim=1) + pushed, weights)
