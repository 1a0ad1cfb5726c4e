"""The path, from settings to an artifact: read this file to see all stations.

tables → Dataset → Split → fit (selected on validation) → served form → report → artifact
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from shortlist.data.loading import load_dataset
from shortlist.data.splitting import split
from shortlist.evaluation.evaluator import definitions, evaluate_all
from shortlist.evaluation.report import Report
from shortlist.recommender import artifact
from shortlist.recommender.recommender import Recommender
from shortlist.settings import Settings
from shortlist.training.checkpoint import Checkpoint
from shortlist.training.retrievers import Fitted, fit_baseline, fit_retriever, serve


def train(settings: Settings, out: str | Path, console: Console | None = None) -> Recommender:
    """Fit, evaluate on the test part beside the baselines, and write the artifact.

    A run that was killed goes on from ``OUT.checkpoint``. Ctrl-C while training goes on with the best weights so far.

    Args:
        settings: the whole run.
        out: folder of the artifact; one that is there is replaced in one step.
        console: where a person follows it; None: silent.

    Returns:
        The artifact, loaded.

    Raises:
        ShortlistError: settings, data or training; see ``shortlist.errors``.
    """
    out = Path(out)
    say = (console or Console(quiet=True)).print
    started = time.perf_counter()
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split, settings.seed)
    seconds = {"load": time.perf_counter() - started}
    say(str(dataset.summary))
    say(
        f"split {settings.split.method}: {len(parts.train):,} interactions to learn from, {len(parts.test):,} test queries"
    )

    started = time.perf_counter()
    checkpoint = out.with_name(out.name + ".checkpoint")
    fitted: dict[str, Fitted] = {settings.retriever.model: fit_retriever(dataset, parts, settings, console, checkpoint)}
    seconds["fit"] = time.perf_counter() - started
    started = time.perf_counter()
    for name in settings.evaluation.baselines:
        if name not in fitted:
            say(f"fitting the baseline {name}")
            fitted[name] = fit_baseline(name, dataset, parts, settings)
    seconds["fit_baselines"] = time.perf_counter() - started

    with tempfile.TemporaryDirectory() as folder:
        served = {name: serve(one.retriever, dataset, Path(folder) / name) for name, one in fitted.items()}
        started = time.perf_counter()
        ks = [k for k in settings.evaluation.k if k <= dataset.num_items] or [dataset.num_items]
        models = evaluate_all(served, parts.test, ks, settings.seed)
        seconds["evaluate"] = time.perf_counter() - started
        report = Report(
            split=parts.description,
            num_queries=len(parts.test),
            definition=definitions(ks),
            models=models,
            seconds={name: round(value, 2) for name, value in seconds.items()},
            peak_memory_mb=round(peak_memory_mb(), 1),
            seed=settings.seed,
            data=dataset.summary.to_dict(),
            notes=notes(models, settings),
            settings={name: one.selected for name, one in fitted.items() if one.selected},
        )
        model, *baselines = served
        recommender = Recommender(dataset, served[model], settings, report, {name: served[name] for name in baselines})
        artifact.save(recommender, out, fitted[model].course)
    for part in ("selection", "refit"):
        Checkpoint(checkpoint / part, "").delete()
    if checkpoint.is_dir():
        checkpoint.rmdir()
    return artifact.load(out)


def notes(models: dict[str, dict[str, dict[str, float]]], settings: Settings) -> tuple[str, ...]:
    """What a reader must know beside the figures: above all where the model loses."""
    first = next(iter(models))
    figure = next(iter(models[first]))
    mine, told = models[first][figure]["value"], []
    for name, figures in models.items():
        if figures[figure]["value"] > mine:
            told.append(f"{first} is below {name} in {figure}: {mine:.4f} < {figures[figure]['value']:.4f}.")
    if settings.split.method == "random":
        told.append(
            "A random split lets models learn from what happened after a query: figures are higher than live ones."
        )
    return tuple(told)


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
