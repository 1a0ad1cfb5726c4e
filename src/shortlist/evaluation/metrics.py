"""Accuracy metrics: plain functions of ranks.

Every function takes the ranks (1 is best) of a query's targets among all allowed items, as ``Ragged`` with one row a
query, and gives one value a query. A target that ties with other items stands behind them (see ``ExactIndex.ranks``), so that
a model whose scores are all equal gets chance's worst, never perfection. A query without a target gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged

PerQuery = NDArray[np.float64]


def _sum_by_query(ranks: Ragged, values: NDArray[np.float64]) -> PerQuery:
    return np.bincount(ranks.row_of_value, weights=values, minlength=len(ranks)).astype(np.float64)


def _or_nan(ranks: Ragged, values: PerQuery) -> PerQuery:
    return np.where(ranks.lengths > 0, values, np.nan)


def recall(ranks: Ragged, k: int) -> PerQuery:
    """Found targets over all targets: |top k ∩ targets| / |targets|.

    >>> recall(Ragged.from_rows([[1, 12], [3]]), 10).tolist()
    [0.5, 1.0]
    """
    hits = _sum_by_query(ranks, (ranks.values <= k).astype(np.float64))
    return _or_nan(ranks, hits / np.maximum(ranks.lengths, 1))


def hit_rate(ranks: Ragged, k: int) -> PerQuery:
    """1 where at least one target is among the top k, else 0.

    >>> hit_rate(Ragged.from_rows([[1, 12], [30]]), 10).tolist()
    [1.0, 0.0]
    """
    return _or_nan(ranks, (_sum_by_query(ranks, (ranks.values <= k).astype(np.float64)) > 0).astype(np.float64))


def ndcg(ranks: Ragged, k: int) -> PerQuery:
    """Σ 1/log2(1 + rank) over found targets, over the same for targets at ranks 1, 2, … min(k, |targets|).

    Järvelin and Kekäläinen 2002, with gains 0 and 1.

    >>> ndcg(Ragged.from_rows([[1], [2], [11]]), 10).round(4).tolist()
    [1.0, 0.6309, 0.0]
    """
    gains = np.where(ranks.values <= k, 1 / np.log2(1.0 + ranks.values), 0.0)
    ideal = np.cumsum(1 / np.log2(2.0 + np.arange(k)))
    best = ideal[np.clip(ranks.lengths, 1, k) - 1]
    return _or_nan(ranks, _sum_by_query(ranks, gains) / best)


def mrr(ranks: Ragged, k: int) -> PerQuery:
    """1 / rank of the first target, 0 where it is not among the top k.

    >>> mrr(Ragged.from_rows([[4, 2], [11]]), 10).tolist()
    [0.5, 0.0]
    """
    first = np.full(len(ranks), np.inf)
    np.minimum.at(first, ranks.row_of_value, ranks.values)
    return _or_nan(ranks, np.where(first <= k, 1 / first, 0.0))


def top_k_accuracy(ranks: Ragged, k: int) -> PerQuery:
    """Factorized top-k categorical accuracy: of a query's targets, taken one by one, the share in the top k.

    TensorFlow Recommenders' ``FactorizedTopK`` counts every (query, target) record; averaging over records instead of
    queries is the report's business (``micro``). With one target a query it equals recall and hit rate.

    >>> top_k_accuracy(Ragged.from_rows([[1], [12]]), 10).tolist()
    [1.0, 0.0]
    """
    return recall(ranks, k)


METRICS: Mapping[str, Callable[[Ragged, int], PerQuery]] = {
    "ndcg": ndcg,
    "recall": recall,
    "hit_rate": hit_rate,
    "mrr": mrr,
    "top_k_accuracy": top_k_accuracy,
}

DEFINITIONS: Mapping[str, str] = {
    "ndcg": "gain 1/log2(1+rank) of the targets among the first {k}, over the best possible; mean over queries",
    "recall": "share of a query's targets among its first {k}; mean over queries",
    "hit_rate": "share of queries with at least one target among the first {k}",
    "mrr": "1/rank of the first target, 0 beyond {k}; mean over queries",
    "top_k_accuracy": "share of all (query, target) records whose target is among the first {k} of the whole corpus",
    "coverage": "share of the corpus that stands in at least one query's first {k}",
}
