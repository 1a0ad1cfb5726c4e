"""Softmax over the positive and a sample of the corpus."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shortlist.losses.hits import accidental_hits
from shortlist.losses.reduction import weighted_mean


def sampled_softmax(
    query: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    rows: Tensor | None = None,
    positive_bias: Tensor | None = None,
    negative_bias: Tensor | None = None,
    positive_log_q: Tensor | None = None,
    negative_log_q: Tensor | None = None,
    positive_idx: Tensor | None = None,
    negative_idx: Tensor | None = None,
    absent: Tensor | None = None,
    temperature: float = 1.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of the softmax over the positive and some negatives, corrected for how they were drawn.

    The full softmax is too wide, so S negatives stand for the corpus. An item that is drawn often would be pushed down
    often; its logit is therefore lowered by how often it is expected in the sample, log (S·q), and the sum over the
    sample then estimates the sum over the corpus:
    t = (⟨query, item⟩ + bias) / temperature − log (S·q), loss = −log softmax(t)_positive
    (Bengio & Senécal 2008, Adaptive importance sampling; Jean et al. 2015). ``positive_log_q`` decides how the positive
    is seen. Given, it is corrected like everything else, as usual in candidate sampling (Yi et al. 2019). Not given,
    it is expected once, because it is always there: nothing is subtracted from it, and once its accidental hits are
    out e^s⁺ + (1/S) Σ_j e^s_j/q_j is an unbiased estimate of the softmax's normaliser, however few the items.

    Args:
        query: [B, D].
        positive: [T, D] vectors of the positives; T is B unless ``rows`` says otherwise.
        negative: [S, D] vectors all queries share, or [B, S, D].
        rows: [T] the query of each positive, where queries have several: all of a query's positives meet the same
            negatives, whose sum is formed once.
        positive_bias: [T].
        negative_bias: [S] or [B, S].
        positive_log_q: [T] natural logarithm of the probability that one draw gives this item.
        negative_log_q: [S] or [B, S], the same of the negatives. Without either nothing is corrected, which is the
            usual form for uniform negatives: one constant everywhere cancels.
        positive_idx, negative_idx: [B] and [S] or [B, S] item rows: a negative that equals its row's positive, an
            accidental hit, is absent. Not with ``rows``.
        absent: [B, S] bool, further negatives to leave out; ``hits.owned`` makes it of what the queries have already,
            and with ``rows`` of their positives, too.
        temperature: divides the scores, before log q is subtracted; > 0.
        weights: [T] of the positives in the mean.

    Returns:
        Scalar. What is absent has logit −inf and neither probability nor gradient; a row whose negatives are all absent
        has loss 0.

    Raises:
        ValueError: a positive's log q without the negatives'; one kind of ids without the other, or with rows; shapes.

    >>> query, positive, negative = torch.ones(1, 2), torch.ones(1, 2), torch.zeros(3, 2)
    >>> round(sampled_softmax(query, positive, negative).item(), 4)  # log (1 + 3 e⁻²)
    0.3408

    What it does not do: draw. It knows no sampler, only what one says of itself.
    """
    if positive_log_q is not None and negative_log_q is None:
        raise ValueError("positive_log_q is given without negative_log_q: correct the negatives too, or nothing")
    if (positive_idx is None) != (negative_idx is None):
        raise ValueError("positive_idx and negative_idx come together: an accidental hit is where they are equal")
    if rows is not None and positive_idx is not None:
        raise ValueError("rows and positive_idx: which negatives are positives of their query, absent has to say")
    asking = query if rows is None else query[rows]
    if positive.shape != asking.shape:
        raise ValueError(f"query is {list(asking.shape)} and positive {list(positive.shape)}; both must be [B, D]")
    others = query @ negative.T if negative.ndim == 2 else torch.einsum("bd,bsd->bs", query, negative)
    count = math.log(others.shape[1]) if others.shape[1] else 0.0
    own = _logits((asking * positive).sum(dim=1), positive_bias, positive_log_q, count, temperature)
    others = _logits(others, negative_bias, negative_log_q, count, temperature)
    if positive_idx is not None and negative_idx is not None:
        hits = accidental_hits(positive_idx, negative_idx)
        absent = hits if absent is None else absent | hits
    against = _log_sum_exp(others, absent)
    return weighted_mean(torch.logaddexp(own, against if rows is None else against[rows]) - own, weights)


def _logits(product: Tensor, bias: Tensor | None, log_q: Tensor | None, count: float, temperature: float) -> Tensor:
    """(product + bias) / temperature − log q − count, in few passes over the product."""
    logits = product if temperature == 1 else product / temperature
    shift = None if bias is None else bias / temperature
    if log_q is not None:
        shift = -(log_q + count) if shift is None else shift - (log_q + count)
    return logits if shift is None else logits + shift


def _log_sum_exp(logits: Tensor, absent: Tensor | None) -> Tensor:
    """[B] over what is not absent of [B, S]; −inf without gradient where nothing is left."""
    if not logits.shape[1]:
        return logits.new_full((len(logits),), -torch.inf)
    found = logits if absent is None else logits.masked_fill(absent, -torch.inf)
    empty = found.detach().amax(dim=1) == -torch.inf
    if empty.any():  # the gradient of log 0 is no number
        found = found.masked_fill(empty[:, None], 0)
    return found.logsumexp(dim=1).masked_fill(empty, -torch.inf)
