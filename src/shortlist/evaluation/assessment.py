"""Everything a report says about the answers of several models to one holdout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout
from shortlist.evaluation.background import Background
from shortlist.evaluation.evaluator import Evaluation, definitions, evaluate
from shortlist.evaluation.metrics import METRICS
from shortlist.evaluation.ranked import RankedCandidates
from shortlist.evaluation.sampled import sampled_definitions, sampled_figures, sampled_ranks, sampled_ranks_of
from shortlist.evaluation.slices import sliced, slices
from shortlist.evaluation.statistics import compare
from shortlist.models.base import Ranker, Retriever

_CURVE_KS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
_CURVE_METRICS = ("recall", "ndcg")


@dataclass(frozen=True, eq=False)
class Assessment:
    """Figures and what stands behind them.

    Args:
        evaluations: by model, the model itself first.
        definition: figure → what it means.
        models: model → figure → value, low, high.
        comparisons: the first model against each other one, on the figure that selects.
        slices: see ``evaluation.slices.sliced``.
        curves: ``k`` and, by metric and model, the figure at each.
    """

    evaluations: Mapping[str, Evaluation]
    definition: Mapping[str, str]
    models: Mapping[str, Mapping[str, Mapping[str, float]]]
    comparisons: Mapping[str, Any]
    slices: Sequence[Mapping[str, Any]]
    curves: Mapping[str, Any]

    def per_target(self, dataset: Dataset) -> pa.Table:
        """One row a (query, target) record: ids, allowed items, and the target's rank under each model.

        Any figure of accuracy follows from it, for any part of the people.
        """
        first = next(iter(self.evaluations.values()))
        holdout, query = first.holdout, first.ranks.row_of_value
        columns: dict[str, Any] = {
            "user_id": dataset.users.ids.take(pa.array(holdout.user_idx[query])),
            "item_id": dataset.items.ids.take(pa.array(holdout.targets.values)),
            "num_candidates": first.num_candidates[query],
        }
        columns |= {f"rank.{name}": one.ranks.values for name, one in self.evaluations.items()}
        return pa.table(columns)


def assess(
    retrievers: Mapping[str, Retriever],
    dataset: Dataset,
    train: Interactions,
    holdout: Holdout,
    ks: Sequence[int],
    select_on: str,
    *,
    sampled: bool,
    seed: int = 0,
    ranker: Ranker | None = None,
    candidates: int = 0,
) -> Assessment:
    """Ask all models the same queries.

    Args:
        retrievers: the model itself first, baselines after it.
        dataset: the corpus and its features.
        train: what the models were fitted on.
        holdout: queries and targets.
        ks: list lengths.
        select_on: figure of comparisons and slices.
        sampled: whether figures among given negatives stand beside those over the whole corpus.
        seed: of the bootstrap.
        ranker: orders what the model itself found: a further row, under its own name.
        candidates: so many of what the model found.

    Raises:
        EvaluationError: vectors or scores that are not finite; or ``sampled`` without given negatives.
    """
    background = Background.of(dataset, train, holdout)
    evaluations = {name: evaluate(one, holdout, ks, background) for name, one in retrievers.items()}
    if ranker is not None:
        model, *others = evaluations
        count = max(candidates, *ks)
        ranked = RankedCandidates(retrievers[model], holdout, count).evaluation(ranker, ks, background)
        evaluations = {model: evaluations[model], ranker.name: ranked, **{name: evaluations[name] for name in others}}
    models = {
        name: {figure: value.to_dict() for figure, value in one.figures(seed).items()}
        for name, one in evaluations.items()
    }
    definition = definitions(ks, background)
    if sampled:
        ranks = {name: sampled_ranks(retriever, holdout) for name, retriever in retrievers.items()}
        ranks |= (
            {} if ranker is None else {ranker.name: sampled_ranks_of(ranker, holdout, next(iter(retrievers.values())))}
        )
        for name, of_name in ranks.items():
            of_model = sampled_figures(of_name, ks, seed)
            models[name] |= {figure: value.to_dict() for figure, value in of_model.items()}
        definition |= sampled_definitions(holdout, ks)
    return Assessment(
        evaluations=evaluations,
        definition=definition,
        models=models,
        comparisons=_comparisons({name: one.ranks for name, one in evaluations.items()}, select_on, seed),
        slices=sliced(evaluations, slices(dataset, holdout, background), select_on, seed),
        curves=_curves(evaluations),
    )


def _comparisons(ranks: Mapping[str, Ragged], figure: str, seed: int) -> dict[str, Any]:
    metric, k = figure.split("@")
    values = {name: METRICS[metric](one, int(k)) for name, one in ranks.items()}
    model, *others = values
    return {
        "figure": figure,
        "model": model,
        "against": {name: compare(values[model], values[name], seed).to_dict() for name in others},
    }


def _curves(evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    num_items = next(iter(evaluations.values())).num_items
    ks = [k for k in _CURVE_KS if k <= num_items]
    curves: dict[str, Any] = {"k": ks}
    for metric in _CURVE_METRICS:
        curves[metric] = {
            name: [round(float(np.nanmean(METRICS[metric](one.ranks, k))), 5) for k in ks]
            for name, one in evaluations.items()
        }
    return curves
