"""In-batch negatives on news clicks: alone, with log q, mixed with uniform ones, against the softmax over the corpus.

    python -m benchmarks.in_batch_ablation [--start 2017-10-14] [--seeds 3] [--rows ROW ...]

Data: ``globo-clicks`` from ``--start`` to its end, cut on the global clock: learn until 15 October 2017, select on that day,
fit anew with it, and be asked on the 16th (with the few clicks after it). A person is asked once, at the first click of the
day; the targets are all articles of the day that they had not read.

Availability: the time of publication is not known; the first click anybody made stands in for it. An article is a candidate
of a query if it was clicked before the query's moment. A target that was not is missed by every model (the share is said).

The loss rows are one network, ``softmax_dnn`` of width 64 over the history and the moment's device and place, items by id
alone, batches of 512. The two-tower rows have no ids: an item is the range its id lies in and the time of its first click,
the query also has the time of day. Learning rate and epochs of each row are selected on validation, on 5,000 of its queries,
ndcg@10, one seed; ``softmax_dnn`` has no temperature: the length of its vectors is free. New: not clicked before the test day.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait
from benchmarks._shared import machine, peak_mb
from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.preparation import prepare
from shortlist.data.ragged import Ragged
from shortlist.data.sources import folder_of, known_dataset
from shortlist.data.splitting import Holdout, Split, split
from shortlist.evaluation.metrics import METRICS
from shortlist.evaluation.statistics import compare, figures
from shortlist.models.base import Retriever
from shortlist.models.network import NetworkRetriever
from shortlist.models.popularity import Popularity
from shortlist.models.softmax_dnn import SoftmaxDNN
from shortlist.models.two_tower import TwoTower
from shortlist.retrieval import Candidates, ExactIndex
from shortlist.settings import NetworkSettings, RecentPopularitySettings, Settings, SoftmaxDNNSettings, TwoTowerSettings
from shortlist.training.batches import TrainingExamples
from shortlist.training.objective import SoftmaxObjective
from shortlist.training.progress import Progress
from shortlist.training.sampled_objective import SampledObjective
from shortlist.training.trainer import Objective, fit

VALID_FROM, TEST_FROM = "2017-10-15", "2017-10-16"  # UTC
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
    "two-tower without ids, dot": {**NO_IDS, "loss": "in_batch", "num_negatives": 1024},
    "two-tower without ids, euclidean": {
        **NO_IDS,
        "loss": "in_batch",
        "num_negatives": 1024,
        "similarity": "euclidean",
    },
}
LEARNING_RATES = {"softmax_dnn": (0.001, 0.003), "two_tower": (0.003, 0.01)}  # a tower without ids has far to go
HALF_LIVES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
FIGURES = ("ndcg@10", "recall@20", "hit_rate@10")
TAGS = ("environment", "device", "os", "country", "region", "referrer")


@dataclass(frozen=True)
class Asked:
    """Queries at their moments.

    Args:
        holdout: queries and targets.
        published: [N] milliseconds of each article's first click.
        moments: [Q] milliseconds of each query.
        counts: [N] clicks in what was learned from.
    """

    holdout: Holdout
    published: NDArray[np.int64]
    moments: NDArray[np.int64]
    counts: NDArray[np.int64]

    def some(self, number: int) -> Asked:
        """A sample of the queries."""
        rows = np.sort(np.random.default_rng(0).permutation(len(self.holdout))[:number])
        one = self.holdout
        part = Holdout(one.queries.take(rows), one.user_idx[rows], one.seen.take(rows), one.targets.take(rows))
        return Asked(part, self.published, self.moments[rows], self.counts)

    def answers(self, retriever: Retriever) -> tuple[Ragged, NDArray[np.int32]]:
        """Ranks of the targets among what was published by then, and lists of 20."""
        index, vectors = ExactIndex(retriever.encode_items()), retriever.encode_queries(self.holdout.queries)
        ranks, lists = [], []
        for start in range(0, len(vectors), 500):
            rows = np.arange(start, min(start + 500, len(vectors)))
            allowed = self.published < self.moments[rows, None]
            candidates = Candidates(self.holdout.seen.take(rows), allowed)
            found = index.examine(vectors[rows], 20, self.holdout.targets.take(rows), candidates)
            ranks.append(found.ranks.values)
            lists.append(found.item_idx)
        return Ragged(np.concatenate(ranks), self.holdout.targets.offsets), np.concatenate(lists)

    def ndcg(self, retriever: Retriever) -> float:
        return float(METRICS["ndcg"](self.answers(retriever)[0], 10).mean())


@dataclass(frozen=True)
class Row:
    """What one model did on the test: per query [Q, 3] of all targets, warm and new ones (NaN: none), and its lists."""

    values: Mapping[str, NDArray[np.float64]]
    coverage: float
    new_share: float
    new_hits: float


def measure(asked: Asked, retriever: Retriever) -> Row:
    ranks, lists = asked.answers(retriever)
    is_new = asked.counts[asked.holdout.targets.values] == 0
    values = {}
    for part, mask in (("all", np.ones_like(is_new)), ("warm", ~is_new), ("new", is_new)):
        chosen = ranks.where(mask)
        columns = [METRICS[name](chosen, int(k)) for name, k in (figure.split("@") for figure in FIGURES)]
        values[part] = np.where(chosen.lengths[:, None] > 0, np.stack(columns, axis=1), np.nan)
    shown = lists[lists >= 0]
    hits = ranks.values <= 20
    coverage = len(np.unique(shown)) / int((asked.published < asked.moments.max()).sum())
    return Row(values, coverage, float((asked.counts[shown] == 0).mean()), float(is_new[hits].mean()))


def read(start: str) -> Dataset:
    """The period, with the moment as a feature."""
    known = known_dataset("globo-clicks")
    tables = known.tables(folder_of(known.name))
    clicks = tables.interactions.filter(pc.greater_equal(tables.interactions["timestamp"], milliseconds(start)))
    context = {name: {"kind": "category"} for name in TAGS} | {"moment": {"kind": "number", "column": "timestamp"}}
    item = {"id_range": {"kind": "category"}, "id_subrange": {"kind": "category"}, "first_click": {"kind": "number"}}
    settings = Settings.from_dict({"data": {"dataset": known.name}, "features": {"context": context, "item": item}})
    return prepare(clicks, None, tables.items, settings.data, settings.features)


def milliseconds(day: str) -> int:
    return int(np.datetime64(day, "ms").astype(np.int64))


def cut(dataset: Dataset) -> Split:
    """Shares that end at the days' beginnings."""
    times = dataset.interactions.timestamp
    before_valid, before_test = ((times < milliseconds(day)).mean() for day in (VALID_FROM, TEST_FROM))
    shares = {"valid_fraction": before_test - before_valid, "test_fraction": 1 - before_test}
    settings = Settings.from_dict(
        {"split": {"method": "by_time", **{name: float(one) for name, one in shares.items()}}}
    )
    return split(dataset, settings.split)


def ask(dataset: Dataset, learned: Interactions, holdout: Holdout) -> Asked:
    """When each query was asked: at the first click after what was learned from (nobody clicks an article twice)."""
    log = dataset.interactions
    later = np.flatnonzero(log.timestamp > learned.timestamp.max())
    users, first = np.unique(log.user_idx[later], return_index=True)
    moments = log.timestamp[later[first]][np.searchsorted(users, holdout.user_idx)]
    published = dataset.display["first_click"].to_numpy().astype(np.int64)
    return Asked(holdout, published, moments, np.bincount(learned.item_idx, minlength=dataset.num_items))


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
    training = {"epochs": epochs, "patience": 1, "batch_size": 512, "learning_rate": rate}
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
    parser.add_argument("--epochs", type=int, default=4)
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
    rows: dict[str, list[Row]] = {}
    costs: dict[str, str] = {}
    for name, retriever in popularities(parts, dataset.num_items, valid.some(5000)).items():
        rows[name] = [measure(test, retriever)]
    for name in arguments.rows:
        rate, epochs = selected(name, dataset, parts, valid.some(5000), arguments.epochs)
        for seed in range(arguments.seeds):
            before = time.process_time()
            model, _ = trained(dataset, parts.train_and_valid, ROWS[name], rate, epochs, seed, None)
            seconds = (time.process_time() - before) / epochs
            rows.setdefault(name, []).append(measure(test, model))
            print(f"  {name}, seed {seed}: {shown(rows[name][-1:], 'all', 0)}", flush=True)
        costs[name] = f"{rate:g}, {epochs}, {seconds:.1f} s, {peak_mb():,.0f} MB"
    report(title, rows, costs)
    print(f"peak memory is the process's so far; {time.perf_counter() - started:.0f} s in all")


def describe(dataset: Dataset, parts: Split, test: Asked) -> None:
    targets = test.holdout.targets
    late = test.published[targets.values] >= test.moments[targets.row_of_value]
    new = test.counts[targets.values] == 0
    print(
        f"{len(dataset.interactions):,} clicks of {dataset.num_users:,} people on {dataset.num_items:,} articles; learned from "
        f"{len(parts.train):,}, with validation {len(parts.train_and_valid):,}; {len(test.holdout):,} test queries with "
        f"{len(targets.values):,} targets, {new.mean():.1%} of them new, {late.mean():.1%} not published by the query's moment; "
        f"{(test.holdout.queries.liked.lengths == 0).mean():.1%} of the queries have no history",
        flush=True,
    )


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
    return f"{found.difference / of:+.1%} ({found.low / of:+.1%} to {found.high / of:+.1%})"


if __name__ == "__main__":
    main()
