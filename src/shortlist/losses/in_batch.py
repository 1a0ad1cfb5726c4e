"""Softmax over the positives of one batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shortlist.losses.hits import accidental_hits
from shortlist.losses.reduction import weighted_mean


def in_batch_softmax(
    query: Tensor,
    positive: Tensor,
    *,
    bias: Tensor | None = None,
    log_q: Tensor | None = None,
    positive_idx: Tensor | None = None,
    absent: Tensor | None = None,
    correct_positive: bool = True,
    temperature: float = 1.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of each query's positive against the positives of the other rows.

    The other rows' items are encoded anyway, so they serve as negatives for nothing more than one matrix product. They
    come as often as items are interacted with; without correction popular items would be pushed down for being popular:
    t_bj = (⟨query_b, item_j⟩ + bias_j) / temperature − log q_j, loss_b = −log softmax(t_b)_b
    (Yi et al. 2019, Sampling-bias-corrected neural modeling for large corpus item recommendations).

    Args:
        query: [B, D].
        positive: [B, D] vectors of the positives, row by row.
        bias: [B] of the positives.
        log_q: [B] natural logarithm of each positive's share of the training examples.
        positive_idx: [B] item rows: the same item elsewhere in the batch, an accidental hit, is no negative.
        absent: [B, B] bool: further pairs to leave out, as ``hits.owned`` makes it of what the queries have already.
            Its diagonal is ignored: a positive is never absent from its own row.
        correct_positive: whether log q is subtracted from the positive too, as in the paper. Without, the positive
            counts as the certain item it is and the others by their expected number, log ((B−1)·q).
        temperature: divides the scores, before log q is subtracted; > 0.
        weights: [B] of the examples in the mean.

    Returns:
        Scalar. A row without any negative left has loss 0.

    Raises:
        ValueError: query and positive of different shape.

    >>> same_item = torch.tensor([4, 4])
    >>> in_batch_softmax(torch.ones(2, 3), torch.ones(2, 3), positive_idx=same_item).item()
    0.0
    """
    if positive.shape != query.shape:
        raise ValueError(f"query is {list(query.shape)} and positive {list(positive.shape)}; both must be [B, D]")
    logits = query @ positive.T
    logits = (logits if bias is None else logits + bias) / temperature
    diagonal = torch.eye(len(query), dtype=torch.bool, device=query.device)
    if log_q is not None:
        correction = log_q.expand_as(logits)
        if not correct_positive:
            correction = (correction + math.log(max(len(query) - 1, 1))).masked_fill(diagonal, 0)
        logits = logits - correction
    if positive_idx is not None:
        logits = logits.masked_fill(accidental_hits(positive_idx, positive_idx) & ~diagonal, -torch.inf)
    if absent is not None:
        logits = logits.masked_fill(absent & ~diagonal, -torch.inf)
    return weighted_mean(logits.logsumexp(dim=1) - logits.diagonal(), weights)
