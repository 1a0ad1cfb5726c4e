"""Gradient-boosted trees, trained on candidates."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.evaluation.ranked import RankedCandidates
from shortlist.models.boosted_trees import BoostedTrees, TreeFeatures, lightgbm
from shortlist.models.deep_cross import blocks
from shortlist.models.pair_features import PairFeatures, standing
from shortlist.settings import BoostedTreesSettings
from shortlist.training.ranking_objective import Lesson, thinned
from shortlist.training.trainer import EpochRecord, TrainingRun

_MADE_AT_ONCE = 100_000
_CHECKED_EVERY = 25  # trees


def fit_boosted_trees(
    lessons: Sequence[Lesson],
    validated_with: PairFeatures,
    valid: RankedCandidates,
    chosen: BoostedTreesSettings,
    *,
    seed: int,
    select_on: str,
    console: Console | None = None,
) -> tuple[BoostedTrees, TrainingRun]:
    """Grow trees, keep as many as are best on validation. Its "epochs" are 25 trees each.

    Args:
        lessons: learned from; the candidates a query did not take are thinned once.
        validated_with, valid, select_on: as of ``fit_deep_cross``.
        chosen: sizes, and how it is trained.
        seed: of what is drawn.
        console: where a person follows.
    """
    library, rng = lightgbm(), np.random.default_rng(seed)
    parts = [_table(lesson, thinned(lesson.examples, chosen.num_negatives, rng)) for lesson in lessons]
    matrix, labels, groups = (np.concatenate(one) for one in zip(*parts, strict=True))
    data = library.Dataset(
        matrix,
        labels,
        group=groups,
        categorical_feature=TreeFeatures(validated_with).categories or "auto",
        free_raw_data=True,
    )
    booster = library.Booster(_parameters(chosen, seed), data)
    started, stood = time.perf_counter(), standing(valid.found, valid.retrieved)
    asked = _matrix(TreeFeatures(validated_with), valid.holdout.queries, valid.found, stood)
    scores, summed = np.zeros(len(asked)), 0  # of the trees so far, and how many those are
    # without a tree all candidates are equal and keep the retriever's order, which may be the best there is
    run, best = TrainingRun(), booster.model_to_string()
    run.start_validation = run.best_validation = valid.figure_of(scores.astype(np.float32), select_on)
    for tree in range(1, chosen.trees + 1):
        ended = booster.update()
        if tree % _CHECKED_EVERY and tree < chosen.trees and not ended:
            continue
        scores += booster.predict(asked, start_iteration=summed, num_iteration=-1, raw_score=True)
        summed = booster.current_iteration()
        figure = valid.figure_of(scores.astype(np.float32), select_on)
        run.epochs.append(EpochRecord(tree, float("nan"), figure, time.perf_counter() - started))
        started = time.perf_counter()
        if figure > run.best_validation:
            run.best_epoch, run.best_validation, best = tree, figure, booster.model_to_string()
        if console is not None:
            console.print(f"{tree} trees: validation {select_on} {figure:.4f}")
        if ended or tree - run.best_epoch >= chosen.patience:
            run.ended_by = "patience" if tree - run.best_epoch >= chosen.patience else "epochs"
            break
    return BoostedTrees(library.Booster(model_str=best), validated_with), run


def _table(
    lesson: Lesson, kept: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Columns and labels of some candidates, and how many each query has."""
    examples = lesson.examples
    found = Ragged.from_row_of_value(examples.found.values[kept], examples.found.row_of_value[kept], len(examples))
    matrix = _matrix(TreeFeatures(lesson.features), examples.queries, found, examples.stood[kept])
    return matrix, examples.labels["liked"][kept], found.lengths


def _matrix(
    columns: TreeFeatures, queries: QueryBatch, found: Ragged, stood: NDArray[np.float32]
) -> NDArray[np.float32]:
    """All pairs' columns, made some at a time."""
    parts = []
    for rows in blocks(found, _MADE_AT_ONCE):
        pairs = slice(found.offsets[rows[0]], found.offsets[rows[-1] + 1])
        parts.append(columns.matrix(queries.take(rows), found.take(rows), stood[pairs]))
    return np.concatenate(parts)


def _parameters(chosen: BoostedTreesSettings, seed: int) -> dict[str, Any]:
    return {
        "objective": chosen.objective,
        "num_leaves": chosen.leaves,
        "learning_rate": chosen.learning_rate,
        "min_data_in_leaf": chosen.min_leaf,
        "lambda_l2": chosen.regularization,
        "lambdarank_truncation_level": 20,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
