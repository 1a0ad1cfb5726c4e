"""Accuracy: plain functions of ranks.

Every function takes the ranks (1 is best) of a query's targets among all allowed items, as ``Ragged`` with one row a
query, and gives one value a query; a query without a target gives NaN. T is the set of targets, k the length of the
list; a list shorter than k (fewer items were allowed) counts as if filled with items nobody wants. Tie rule of all:
equal scores are ordered by lot before they come here (``retrieval.selection.ranks``), so that a model whose scores are
all equal gets what chance gets, never more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged

PerQuery = NDArray[np.float64]


def hit_rate(ranks: Ragged, k: int) -> PerQuery:
    """1 where at least one target is among the first k, else 0 (Deshpande and Karypis, TOIS 2004).

    >>> hit_rate(Ragged.from_rows([[1, 12], [30]]), 10).tolist()
    [1.0, 0.0]
    """
    return _or_nan(ranks, (_hits(ranks, k) > 0).astype(np.float64))


def recall(ranks: Ragged, k: int) -> PerQuery:
    """Found targets over all targets: |first k ∩ T| / |T|. Cannot reach 1 where |T| > k; ``recall_capped`` can.

    >>> recall(Ragged.from_rows([[1, 12], [3]]), 10).tolist()
    [0.5, 1.0]
    """
    return _or_nan(ranks, _hits(ranks, k) / np.maximum(ranks.lengths, 1))


def recall_capped(ranks: Ragged, k: int) -> PerQuery:
    """Found targets over as many as could be found: |first k ∩ T| / min(k, |T|) (Liang et al., WWW 2018).

    >>> recall_capped(Ragged.from_rows([[1, 2, 3, 9]]), 2).tolist()
    [1.0]
    """
    return _or_nan(ranks, _hits(ranks, k) / np.clip(ranks.lengths, 1, k))


def precision(ranks: Ragged, k: int) -> PerQuery:
    """Share of the first k places that hold a target: |first k ∩ T| / k. Places left empty count as misses.

    >>> precision(Ragged.from_rows([[1, 12], [3]]), 10).tolist()
    [0.1, 0.1]
    """
    return _or_nan(ranks, _hits(ranks, k) / k)


def ndcg(ranks: Ragged, k: int) -> PerQuery:
    """Σ 1/log2(1 + rank) over targets among the first k, over the same for ranks 1, 2, … min(k, |T|).

    Järvelin and Kekäläinen, TOIS 2002, with gains 0 and 1.

    >>> ndcg(Ragged.from_rows([[1], [2], [11]]), 10).round(4).tolist()
    [1.0, 0.6309, 0.0]
    """
    gains = np.where(ranks.values <= k, 1 / np.log2(1.0 + ranks.values), 0.0)
    ideal = np.cumsum(1 / np.log2(2.0 + np.arange(k)))
    best = ideal[np.clip(ranks.lengths, 1, k) - 1]
    return _or_nan(ranks, _sum_by_query(ranks, gains) / best)


def mrr(ranks: Ragged, k: int) -> PerQuery:
    """1 / rank of the first target, 0 where it is not among the first k (Voorhees, TREC-8, 1999).

    >>> mrr(Ragged.from_rows([[4, 2], [11]]), 10).tolist()
    [0.5, 0.0]
    """
    first = np.full(len(ranks), np.inf)
    np.minimum.at(first, ranks.row_of_value, ranks.values)
    return _or_nan(ranks, np.where(first <= k, 1 / first, 0.0))


def mean_average_precision(ranks: Ragged, k: int) -> PerQuery:
    """Precision at the place of every target among the first k, summed, over min(k, |T|); reported as ``map``.

    The mean over queries is MAP (Manning, Raghavan, Schütze 2008, section 8.4), cut at k.

    >>> mean_average_precision(Ragged.from_rows([[1, 4], [11]]), 10).tolist()
    [0.75, 0.0]
    """
    order = np.lexsort((ranks.values, ranks.row_of_value))
    found_so_far = np.arange(len(order)) - ranks.offsets[ranks.row_of_value] + 1
    precisions = np.zeros(len(order))
    precisions[order] = found_so_far / ranks.values[order]
    summed = _sum_by_query(ranks, np.where(ranks.values <= k, precisions, 0.0))
    return _or_nan(ranks, summed / np.clip(ranks.lengths, 1, k))


def top_k_accuracy(ranks: Ragged, k: int) -> PerQuery:
    """Factorized top-k categorical accuracy: of a query's targets, taken one by one, the share among the first k.

    Every (query, target) record asks: is the target among the k best of the whole corpus? (TensorFlow Recommenders'
    ``FactorizedTopK``.) The report averages it over records, not over queries, which is what sets it apart from
    ``recall``.

    >>> top_k_accuracy(Ragged.from_rows([[1], [12]]), 10).tolist()
    [1.0, 0.0]
    """
    return recall(ranks, k)


def auc(ranks: Ragged, num_candidates: NDArray[np.int64]) -> PerQuery:
    """Share of (target, other item) pairs in the right order (Rendle et al., UAI 2009); chance is 1/2.

    Looks at the whole corpus, not at the first places: a good list is no matter of AUC. NaN where every allowed item is
    a target.

    Args:
        ranks: of the targets, none of them forbidden.
        num_candidates: [Q] allowed items, targets among them.

    >>> auc(Ragged.from_rows([[1], [3], [5]]), np.array([5, 5, 5])).tolist()
    [1.0, 0.5, 0.0]
    """
    targets = ranks.lengths
    others = num_candidates - targets
    wrong = _sum_by_query(ranks, ranks.values.astype(np.float64)) - targets * (targets + 1) / 2
    pairs = targets * others
    return np.where(pairs > 0, 1 - wrong / np.maximum(pairs, 1), np.nan)


METRICS: Mapping[str, Callable[[Ragged, int], PerQuery]] = {
    "ndcg": ndcg,
    "recall": recall,
    "hit_rate": hit_rate,
    "precision": precision,
    "mrr": mrr,
    "map": mean_average_precision,
    "recall_capped": recall_capped,
    "top_k_accuracy": top_k_accuracy,
}

DEFINITIONS: Mapping[str, str] = {
    "ndcg": "gain 1/log2(1+rank) of the targets among the first {k}, over the best possible; mean over queries",
    "recall": "share of a query's targets among its first {k}; mean over queries",
    "hit_rate": "share of queries with at least one target among the first {k}",
    "precision": "share of the first {k} places that hold a target; mean over queries",
    "mrr": "1/rank of the first target, 0 beyond {k}; mean over queries",
    "map": "precision at every target among the first {k}, summed, over min({k}, targets); mean over queries",
    "recall_capped": "targets among the first {k}, over min({k}, targets); mean over queries",
    "top_k_accuracy": "share of all (query, target) records whose target is among the first {k} of the whole corpus",
    "auc": "share of (target, other item) pairs in the right order; mean over queries; chance is 0.5",
}


def _hits(ranks: Ragged, k: int) -> PerQuery:
    return _sum_by_query(ranks, (ranks.values <= k).astype(np.float64))


def _sum_by_query(ranks: Ragged, values: NDArray[np.float64]) -> PerQuery:
    return np.bincount(ranks.row_of_value, weights=values, minlength=len(ranks)).astype(np.float64)


def _or_nan(ranks: Ragged, values: PerQuery) -> PerQuery:
    return np.where(ranks.lengths > 0, values, np.nan)
