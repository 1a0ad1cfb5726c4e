"""The path, from settings to an artifact: read this file to see all stations.

tables → Dataset → Split → fit (selected on validation) → served form → report → artifact
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import Schema
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import Split, split
from shortlist.data.storage import load_schema
from shortlist.evaluation.assessment import Assessment, assess
from shortlist.evaluation.report import Report
from shortlist.evaluation.sampled import WARNING
from shortlist.recommender import artifact
from shortlist.recommender.evaluation import latency
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.rerankers import rerankers_of
from shortlist.recommender.stage_evaluation import evaluate_stages, learned_from
from shortlist.settings import NetworkSettings, Settings
from shortlist.training.baselines import check_sources, fit_baselines
from shortlist.training.checkpoint import Checkpoint
from shortlist.training.continuation import Start
from shortlist.training.export import SELECTED, save_weights
from shortlist.training.indexing import require_index_package, tuned_index
from shortlist.training.kept_events import kept_events
from shortlist.training.networks import for_corpus
from shortlist.training.rankers import ranker_after
from shortlist.training.retrievers import Fitted, fit_retriever, num_parameters, serve
from shortlist.training.start import refuse_the_same, start_from


def train(
    settings: Settings,
    out: str | Path,
    console: Console | None = None,
    seeds: int = 1,
    start: str | Path | None = None,
    events: str | None = None,
) -> Recommender:
    """Fit, evaluate on the test part beside the baselines, and write the artifact.

    A run that was killed goes on from ``OUT.checkpoint``. Ctrl-C while training goes on with the best weights so far.

    Args:
        settings: the whole run.
        out: folder of the artifact; one that is there is replaced in one step.
        console: where a person follows it; None: silent.
        seeds: train this many times, with seeds from ``settings.seed`` on, on the same split; the one best on
            validation is kept, and the report has the figures of all.
        start: an artifact to go on from; see ``shortlist.training.continuation``.
        events: URL of an event store whose events are part of the log, with the meaning they have while serving; see
            ``shortlist.data.live_events``.

    Returns:
        The artifact, loaded.

    Raises:
        ShortlistError: settings, data or training; see ``shortlist.errors``.
    """
    out = Path(out)
    say = (console or Console(quiet=True)).print
    require_index_package(settings)
    started = time.perf_counter()
    before = None if start is None else load_schema(Path(start))
    dataset, said = _load(settings, before, events)
    if start is not None and events is not None:
        refuse_the_same(Path(start), settings, dataset, said)
    check_sources(dataset, settings)
    rerankers_of(settings.rerank, dataset)  # what does not fit the data is said before anything is trained
    parts = split(dataset, settings.split, settings.seed)
    seconds = {"load": time.perf_counter() - started}
    say(str(dataset.summary))
    settings, asked = for_corpus(settings, dataset.num_items), settings
    if isinstance(settings.retriever, NetworkSettings) and settings.retriever.loss == "in_batch" and settings != asked:
        say(
            f"{dataset.num_items:,} items: in-batch negatives and {settings.retriever.num_negatives:,} uniform ones, batches of "
            f"{settings.training.batch_size:,} (retriever.loss, training.batch_size)"
        )
    say(
        f"split {settings.split.method}: {len(parts.train):,} interactions to learn from, {len(parts.test):,} test queries"
    )

    started = time.perf_counter()
    checkpoints = out.with_name(out.name + ".checkpoint")
    goes_on = None if start is None else start_from(Path(start), dataset, parts, leave_out=events is not None)
    if goes_on is not None:
        say(goes_on.about())
        if goes_on.dataset is not dataset:
            dataset = goes_on.dataset
            parts = split(dataset, settings.split, settings.seed)
    if said:
        say(said)
    fitted = _fit_seeds(dataset, parts, settings, seeds, console, checkpoints, goes_on)
    best_seed, best = next(iter(fitted.items()))
    seconds["fit"] = time.perf_counter() - started
    started = time.perf_counter()
    ranker = ranker_after(best, dataset, parts, settings, console, checkpoints)
    seconds |= {} if ranker is None else {"fit_ranker": time.perf_counter() - started}
    started = time.perf_counter()
    baselines = fit_baselines(dataset, parts, settings, say)
    seconds["fit_baselines"] = time.perf_counter() - started

    ks = [k for k in settings.evaluation.k if k <= dataset.num_items] or [dataset.num_items]
    measure = partial(
        assess,
        dataset=dataset,
        train=learned_from(parts, refit=settings.training.refit),
        holdout=parts.test,
        ks=ks,
        select_on=settings.evaluation.select_on,
        sampled=parts.test.negatives is not None,
        seed=settings.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        model: str = settings.retriever.model
        models = {model: best.retriever, **baselines.retrievers}
        served = {name: serve(one, dataset, Path(folder) / name) for name, one in models.items()}
        if best.selected_network is not None:
            save_weights(best.selected_network, served[model].folder / SELECTED)
        ranking: dict[str, Any] = {}
        if ranker is not None:
            served_ranker = ranker.served(Path(folder) / "ranker", dataset)
            ranking = {"ranker": served_ranker, "candidates": ranker.settings.candidates}
        started = time.perf_counter()
        figures = measure(served, **ranking)
        by_seed = {best_seed: figures.models[model]}
        for seed, one in list(fitted.items())[1:]:
            again = {model: serve(one.retriever, dataset, Path(folder) / f"{model}-{seed}")}
            by_seed[seed] = measure(again).models[model]
        seconds["evaluate"] = time.perf_counter() - started
        others = {name: one for name, one in served.items() if name != model}
        started = time.perf_counter()
        tuned = tuned_index(served[model], parts, settings)
        if tuned.note:
            seconds["index"] = time.perf_counter() - started
            say(tuned.note)
        more = [one for one in (tuned.note, "" if goes_on is None else goes_on.about(), said) if one]
        selected = {} if ranker is None else {ranker.ranker.name: ranker.selected}
        course = {**best.course, **({} if ranker is None else {"ranker": ranker.course})}
        recommender = Recommender(dataset, served[model], settings, None, others, index=tuned.index, **ranking)
        recommender.report = Report(
            split=parts.description,
            num_queries=len(parts.test),
            definition=figures.definition,
            models=figures.models,
            seconds={name: round(value, 2) for name, value in seconds.items()},
            peak_memory_mb=round(peak_memory_mb(), 1),
            seed=best_seed,
            data={**dataset.summary.to_dict(), "fingerprint": dataset.fingerprint[:16]},
            notes=notes(figures, settings, [*baselines.notes, *more]),
            settings={
                name: one for name, one in {model: best.selected, **selected, **baselines.selected}.items() if one
            },
            comparisons=figures.comparisons,
            slices=figures.slices,
            curves=figures.curves,
            training=course,
            cost={
                "parameters": {name: num_parameters(one) for name, one in models.items()},
                "latency_ms": latency(recommender, parts.test),
                **({"index": {"note": tuned.note, **tuned.facts}} if tuned.note else {}),
            },
            seeds=_seed_figures(by_seed),
            stages=evaluate_stages(
                recommender,
                parts.test,
                learned_from(parts, refit=settings.training.refit),
            ),
        )
        artifact.save(recommender, out, course, figures.per_target(dataset))
    _delete(checkpoints)
    return artifact.load(out)


def _load(settings: Settings, known: Schema | None, events: str | None) -> tuple[Dataset, str]:
    """The data set, and a sentence about the events in it."""
    if events is None:
        return load_dataset(settings, known), ""
    with kept_events(events, settings) as found:
        dataset = load_dataset(settings, known, found)
        said = f"{found.count:,} events of {found.source} are part of the log"
        return dataset, f"{said}; people chose from what was served: figures favour models like the one that served it."


def _fit_seeds(
    dataset: Dataset,
    parts: Split,
    settings: Settings,
    seeds: int,
    console: Console | None,
    checkpoints: Path,
    start: Start | None,
) -> dict[int, Fitted]:
    """The model by seed, best on validation first. The split is the same for all."""
    fitted = {}
    for seed in range(settings.seed, settings.seed + seeds):
        if seeds > 1 and console is not None:
            console.print(f"seed {seed}")
        own = settings.model_copy(update={"seed": seed})
        fitted[seed] = fit_retriever(dataset, parts, own, console, checkpoints / f"seed-{seed}", start)
    return dict(sorted(fitted.items(), key=lambda one: -float(one[1].selected.get("validation", 0))))


def _seed_figures(by_seed: Mapping[int, Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """Figures of the model by seed, the kept one first, and their mean and deviation."""
    if len(by_seed) == 1:
        return {}
    names = next(iter(by_seed.values()))
    values = {name: [float(of_seed[name]["value"]) for of_seed in by_seed.values()] for name in names}
    return {
        "seeds": list(by_seed),
        "figures": {
            name: {"values": one, "mean": float(np.mean(one)), "deviation": float(np.std(one, ddof=1))}
            for name, one in values.items()
        },
    }


def _delete(checkpoints: Path) -> None:
    for folder in sorted(checkpoints.glob("seed-*/*")):
        Checkpoint(folder, "").delete()
    for folder in [*checkpoints.glob("seed-*"), checkpoints]:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def notes(figures: Assessment, settings: Settings, more: list[str]) -> tuple[str, ...]:
    """What a reader must know beside the figures: above all where the model loses."""
    comparisons, told = figures.comparisons, []
    for name, found in comparisons["against"].items():
        if settings.ranker is not None and name == settings.ranker.model:
            low, high = (f"{-found[end]:+.4f}" if found[end] is not None else "?" for end in ("high", "low"))
            told.append(
                f"The ranker {name} changes {comparisons['figure']} by {-found['difference']:+.4f} [{low}, {high}] against "
                f"{comparisons['model']} alone."
            )
            continue
        if found["difference"] < 0:
            sure = 1 - found["probability"]
            told.append(
                f"{comparisons['model']} is below {name} in {comparisons['figure']}: {found['difference']:+.4f} "
                f"(with probability {sure:.2f} under other people of the same kind)."
            )
    given = settings.split
    random_query = given.method == "by_user" and given.query_part == "random"
    if given.method == "random" or random_query or given.later_history == "allow":
        told.append("Models may learn from what happened after a query: figures are higher than live ones.")
    if any(name.startswith("sampled_") for name in figures.definition):
        told.append(WARNING)
    return (*told, *more)


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far."""
    import resource

    status = Path("/proc/self/status")
    if status.exists():  # Linux's ru_maxrss counts what the parent held when it started this process
        return float(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
