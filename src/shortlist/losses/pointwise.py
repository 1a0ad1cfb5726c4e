"""Each score by itself: is this item one of the query's?"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from shortlist.losses.reduction import mean_over_present, positive_and_negatives, weighted_mean


def binary_cross_entropy(
    positive: Tensor,
    negative: Tensor,
    *,
    beta: float = 1.0,
    absent: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Logistic loss: a positive's probability σ(s⁺) should be 1, that of each of its negatives 0.

    loss_b = (−β log σ(s⁺_b) − Σ_j log (1 − σ(s⁻_bj))) / (1 + S_b), with S_b the negatives of b that are not absent,
    and the mean over examples (He et al. 2017, Neural collaborative filtering, there as a sum: where every
    example has as many negatives, this is the mean over all labels). Few negatives make σ overconfident, as they stand
    for a whole corpus; β < 1 raises the positive's probability to a power and undoes it (gBCE: Petrov & Macdonald 2023,
    gSASRec; :func:`calibrated_beta`). The order of the items is that of s either way.

    Args:
        positive: [B] logits.
        negative: [B, S] logits.
        beta: β in (0, 1].
        absent: [B, S] bool, negatives to leave out.
        weights: [B] of the examples in the mean.

    Returns:
        Scalar.

    Raises:
        ValueError: shapes that are not [B] and [B, S].

    >>> import torch
    >>> round(binary_cross_entropy(torch.zeros(2), torch.zeros(2, 4)).item(), 4)  # log 2
    0.6931
    """
    positive_and_negatives(positive, negative)
    of_negatives = F.softplus(negative)  # −log (1 − σ(s))
    if absent is None:
        count: Tensor | int = negative.shape[1]
    else:
        count = (~absent.expand_as(negative)).sum(dim=1)
    loss = (beta * F.softplus(-positive) + mean_over_present(of_negatives, absent) * count) / (1 + count)
    return weighted_mean(loss, weights)


def calibrated_beta(num_negatives: int, num_items: int, calibration: float = 0.75) -> float:
    """β of the generalised binary cross-entropy: β = α·(t·(1 − 1/α) + 1/α), α = S / (N − 1).

    Args:
        num_negatives: S, uniform negatives of each positive; more than there are items count as all.
        num_items: N.
        calibration: t in [0, 1]; 0 is the plain loss (β = 1), 1 makes σ(s) a calibrated probability (β = α).

    >>> calibrated_beta(256, 1025, 0.0), calibrated_beta(256, 1025, 1.0)
    (1.0, 0.25)
    """
    alpha = min(1.0, num_negatives / (num_items - 1))
    return alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)
