"""The candidates of a query together, as they come out of retrieval: which of them were taken?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def listwise_softmax(logits: Tensor, labels: Tensor, present: Tensor) -> Tensor:
    """Cross-entropy of the candidates' softmax against the taken ones, each with an equal share of it.

    loss_b = −(1 / |P_b|) Σ_{i ∈ P_b} log (exp s_bi / Σ_j exp s_bj)  (ListNet: Cao et al., ICML 2007, with a multi-hot target),
    and the mean over the queries that took any: what nobody took says nothing of an order. A constant added to all logits of a
    query changes nothing, so that they are no log-odds.

    Args:
        logits: [B, C].
        labels: [B, C] bool, the taken ones P_b.
        present: [B, C] bool; others pad.

    Returns:
        Scalar; 0 where no query took any.

    >>> two = torch.tensor([[True, False, False]])
    >>> round(listwise_softmax(torch.zeros(1, 3), two, torch.tensor([[True, True, False]])).item(), 4)  # log 2
    0.6931
    """
    log_p = torch.log_softmax(logits.masked_fill(~present, -torch.inf), dim=1)
    taken = labels & present
    count = taken.sum(dim=1)
    share = taken.to(logits.dtype) / count.clamp(min=1)[:, None]
    of_query = -(share * log_p.masked_fill(~taken, 0)).sum(dim=1)
    return of_query.sum() / (count > 0).sum().clamp(min=1)


def masked_logistic(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Logistic loss of every logit whose label is known, and their mean.

    Args:
        logits: of any shape.
        labels: of the same, in [0, 1]; a share is taken as a probability.
        known: of the same, bool.

    Returns:
        Scalar; 0 where nothing is known.

    >>> round(masked_logistic(torch.zeros(1, 2), torch.tensor([[1.0, 9.0]]), torch.tensor([[True, False]])).item(), 4)
    0.6931
    """
    losses = F.binary_cross_entropy_with_logits(logits, labels.masked_fill(~known, 0), reduction="none")
    return losses.masked_fill(~known, 0).sum() / known.sum().clamp(min=1)
