"""Ranks of targets where a ranker orders what a retriever found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, is_among
from shortlist.data.splitting import Holdout
from shortlist.errors import EvaluationError
from shortlist.evaluation.background import Background
from shortlist.evaluation.candidates import candidates_of, retrieved
from shortlist.evaluation.evaluator import Evaluation
from shortlist.evaluation.metrics import METRICS
from shortlist.models.base import Ranker, Retriever
from shortlist.retrieval import ExactIndex


class RankedCandidates:
    """The candidates of a holdout's queries, found once, so that many rankers can be judged by them.

    Args:
        retriever: finds them; fitted on what the rankers are fitted on.
        holdout: queries and targets.
        count: candidates of each query.
    """

    def __init__(self, retriever: Retriever, holdout: Holdout, count: int) -> None:
        index, allowed = ExactIndex(retriever.encode_items()), candidates_of(holdout)
        vectors = retriever.encode_queries(holdout.queries)
        self.holdout, self.num_items = holdout, len(index)
        examined = index.examine(vectors, 1, holdout.targets, allowed)
        self.found, self.retrieved = retrieved(index, vectors, holdout, count)
        self.retrieved_ranks, self.num_candidates = examined.ranks, examined.num_candidates

    def ranks(self, ranker: Ranker) -> Ragged:
        """Rank (1 is best) of every target: among the candidates as the ranker orders them, below them as retrieved."""
        scores = ranker.score(self.holdout.queries, self.found, self.retrieved)
        return Ragged(self._placed(self.order(scores)), self.holdout.targets.offsets)

    def evaluation(self, ranker: Ranker, ks: Sequence[int], background: Background | None = None) -> Evaluation:
        """What the path from the retriever through the ranker did, as ``evaluate`` says it of a retriever alone."""
        scores = ranker.score(self.holdout.queries, self.found, self.retrieved)
        if not np.isfinite(scores).all():
            raise EvaluationError(
                f"{ranker.name}: {int((~np.isfinite(scores)).sum()):,} of {len(scores):,} scores are NaN or infinite, so that "
                "they cannot be compared. Lower [ranker] learning_rate."
            )
        ordered = self.order(scores)
        ranks = Ragged(self._placed(ordered), self.holdout.targets.offsets)
        lists = ordered.padded(max(ks), fill=-1).astype(np.int32)
        return Evaluation(self.holdout, ranks, lists, self.num_candidates, self.num_items, tuple(ks), background)

    @property
    def labels(self) -> NDArray[np.bool_]:
        """[T] whether a candidate is a target of its query."""
        targets, num_items = self.holdout.targets, self.num_items
        wanted = targets.row_of_value * num_items + targets.values
        return is_among(self.found.row_of_value * num_items + self.found.values, wanted)

    def figure(self, ranker: Ranker, select_on: str) -> float:
        """Such as ``ndcg@10``."""
        return self.figure_of(ranker.score(self.holdout.queries, self.found, self.retrieved), select_on)

    def figure_of(self, scores: NDArray[np.float32], select_on: str) -> float:
        """The same of scores [T] that are at hand."""
        metric, k = select_on.split("@")
        ranks = Ragged(self._placed(self.order(scores)), self.holdout.targets.offsets)
        return float(METRICS[metric](ranks, int(k)).mean())

    def order(self, scores: NDArray[np.float32]) -> Ragged:
        """The candidates, each query's best first; of equal scores the retriever's order stays."""
        order = np.lexsort((-scores, self.found.row_of_value))  # stable
        return Ragged(self.found.values[order], self.found.offsets)

    def _placed(self, ordered: Ragged) -> NDArray[np.int64]:
        targets, ranks = self.holdout.targets, self.retrieved_ranks.values.copy()
        num_items = int(max(ordered.values.max(initial=0), targets.values.max(initial=0))) + 1
        keys = ordered.row_of_value * num_items + ordered.values
        by_key = np.argsort(keys)
        wanted = targets.row_of_value * num_items + targets.values
        place = by_key[np.minimum(np.searchsorted(keys[by_key], wanted), len(keys) - 1)] if len(keys) else wanted
        is_found = keys[place] == wanted if len(keys) else np.zeros(len(wanted), dtype=bool)
        ranks[is_found] = (place - ordered.offsets[targets.row_of_value])[is_found] + 1
        return ranks
