"""A feature ranker from the log: cut, a retriever of the older part, candidates, training, calibration.

See ``ranking_examples`` for why it is cut so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.splitting import Split
from shortlist.evaluation.metrics import METRICS
from shortlist.evaluation.ranked import RankedCandidates
from shortlist.models.base import Retriever
from shortlist.models.boosted_trees import BoostedTrees
from shortlist.models.calibration import Platt, reliability
from shortlist.models.deep_cross import Combination, DeepCross
from shortlist.models.item_statistics import ItemStatistics, newest_spans
from shortlist.models.pair_features import PairFeatures
from shortlist.settings import DeepCrossSettings, FeatureRankerSettings, Settings
from shortlist.training.boosted_training import fit_boosted_trees
from shortlist.training.checkpoint import Checkpoint
from shortlist.training.deep_cross_training import exponents_of, fit_deep_cross
from shortlist.training.ranking_examples import older_rows, ranking_examples
from shortlist.training.ranking_objective import Lesson
from shortlist.training.retrievers import fit_again

FeatureRanker = DeepCross | BoostedTrees


def lessons_of(
    dataset: Dataset, train: Interactions, settings: Settings, epochs: int | None, console: Console | None = None
) -> list[Lesson]:
    """Cut ``train``, fit a retriever on its older part and ask it for the candidates of the newer one; ``folds`` times.

    Args:
        dataset: for features.
        train: what may be learned from.
        settings: of the run.
        epochs: of a retriever that is a network, as selected.
        console: where a person follows.
    """
    chosen = settings.ranker
    assert isinstance(chosen, FeatureRankerSettings)
    targets = tuple(exponents_of(chosen.targets)) if isinstance(chosen, DeepCrossSettings) else ("liked",)
    each = chosen.model_copy(update={"max_queries": -(-chosen.max_queries // chosen.folds)})
    lessons, left, size = [], train, chosen.share * len(train)
    for fold in range(chosen.folds):
        older = older_rows(left, min(size / len(left), 0.99), settings.split)
        learned = left.take(older)
        retriever = fit_again(dataset, learned, settings, epochs, console)
        examples = ranking_examples(
            dataset, left, older, retriever, each, settings.split, targets=targets, seed=settings.seed + fold
        )
        lessons.append(Lesson(examples, pair_features(dataset, learned, retriever, chosen, newest_spans(train))))
        if console is not None:
            told = f"retriever of the older {len(learned):,} of {len(left):,} interactions: {len(examples):,} queries whose"
            console.print(f"{told} candidates hold a target, {examples.labels['liked'].sum() / len(examples):.2f} each")
        left = learned
    return lessons


def pair_features(
    dataset: Dataset,
    learned: Interactions,
    retriever: Retriever,
    chosen: FeatureRankerSettings,
    spans: tuple[float, float],
) -> PairFeatures:
    """With the statistics of what a retriever was fitted on; ``spans`` are those of the training part."""
    statistics = ItemStatistics.of(
        learned, retriever.encode_items(), spans, has_item_bias=retriever.has_item_bias, has_time=dataset.has_time
    )
    return PairFeatures(dataset.schema, dataset.item_features, statistics, chosen.max_history)


def fit_feature_ranker(
    dataset: Dataset,
    split: Split,
    settings: Settings,
    retriever: Retriever,
    served: Retriever,
    epochs: int | None = None,
    console: Console | None = None,
    checkpoint: Checkpoint | None = None,
    lessons: list[Lesson] | None = None,
) -> tuple[FeatureRanker, dict[str, Any], dict[str, Any]]:
    """The ranker of the settings, ready to serve behind ``served``.

    Args:
        dataset: items, users and their features.
        split: its test part is not looked at.
        settings: of the run.
        retriever: fitted on the training part; validation is asked through it.
        served: that will serve: fitted on training and validation part where ``refit`` says so.
        epochs: of a retriever that is a network, as selected.
        console: where a person follows.
        checkpoint: where the state is kept.
        lessons: ``lessons_of`` the training part where they are at hand.

    Returns:
        The ranker, what was selected, and the course of its training with its calibration.
    """
    chosen, select_on = settings.ranker, settings.evaluation.select_on
    assert isinstance(chosen, FeatureRankerSettings)
    lessons = lessons or lessons_of(dataset, split.train, settings, epochs, console)
    spans = newest_spans(split.train)
    validated_with = pair_features(dataset, split.train, retriever, chosen, spans)
    drawn = np.random.default_rng(settings.seed).permutation(len(split.valid))[: chosen.max_valid]
    valid = RankedCandidates(retriever, split.valid.take(np.sort(drawn)), chosen.candidates)
    shared: dict[str, Any] = {"seed": settings.seed, "select_on": select_on, "console": console}
    ranker: FeatureRanker
    if isinstance(chosen, DeepCrossSettings):
        ranker, run = fit_deep_cross(
            dataset,
            lessons,
            validated_with,
            valid,
            chosen,
            device=settings.training.device,
            checkpoint=checkpoint,
            **shared,
        )
    else:
        assert not isinstance(chosen, DeepCrossSettings)
        ranker, run = fit_boosted_trees(lessons, validated_with, valid, chosen, **shared)
    platt, calibration = _calibrated(ranker, valid)
    refit = settings.training.refit
    serves_with = pair_features(dataset, split.train_and_valid, served, chosen, spans) if refit else validated_with
    if isinstance(ranker, DeepCross):
        combination = Combination(ranker.combination.exponents, platt)
        ranker = DeepCross(ranker.network, serves_with, ranker.scale, ranker.specs, combination)
    else:
        ranker = BoostedTrees(ranker.booster, serves_with, platt)
    metric, k = select_on.split("@")
    alone = float(METRICS[metric](valid.retrieved_ranks, int(k)).mean())
    found = {"epochs": run.best_epoch, "validation": run.best_validation, "retriever alone": alone}
    course = {
        "selection": run.to_dict(),
        "queries": sum(len(one.examples) for one in lessons),
        "targets": int(sum(one.examples.labels["liked"].sum() for one in lessons)),
        "calibration": calibration,
    }
    return ranker, found, course


def _calibrated(ranker: FeatureRanker, valid: RankedCandidates) -> tuple[Platt, dict[str, Any]]:
    """Platt's scaling of ``liked`` on every other validation query, and the reliability on the rest, before and after.

    What is foretold: that a candidate is among the targets of its query, as the split asks.
    """
    logits = ranker.logits(valid.holdout.queries, valid.found, valid.retrieved)[:, 0].astype(np.float64)
    labels = valid.labels
    fitted_on: NDArray[np.bool_] = valid.found.row_of_value % 2 == 0
    platt = Platt.fit(logits[fitted_on], labels[fitted_on])
    told = {"slope": platt.slope, "offset": platt.offset}
    if fitted_on.all():
        return platt, told
    rest = ~fitted_on
    for name, one in (("before", Platt()), ("after", platt)):
        told[name] = reliability(np.exp(one.log_probability(logits[rest])), labels[rest])  # type: ignore[assignment]
    return platt, told
