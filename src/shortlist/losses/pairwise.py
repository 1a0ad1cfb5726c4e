"""Two scores at a time: the positive above the negative."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shortlist.losses.reduction import mean_over_present, positive_and_negatives, weighted_mean


def bpr(positive: Tensor, negative: Tensor, *, absent: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
    """Bayesian personalised ranking: a positive should stand above each of its negatives.

    loss_b = −mean_j log σ(s⁺_b − s⁻_bj), the smooth form of the area under the curve; mean over examples
    (Rendle et al. 2009, BPR). The paper's penalty on the parameters is the optimiser's weight decay.

    Args:
        positive: [B] logits.
        negative: [B, S] logits.
        absent: [B, S] bool, negatives to leave out; an example with none left has loss 0.
        weights: [B] of the examples in the mean.

    Returns:
        Scalar.

    Raises:
        ValueError: shapes that are not [B] and [B, S].

    >>> round(bpr(torch.zeros(2), torch.zeros(2, 4)).item(), 4)  # log 2
    0.6931
    """
    positive_and_negatives(positive, negative)
    return weighted_mean(mean_over_present(F.softplus(negative - positive[:, None]), absent), weights)


def bpr_max(
    positive: Tensor,
    negative: Tensor,
    *,
    regularisation: float = 0.0,
    absent: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """BPR against the best of many negatives, softly: the mean of BPR hardly moves once most of them are beaten.

    With w = softmax(s⁻_b) over the negatives: loss_b = −log Σ_j w_j σ(s⁺_b − s⁻_bj) + λ Σ_j w_j s⁻_bj²
    (Hidasi & Karatzoglou 2018, Recurrent neural networks with top-k gains).

    Args:
        positive: [B] logits.
        negative: [B, S] logits.
        regularisation: λ ≥ 0, keeps the negatives' scores near 0.
        absent: [B, S] bool, negatives to leave out; an example with none left has loss 0.
        weights: [B] of the examples in the mean.

    Returns:
        Scalar.

    Raises:
        ValueError: shapes that are not [B] and [B, S].

    >>> round(bpr_max(torch.zeros(2), torch.zeros(2, 4)).item(), 4)  # log 2
    0.6931
    """
    positive_and_negatives(positive, negative)
    alone = torch.zeros_like(positive, dtype=torch.bool)
    if absent is not None:
        absent = absent.expand_as(negative)
        alone = absent.all(dim=1)
        negative = negative.masked_fill(absent, 0)  # whatever stood there, no gradient reaches it
        negative_or_none = negative.masked_fill(absent & ~alone[:, None], -torch.inf)
    else:
        negative_or_none = negative
    log_w = torch.log_softmax(negative_or_none, dim=1)
    loss = -torch.logsumexp(log_w + F.logsigmoid(positive[:, None] - negative), dim=1)
    if regularisation:
        loss = loss + regularisation * (log_w.exp() * negative.square()).sum(dim=1)
    return weighted_mean(loss.masked_fill(alone, 0), weights)
