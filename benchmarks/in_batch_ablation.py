"""In-batch negatives on news clicks: alone, with log q, mixed with uniform ones, against the softmax over the corpus.

    python -m benchmarks.in_batch_ablation [--start 2017-10-14] [--seeds 3] [--rows ROW ...]

Data: ``globo-clicks`` from ``--start`` to its end, cut on the global clock: learn until 15 October 2017, select on that day,
fit anew with it, and be asked on the 16th (with the few clicks after it). A person is asked once, at the first click of the
day; the targets are all articles of the day that they had not read. 20,000 of these queries are answered.

Availability: the time of publication is not known; the first click anybody made stands in for it. An article is a candidate
of a query if it was clicked before the query's moment. A target that was not is missed by every model (the share is said).

The loss rows are one network, ``softmax_dnn`` of width 64 over the history and the moment (device, place, referrer, time), items
by id alone, batches of 512. The two-tower has no ids: an item is the range its id lies in and the time of its first click.
Learning rate and epochs of each row are selected on validation, on 3,000 of its queries, ndcg@10, one seed; all of ``--epochs``
are run, because the courses fall before they rise. ``softmax_dnn`` has no temperature: the length of its vectors is free.

Warm: clicked before the test day; new: not. Among the candidates are both, whichever targets are counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait
from benchmarks._news_clicks import FIGURES, Asked, Row, ask, cut, describe, measure, read
from benchmarks._shared import machine, peak_mb
from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.splitting import Split
from shortlist.evaluation.statistics import compare, figures
from shortlist.models.base import Retriever
from shortlist.models.network import NetworkRetriever
from shortlist.models.popularity import Popularity
from shortlist.models.softmax_dnn import SoftmaxDNN
from shortlist.models.two_tower import TwoTower
from shortlist.settings import NetworkSettings, RecentPopularitySettings, Settings, SoftmaxDNNSettings, TwoTowerSettings
from shortlist.training.batches import TrainingExamples
from shortlist.training.objective import SoftmaxObjective
from shortlist.training.pieces import Objective
from shortlist.training.progress import Progress
from shortlist.training.sampled_objective import SampledObjective
from shortlist.training.trainer import fit

SHARED = {
    "embedding_dim": 64,
    "history": "recency",
    "history_windows": (20, 5, 1),
    "dropout": 0.1,
    "history_dropout": 0.2,
}
NO_IDS = {"model": "two_tower", "item_ids": False, **SHARED}
ROWS: Mapping[str, Mapping[str, Any]] = {
    "in-batch": {"loss": "in_batch", "num_negatives": 0, "log_q": False},
    "in-batch + logQ": {"loss": "in_batch", "num_negatives": 0},
    "mixed": {"loss": "in_batch", "num_negatives": 1024, "log_q": False},
    "mixed + logQ": {"loss": "in_batch", "num_negatives": 1024},
    "full softmax": {"loss": "full_softmax"},
    "two-tower without ids": {**NO_IDS, "loss": "in_batch", "num_negatives": 1024, "similarity": "euclidean"},
}
LEARNING_RATES = {"softmax_dnn": (0.001, 0.003), "two_tower": (0.003, 0.01)}  # a tower without ids has far to go
HALF_LIVES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


def trained(
    dataset: Dataset,
    train: Interactions,
    given: Mapping[str, Any],
    rate: float,
    epochs: int,
    seed: int,
    validate: Callable[[Retriever], float] | None,
) -> tuple[NetworkRetriever, Any]:
    """One network, as ``shortlist train`` trains it, but validated on what was published by then."""
    torch.manual_seed(seed)
    base = {"data": {"dataset": "globo-clicks"}, "retriever": {"model": "softmax_dnn", **SHARED, **given}}
    training = {"epochs": epochs, "patience": epochs, "batch_size": 512, "learning_rate": rate}
    settings = Settings.from_dict({**base, "training": training})
    chosen, schema = settings.retriever, dataset.schema
    assert isinstance(chosen, NetworkSettings)
    counts = np.bincount(train.item_idx, minlength=dataset.num_items)
    model: NetworkRetriever
    if isinstance(chosen, TwoTowerSettings):
        model = TwoTower(dataset.num_items, schema.query, chosen, counts, schema.side("item"), dataset.item_features)
    else:
        assert isinstance(chosen, SoftmaxDNNSettings)
        model = SoftmaxDNN(dataset.num_items, schema.query, chosen, counts)
    examples = TrainingExamples(dataset, train, chosen.target_window)
    objective: Objective = (
        SoftmaxObjective(model, examples, remove_seen=True)
        if chosen.loss == "full_softmax"
        else SampledObjective(model, examples, chosen, counts, remove_seen=True)
    )
    check = None if validate is None else partial(validate, model)
    return model, fit(model, objective, check, settings.training, seed=seed, progress=Progress())


def selected(name: str, dataset: Dataset, parts: Split, valid: Asked, most: int) -> tuple[float, int]:
    """Learning rate and epochs."""
    tried = []
    for rate in LEARNING_RATES[ROWS[name].get("model", "softmax_dnn")]:
        _, run = trained(dataset, parts.train, ROWS[name], rate, most, 0, valid.ndcg)
        tried.append((run.best_validation, rate, run.best_epoch))
        course = " ".join(f"{one.validation:.4f}" for one in run.epochs)
        seconds = np.mean([one.seconds for one in run.epochs])
        print(f"  {name}: rate {rate:g}: {course}; {seconds:.1f} s an epoch with validation", flush=True)
    _, rate, epochs = max(tried)
    return rate, epochs


def popularities(parts: Split, num_items: int, valid: Asked) -> dict[str, Retriever]:
    def recent(train: Interactions, days: float) -> Popularity:
        return Popularity.fit_recent(train, num_items, RecentPopularitySettings(half_life_days=days))

    found = {days: valid.ndcg(recent(parts.train, days)) for days in HALF_LIVES}
    best = max(found, key=lambda days: found[days])
    print("recent popularity, ndcg@10 on validation by half-life in days:", found)
    learned = parts.train_and_valid
    return {
        "popularity": Popularity.fit(learned, num_items),
        f"recent popularity, {best:g} days": recent(learned, best),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--start", default="2017-10-14")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--queries", type=int, default=20_000, help="of the test, drawn at random")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    arguments = parser.parse_args()
    started, title = time.perf_counter(), f"globo-clicks from {arguments.start}; {machine()}"
    dataset = read(arguments.start)
    parts = cut(dataset)
    valid, test = (
        ask(dataset, learned, holdout)
        for learned, holdout in ((parts.train, parts.valid), (parts.train_and_valid, parts.test))
    )
    describe(dataset, parts, test)
    valid, test = valid.some(3000), test.some(arguments.queries)
    rows: dict[str, list[Row]] = {}
    costs: dict[str, str] = {}
    for name, retriever in popularities(parts, dataset.num_items, valid).items():
        rows[name] = [measure(test, retriever)]
    for name in arguments.rows:
        forget_peak()
        rate, epochs = selected(name, dataset, parts, valid, arguments.epochs)
        for seed in range(arguments.seeds):
            before = time.process_time()
            model, _ = trained(dataset, parts.train_and_valid, ROWS[name], rate, epochs, seed, None)
            seconds = (time.process_time() - before) / epochs
            rows.setdefault(name, []).append(measure(test, model))
            print(f"  {name}, seed {seed}: {shown(rows[name][-1:], 'all', 0)}", flush=True)
        costs[name] = f"{rate:g}, {epochs}, {seconds:.1f} s, {peak_mb():,.0f} MB"
    report(title, rows, costs)
    print(f"{time.perf_counter() - started:.0f} s in all")


def forget_peak() -> None:
    """Each row's peak of memory is its own, where Linux lets a process forget the one before."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def report(title: str, rows: Mapping[str, Sequence[Row]], costs: Mapping[str, str]) -> None:
    for part in ("all", "warm", "new"):
        table = Table("model", *FIGURES, "to full softmax (ndcg@10)", title=f"{part} targets; {title}")
        for name, found in rows.items():
            table.add_row(name, *(shown(found, part, column) for column in range(3)), difference(rows, name, part))
        Console(width=150).print(table)
    table = Table(
        "model", "coverage@20", "new of recommended", "new of hits@20", "rate, epochs, CPU s an epoch, peak memory"
    )
    for name, found in rows.items():
        shares = (np.mean([getattr(one, what) for one in found]) for what in ("coverage", "new_share", "new_hits"))
        table.add_row(name, *(f"{share:.2%}" for share in shares), costs.get(name, ""))
    Console(width=150).print(table)


def shown(found: Sequence[Row], part: str, column: int) -> str:
    """Mean over seeds, the 95 % interval of the queries, and the deviation over seeds."""
    values = np.stack([one.values[part][:, column] for one in found])
    figure = figures(values.mean(axis=0)[:, None])[0]
    spread = f" ± {np.nanmean(values, axis=1).std(ddof=1):.4f}" if len(found) > 1 else ""
    return f"{figure.value:.4f} ({figure.low:.4f}-{figure.high:.4f}){spread}"


def difference(rows: Mapping[str, Sequence[Row]], name: str, part: str) -> str:
    if "full softmax" not in rows or name == "full softmax":
        return ""
    mine, full = (np.mean([one.values[part][:, 0] for one in rows[one]], axis=0) for one in (name, "full softmax"))
    found, of = compare(mine, full), float(np.nanmean(full))
    if of == 0:
        return ""
    return f"{found.difference / of:+.1%} ({found.low / of:+.1%} to {found.high / of:+.1%})"


if __name__ == "__main__":
    main()
