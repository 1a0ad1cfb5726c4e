"""Asks the queries of a holdout and measures the answers, over the whole corpus.

Candidates are never sampled: every allowed item competes with every target. The lists that are judged come from the
index that serves, under the same filters: what is measured is what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout
from shortlist.errors import EvaluationError
from shortlist.evaluation import beyond_accuracy
from shortlist.evaluation.background import Background
from shortlist.evaluation.candidates import candidates_of
from shortlist.evaluation.metrics import DEFINITIONS, METRICS, PerQuery, auc
from shortlist.evaluation.statistics import Figure, figures
from shortlist.models.base import Retriever
from shortlist.retrieval import ExactIndex, Vectors

_BY_RECORD = ("top_k_accuracy",)  # averaged over (query, target) records instead of queries


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one model did on one holdout.

    Args:
        holdout: the queries and their targets.
        ranks: of every target, one row a query.
        lists: [Q, max k] the list each query gets, −1 where it is shorter.
        num_candidates: [Q] items that were allowed.
        num_items: size of the corpus.
        ks: list lengths.
        background: what the training data says of items; None: accuracy only.
    """

    holdout: Holdout
    ranks: Ragged
    lists: NDArray[np.int32]
    num_candidates: NDArray[np.int64]
    num_items: int
    ks: Sequence[int]
    background: Background | None = None

    def per_query(self, metric: str, k: int = 0) -> PerQuery:
        """One value a query; NaN where it does not apply. ``auc`` looks at no k."""
        if metric in METRICS:
            return METRICS[metric](self.ranks, k)
        if metric == "auc":
            return auc(self.ranks, self.num_candidates)
        known, history = self.background, self.holdout.queries.liked
        assert known is not None, f"{metric} needs a background"
        if metric == "popularity":
            return beyond_accuracy.popularity(self.lists, k, known.share)
        if metric == "popularity_lift":
            return beyond_accuracy.popularity_lift(self.lists, k, known.share, history)
        if metric == "novelty":
            return beyond_accuracy.novelty(self.lists, k, known.share, known.num_users)
        if metric == "serendipity":
            return beyond_accuracy.serendipity(self.ranks, known.obvious_ranks, k)
        if metric == "diversity":
            return beyond_accuracy.intra_list_diversity(self.lists, k, known.tags)
        assert metric == "miscalibration", metric
        return beyond_accuracy.miscalibration(self.lists, k, known.tags, history)

    def mean(self, metric: str, k: int = 0) -> float:
        """Mean of one metric; ``top_k_accuracy`` over records, the others over queries."""
        values = self.per_query(metric, k)
        present = np.isfinite(values)
        return float(np.average(values[present], weights=self._weights(metric)[present])) if present.any() else np.nan

    def figures(self, seed: int = 0) -> dict[str, Figure]:
        """All metrics at all k with intervals; coverage and Gini judge all lists together and so have none."""
        names = [(metric, k) for metric in METRICS for k in self.ks] + [("auc", 0)]
        if self.background is not None:
            names += [(metric, k) for metric in self.background.metrics for k in self.ks]
        values = np.stack([self.per_query(*name) for name in names], axis=1)
        weights = np.stack([self._weights(metric) for metric, _ in names], axis=1)
        found = dict(zip((figure_name(*name) for name in names), figures(values, weights, seed), strict=True))
        for k in self.ks:
            for metric, function in (("coverage", beyond_accuracy.coverage), ("gini", beyond_accuracy.gini)):
                value = function(self.lists, k, self.num_items)
                found[figure_name(metric, k)] = Figure(value, value, value)
        return found

    def _weights(self, metric: str) -> NDArray[np.float64]:
        return (self.ranks.lengths if metric in _BY_RECORD else np.ones(len(self.ranks))).astype(np.float64)


def evaluate(
    retriever: Retriever, holdout: Holdout, ks: Sequence[int], background: Background | None = None
) -> Evaluation:
    """Answer every query as serving would, and rank every target among all allowed items.

    Args:
        retriever: any retriever; a saved one answers exactly as it serves.
        holdout: queries and targets.
        ks: list lengths; none longer than the corpus counts for more than the corpus.
        background: for what goes beyond accuracy.

    Raises:
        EvaluationError: a vector is not finite. (No comparison with NaN holds, so that such a model would seem
            perfect.)
    """
    index, vectors = ExactIndex(retriever.encode_items()), _encoded(retriever, holdout)
    examined = index.examine(vectors, max(ks), holdout.targets, candidates_of(holdout))
    return Evaluation(
        holdout, examined.ranks, examined.item_idx, examined.num_candidates, len(index), tuple(ks), background
    )


def validation_figure(retriever: Retriever, holdout: Holdout, select_on: str) -> float:
    """One figure such as ``ndcg@10``, without lists and intervals: cheap enough for every epoch.

    Raises:
        EvaluationError: see ``evaluate``.
    """
    metric, k = select_on.split("@")
    index = ExactIndex(retriever.encode_items())
    ranks = index.ranks(_encoded(retriever, holdout), holdout.targets, candidates_of(holdout))
    return float(METRICS[metric](ranks, int(k)).mean())


def definitions(ks: Sequence[int], background: Background | None = None) -> dict[str, str]:
    """What each reported figure means, by its name in the report."""
    beyond = ("coverage", "gini", *(background.metrics if background is not None else ()))
    texts = {**DEFINITIONS, **{name: beyond_accuracy.DEFINITIONS[name] for name in beyond}}
    return {
        figure_name(name, k): text.format(k=k) for name, text in texts.items() for k in (ks if "{k}" in text else (0,))
    }


def figure_name(metric: str, k: int) -> str:
    """``ndcg@10``; ``auc``, which has no k, stands alone."""
    return f"{metric}@{k}" if k else metric


def _encoded(retriever: Retriever, holdout: Holdout) -> Vectors:
    vectors = retriever.encode_queries(holdout.queries)
    for what, one in (("queries", vectors), ("items", retriever.encode_items())):
        values = one if isinstance(one, np.ndarray) else one.data
        # a sum is finite only if all its terms are, and takes no mask as large as the vectors
        if not np.isfinite(values.sum(dtype=np.float64)):
            bad = int((~np.isfinite(values)).sum())
            raise EvaluationError(
                f"{retriever.name}: {bad:,} of {values.size:,} numbers in its vectors of {what} are NaN or infinite, so that its "
                "scores cannot be compared. Look for a learning rate that is too high or extreme numbers in the features."
            )
    return vectors
