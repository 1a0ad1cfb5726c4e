"""Asks the queries of a holdout and measures the answers, over the whole corpus.

Candidates are never sampled: every allowed item competes with every target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, distinct
from shortlist.data.splitting import Holdout
from shortlist.evaluation.metrics import DEFINITIONS, METRICS
from shortlist.models.base import Retriever
from shortlist.retrieval import Candidates, ExactIndex

_RESAMPLES = 1000


@dataclass(frozen=True)
class Figure:
    """One metric: mean over queries and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """As in the report."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one model did on one holdout.

    Args:
        ranks: of every target, one row a query.
        recommended: distinct items in anyone's first k, by k.
        num_items: size of the corpus.
        ks: list lengths.
    """

    ranks: Ragged
    recommended: Mapping[int, int]
    num_items: int
    ks: Sequence[int]

    def per_query(self, metric: str, k: int) -> NDArray[np.float64]:
        """One value a query."""
        return METRICS[metric](self.ranks, k)

    def mean(self, metric: str, k: int) -> float:
        """Mean of one metric; ``top_k_accuracy`` over records, the others over queries."""
        return float(np.average(self.per_query(metric, k), weights=self._weights(metric)))

    def figures(self, seed: int = 0) -> dict[str, Figure]:
        """All metrics at all k with intervals, and coverage (of the whole list set, so without one)."""
        names = [(metric, k) for metric in METRICS for k in self.ks]
        values = np.stack([self.per_query(*name) for name in names], axis=1)
        weights = np.stack([self._weights(metric) for metric, _ in names], axis=1)
        # Poisson bootstrap: each query counts Poisson(1) times in a resample
        counts = np.random.default_rng(seed).poisson(1.0, (_RESAMPLES, len(values))).astype(np.float32)
        resampled = (counts @ (values * weights)) / np.maximum(counts @ weights, 1e-12)
        low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
        figures = {
            f"{metric}@{k}": Figure(self.mean(metric, k), float(low[i]), float(high[i]))
            for i, (metric, k) in enumerate(names)
        }
        for k in self.ks:
            share = self.recommended[k] / self.num_items
            figures[f"coverage@{k}"] = Figure(share, share, share)
        return figures

    def _weights(self, metric: str) -> NDArray[np.float64]:
        if metric == "top_k_accuracy":
            return self.ranks.lengths.astype(np.float64)
        return np.ones(len(self.ranks))


def evaluate(retriever: Retriever, holdout: Holdout, ks: Sequence[int]) -> Evaluation:
    """Rank every target of every query among all allowed items.

    Args:
        retriever: any retriever; a saved one answers exactly as it serves.
        holdout: queries and targets.
        ks: list lengths; none longer than the corpus counts for more than the corpus.
    """
    index, candidates = ExactIndex(retriever.encode_items()), Candidates(holdout.seen)
    vectors = retriever.encode_queries(holdout.queries)
    ranks = Ragged(index.ranks(vectors, holdout.targets, candidates), holdout.targets.offsets)
    lists = index.search(vectors, max(ks), candidates)
    recommended = {k: len(distinct(np.concatenate([one.item_idx[:k] for one in lists]))) for k in ks}
    return Evaluation(ranks, recommended, len(index), tuple(ks))


def validation_figure(retriever: Retriever, holdout: Holdout, select_on: str) -> float:
    """One figure such as ``ndcg@10``, without lists and intervals: cheap enough for every epoch."""
    metric, k = select_on.split("@")
    index, vectors = ExactIndex(retriever.encode_items()), retriever.encode_queries(holdout.queries)
    ranks = index.ranks(vectors, holdout.targets, Candidates(holdout.seen))
    return float(METRICS[metric](Ragged(ranks, holdout.targets.offsets), int(k)).mean())


def definitions(ks: Sequence[int]) -> dict[str, str]:
    """What each reported figure means, by its name in the report."""
    return {f"{name}@{k}": text.format(k=k) for name, text in DEFINITIONS.items() for k in ks}


def evaluate_all(
    retrievers: Mapping[str, Retriever], holdout: Holdout, ks: Sequence[int], seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """Figures of several models on the same queries: model → figure → value, low, high."""
    return {
        name: {figure: one.to_dict() for figure, one in evaluate(retriever, holdout, ks).figures(seed).items()}
        for name, retriever in retrievers.items()
    }
