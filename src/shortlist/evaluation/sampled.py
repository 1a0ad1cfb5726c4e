"""Sampled metrics: each target among a few given items instead of the whole corpus. Only where asked for by name.

They do not keep the order of models: who is better among 100 given items can be worse in the corpus (Krichene and
Rendle, KDD 2020). They are here to be compared with papers that report them, beside the full-corpus figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shortlist.data.ragged import Ragged, spans
from shortlist.data.splitting import Holdout
from shortlist.errors import EvaluationError
from shortlist.evaluation.candidates import scores_of
from shortlist.evaluation.metrics import DEFINITIONS, METRICS
from shortlist.evaluation.statistics import Figure, figures
from shortlist.models.base import Ranker, Retriever
from shortlist.retrieval import dot

PREFIX = "sampled_"
WARNING = (
    "Sampled figures (sampled_...) rank each target among a few given items only. They do not keep the order of models "
    "(Krichene and Rendle, KDD 2020): compare models by the full-corpus figures beside them."
)
_SCORES_AT_ONCE = 8_000_000


def sampled_ranks(retriever: Retriever, holdout: Holdout) -> Ragged:
    """Rank (1 is best) of every target among its query's targets and given negatives. Negatives win ties.

    Raises:
        EvaluationError: no negatives are given.
    """
    targets, negatives = holdout.targets, _given(holdout)
    vectors, items = retriever.encode_queries(holdout.queries), retriever.encode_items()
    ranks = np.empty(len(targets.values), dtype=np.int64)
    size = max(1, _SCORES_AT_ONCE // items.shape[0])
    for start in range(0, len(holdout), size):
        rows = np.arange(start, min(start + size, len(holdout)))
        scores = dot(vectors[start : start + size], items)
        mine, others = targets.take(rows), negatives.take(rows)
        own = scores[mine.row_of_value, mine.values]
        padded = np.full((len(rows), int(others.lengths.max(initial=1))), -np.inf, dtype=np.float32)
        place = np.arange(len(others.values)) - others.offsets[others.row_of_value]
        padded[others.row_of_value, place] = scores[others.row_of_value, others.values]
        ahead = (padded[mine.row_of_value] >= own[:, None]).sum(axis=1)
        ranks[targets.offsets[start] : targets.offsets[start] + len(own)] = ahead + _places(mine, own)
    return Ragged(ranks, targets.offsets)


def sampled_ranks_of(ranker: Ranker, holdout: Holdout, retriever: Retriever | None = None) -> Ragged:
    """``sampled_ranks`` of a ranker, which scores the given items themselves; the retriever's scores are told to it.

    Raises:
        EvaluationError: no negatives are given.
    """
    targets, negatives = holdout.targets, _given(holdout)
    both = negatives.concat_rows(targets)  # targets last: who keeps the order of the candidates gains nothing by it
    retrieved = None if retriever is None else scores_of(retriever, holdout.queries, both)
    scores = ranker.score(holdout.queries, both, retrieved)
    place = np.arange(len(both.values)) - both.offsets[both.row_of_value]
    is_target = place >= negatives.lengths[both.row_of_value]
    own, row = scores[is_target], targets.row_of_value
    rival, offsets = scores[~is_target], negatives.offsets
    # all pairs of a target and its query's negatives, one after the other
    pairs = spans(offsets[row], offsets[row + 1])
    ahead = np.bincount(pairs.row_of_value, rival[pairs.values] >= own[pairs.row_of_value], minlength=len(own))
    return Ragged(ahead.astype(np.int64) + _places(targets, own), targets.offsets)


def sampled_figures(ranks: Ragged, ks: Sequence[int], seed: int = 0) -> dict[str, Figure]:
    """Accuracy metrics of sampled ranks, under names of their own."""
    names = [(metric, k) for metric in METRICS for k in ks]
    values = np.stack([METRICS[metric](ranks, k) for metric, k in names], axis=1)
    return dict(zip((f"{PREFIX}{m}@{k}" for m, k in names), figures(values, seed=seed), strict=True))


def sampled_definitions(holdout: Holdout, ks: Sequence[int]) -> dict[str, str]:
    """What the sampled figures mean."""
    assert holdout.negatives is not None
    few, many = int(holdout.negatives.lengths.min()), int(holdout.negatives.lengths.max())
    among = f"{few}" if few == many else f"{few} to {many}"
    return {
        f"{PREFIX}{metric}@{k}": f"among the query's targets and {among} given negatives only: {DEFINITIONS[metric].format(k=k)}"
        for metric in METRICS
        for k in ks
    }


def _given(holdout: Holdout) -> Ragged:
    if holdout.negatives is None:
        raise EvaluationError(
            "There are no given negatives to rank the targets with. The sampled protocol needs [split] method = "
            '"files" with negatives = FILE (columns user and item), or a data set that has them, such as ncf-ml-1m. '
            "Full-corpus figures need none."
        )
    return holdout.negatives


def _places(targets: Ragged, scores: np.ndarray) -> np.ndarray:
    """Place of every target among its query's targets: 1 for the best."""
    order = np.lexsort((-scores, targets.row_of_value))
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order)) - targets.offsets[targets.row_of_value] + 1
    return places
