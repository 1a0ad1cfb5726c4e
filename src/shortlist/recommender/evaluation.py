"""The report of a saved recommender: the split is made again from its settings, its retrievers answer as they serve."""

from __future__ import annotations

import time
from dataclasses import replace

from shortlist.data.splitting import split
from shortlist.errors import ArtifactError
from shortlist.evaluation.evaluator import evaluate_all
from shortlist.evaluation.report import Report
from shortlist.recommender.recommender import Recommender


def evaluate(recommender: Recommender) -> Report:
    """Figures on the test part, through the serving path.

    Raises:
        ArtifactError: it was saved without a report, so that what was tested is not known.
    """
    report, settings = recommender.report, recommender.settings
    if report is None:
        raise ArtifactError("This artifact has no report, and so no test part. Train it with `shortlist train`.")
    test = split(recommender.dataset, settings.split, settings.seed).test
    started = time.perf_counter()
    retrievers = {recommender.retriever.name: recommender.retriever, **recommender.baselines}
    ks = sorted({int(name.partition("@")[2]) for name in report.definition})
    models = evaluate_all(retrievers, test, ks, settings.seed)
    seconds = {**report.seconds, "evaluate": round(time.perf_counter() - started, 2)}
    return replace(report, models=models, seconds=seconds)
