"""The report of a saved recommender: the split is made again from its settings, its retrievers answer as they serve."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from shortlist.data.splitting import Holdout, split
from shortlist.errors import ArtifactError
from shortlist.evaluation.assessment import assess
from shortlist.evaluation.report import Report
from shortlist.evaluation.sampled import WARNING
from shortlist.recommender.query import Query
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.stage_evaluation import evaluate_stages, learned_from

_TIMED_ANSWERS = 100


def evaluate(recommender: Recommender, protocol: str = "full") -> Report:
    """Figures on the test part, through the serving path.

    Args:
        recommender: saved with a report.
        protocol: ``full``, where every item of the corpus competes; or ``sampled``, which adds figures among given
            negatives only.

    Raises:
        ArtifactError: it was saved without a report, so that what was tested is not known.
        EvaluationError: ``sampled`` where no negatives were given.
    """
    report, settings = recommender.report, recommender.settings
    if report is None:
        raise ArtifactError("This artifact has no report, and so no test part. Train it with `shortlist train`.")
    parts = split(recommender.dataset, settings.split, settings.seed)
    log = learned_from(parts, refit=settings.training.refit)
    started = time.perf_counter()
    figures = assess(
        {recommender.retriever.name: recommender.retriever, **recommender.baselines},
        recommender.dataset,
        log,
        parts.test,
        sorted({int(name.partition("@")[2]) for name in report.definition if name.startswith("ndcg@")}),
        settings.evaluation.select_on,
        sampled=protocol == "sampled",
        seed=settings.seed,
        ranker=recommender.funnel.ranker,
        candidates=recommender.funnel.candidates,
    )
    stages = evaluate_stages(recommender, parts.test, log)
    notes = [note for note in report.notes if note != WARNING] + [WARNING] * (protocol == "sampled")
    return replace(
        report,
        definition=figures.definition,
        models=figures.models,
        comparisons=figures.comparisons,
        slices=figures.slices,
        curves=figures.curves,
        stages=stages,
        notes=tuple(notes),
        seconds={**report.seconds, "evaluate": round(time.perf_counter() - started, 2)},
    )


def latency(recommender: Recommender, holdout: Holdout) -> dict[str, float]:
    """Milliseconds of one answer of ten items, asked one by one for test users, without reasons: median and 95th percentile."""
    users = recommender.dataset.users.ids_of(holdout.user_idx[:_TIMED_ANSWERS])
    k, seconds = min(10, recommender.dataset.num_items), []
    for user_id in [*users[:5], *users]:  # the first ones load and warm what is loaded on demand
        started = time.perf_counter()
        recommender.recommend(Query(user_id=user_id, k=k), explain=False)
        seconds.append(time.perf_counter() - started)
    median, slow = np.quantile(np.array(seconds[5:] or seconds) * 1e3, [0.5, 0.95])
    return {"median": round(float(median), 3), "p95": round(float(slow), 3)}
