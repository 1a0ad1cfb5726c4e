"""What the order of the history is worth on MovieLens 1M: mean, attention and transformer beside models blind to it.

    python -m benchmarks.sequential [--protocols in_order strictly_before by_time] [--models ...] [--seeds 3]

Three protocols, whole corpus, seen items removed:

- ``in_order``: each user's last rating is the test, the one before is for validation, history is all that stands before it in
  the file's order (``chron_pos``), as published sequential figures count it (TARGETS' rows below);
- ``strictly_before``: the same, but what shares the target's second is not known yet, as it would be live;
- ``by_time``: one cut on the clock for everybody: 10 % of all ratings come after it, and as many lie between it and the cut for
  validation. Learned from is what lies before both. Asked is, of each person with ratings after the cut, for the last of them,
  from all they had rated by then, after the cut too.

Settings were selected on the validation part of ``in_order`` (docs/LOG.md) and are the library's defaults for each
history, but for ids alone: no features of people or films, as the published rows. Epochs are selected on each protocol's own
validation. Networks and baselines are fitted on the training part alone, as is usual here. Intervals: mean and range over seeds.

Published rows: Klenitskiy, Vasilev, RecSys 2023 (SASRec with full and sampled softmax); Petrov, Macdonald, RecSys 2023
(gSASRec).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait
from benchmarks._shared import corpus_ranks, machine, mean, peak_mb
from shortlist.data.dataset import Dataset
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import Holdout, Split, split
from shortlist.models.base import Retriever
from shortlist.settings import Settings, SplitSettings
from shortlist.training.baselines import fit_baselines
from shortlist.training.retrievers import fit_for_selection

PUBLISHED = {  # hit_rate@10, ndcg@10 under in_order
    "SASRec, BCE, 1 negative": (0.2500, 0.1341),
    "gSASRec, 256 negatives": (0.3003, 0.1726),
    "SASRec, full softmax": (0.3152, 0.1821),
    "SASRec, sampled softmax": (0.3159, 0.1857),
}
SPLITS: dict[str, dict[str, Any]] = {
    "in_order": {"history": "in_order"},
    "strictly_before": {"history": "strictly_before"},
    "by_time": {"method": "by_time", "test_fraction": 0.1, "valid_fraction": 0.1, "history": "in_order"},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "mean": {"history": "mean"},
    "attention": {"history": "attention"},
    "transformer": {"history": "transformer"},
}
TRAINING: dict[str, dict[str, Any]] = {
    "mean": {"batch_size": 1024, "epochs": 40, "patience": 5},
    "attention": {"batch_size": 1024, "epochs": 40, "patience": 5},
    "transformer": {"epochs": 40, "patience": 4},
}
BASELINES = ("popularity", "recent_popularity", "ease", "mf")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocols", nargs="+", default=list(SPLITS), choices=list(SPLITS))
    parser.add_argument("--models", nargs="+", default=["baselines", *NETWORKS], choices=["baselines", *NETWORKS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    console = Console(stderr=True) if arguments.verbose else None
    for protocol in arguments.protocols:
        rows: dict[str, list[tuple[float, float]]] = {}
        for model in arguments.models:
            seeds = 1 if model == "baselines" else arguments.seeds
            for seed in range(seeds):
                for name, figures in measured(protocol, model, seed, console).items():
                    rows.setdefault(name, []).append(figures)
        show(protocol, rows)


def measured(protocol: str, model: str, seed: int, console: Console | None) -> dict[str, tuple[float, float]]:
    """hit_rate@10 and ndcg@10 on the test, by model."""
    started = time.perf_counter()
    given: dict[str, Any] = {
        "seed": seed,
        "data": {"dataset": "ml-1m"},
        "features": {"user": {}, "item": {}},
        "split": SPLITS[protocol],
        "training": {"refit": False},
        "evaluation": {"baselines": list(BASELINES)},
    }
    if model != "baselines":
        given["retriever"] = NETWORKS[model]
        given["training"] |= TRAINING[model]
    settings = Settings.from_dict(given)
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split)
    if protocol == "by_time":
        before = replace(dataset, interactions=parts.train_and_valid)
        parts = replace(parts, valid=last_items(before, parts.valid), test=last_items(dataset, parts.test))
    if model == "baselines":
        fitted = fit_baselines(dataset, parts, settings)
        print(f"{protocol}: {fitted.selected}", flush=True)
        retrievers = fitted.retrievers
    else:
        retrievers = {f"softmax_dnn, {model}": network(dataset, parts, settings, console)}
    found = {name: figures_of(one, parts.test) for name, one in retrievers.items()}
    seconds = time.perf_counter() - started
    for name, (hit, ndcg) in found.items():
        print(
            f"{protocol} {name} seed {seed}: test hit_rate@10 {hit:.4f} ndcg@10 {ndcg:.4f}; {seconds:.0f} s", flush=True
        )
    return found


def last_items(dataset: Dataset, after_cut: Holdout) -> Holdout:
    """Each person's last item, of those who took it when or after the first of ``after_cut`` was asked."""
    assert after_cut.queries.time is not None
    last = split(dataset, SplitSettings(history="in_order")).test
    assert last.queries.time is not None
    rows = np.flatnonzero(last.queries.time >= after_cut.queries.time.min())
    return last.take(rows)


def network(dataset: Dataset, parts: Split, settings: Settings, console: Console | None) -> Retriever:
    """Fitted on the training part, epochs selected on validation."""
    selection = fit_for_selection(dataset, parts.train, parts.valid, settings, console)
    assert selection.run is not None
    seconds = np.median([epoch.seconds for epoch in selection.run.epochs])
    print(f"validation ndcg@10 {selection.figure:.4f} in epoch {selection.run.best_epoch}, {seconds:.1f} s an epoch")
    return selection.retriever


def figures_of(retriever: Retriever, holdout: Holdout) -> tuple[float, float]:
    ranks = corpus_ranks(retriever, holdout)
    return mean(ranks, "hit_rate@10"), mean(ranks, "ndcg@10")


def show(protocol: str, rows: dict[str, list[tuple[float, float]]]) -> None:
    table = Table("model", "hit_rate@10", "ndcg@10", "by seed (ndcg@10)", title=f"ml-1m, {protocol}; {machine()}")
    for name, figures in rows.items():
        hit, ndcg = np.mean(figures, axis=0)
        table.add_row(name, f"{hit:.4f}", f"{ndcg:.4f}", " ".join(f"{one:.4f}" for _, one in figures))
    if protocol == "in_order":
        for name, (hit, ndcg) in PUBLISHED.items():
            table.add_row(f"{name} (published)", f"{hit:.4f}", f"{ndcg:.4f}", "", style="dim")
    Console(width=110).print(table)
    print(f"peak memory of the process so far {peak_mb():,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
