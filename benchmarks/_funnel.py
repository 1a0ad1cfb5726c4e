"""Where ``benchmarks.funnel`` stands: data sets cut, figures by query that are kept, the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._news_clicks import cut, milliseconds, read
from benchmarks._shared import peak_mb, say
from shortlist.data.availability import Availability
from shortlist.data.dataset import Dataset
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import Holdout, Split, split
from shortlist.evaluation.metrics import METRICS
from shortlist.evaluation.statistics import compare, figures
from shortlist.settings import Settings

FIGURES = ("ndcg@10", "hit_rate@10", "recall@20", "mrr@10")


@dataclass(frozen=True)
class Ground:
    """A data set, cut."""

    dataset: Dataset
    parts: Split
    settings: Mapping[str, Any]


def ground(protocol: str, start: str) -> Ground:
    if protocol == "news":
        dataset = read(start)
        parts = cut(dataset)
        published = (
            dataset.display["first_click"].to_numpy().astype(np.float64) + 1
        )  # the first click itself is too early
        availability = Availability(published, np.full(dataset.num_items, np.inf))
        valid, test = (replace(one, availability=availability) for one in (parts.valid, some(parts.test, 8_000)))
        parts = replace(parts, valid=some(valid, 3_000), test=test)
        given = {"data": {"dataset": "globo-clicks"}, "split": {"method": "by_time"}}
        # the ranker learns from a whole day, as it will be asked on one; and from each person once
        times = parts.train.timestamp
        share = float((times >= milliseconds("2017-10-14")).mean())
        days = round(float(milliseconds("2017-10-15") - times.min()) / 86_400_000)
        given["ranker"] = {"share": share, "target_window": 100, "folds": max(1, days - 2)}
        return Ground(replace(dataset, availability=availability), parts, given)
    given = {"data": {"dataset": "ml-1m", "feedback": {"disliked": "value <= 2"}}, "split": {"history": protocol}}
    settings = Settings.from_dict(given)
    dataset = load_dataset(settings)
    return Ground(dataset, split(dataset, settings.split), given)


def some(holdout: Holdout, number: int) -> Holdout:
    """A sample of the queries, always the same."""
    return holdout.take(np.sort(np.random.default_rng(0).permutation(len(holdout))[:number]))


def values(ranks: Any) -> NDArray[np.float64]:
    """[Q, figures]."""
    names = (figure.split("@") for figure in FIGURES)
    return np.stack([METRICS[name](ranks, int(k)) for name, k in names], axis=1)


class Kept:
    """Figures by query of what has been run; with a folder, also of earlier runs, so that a long one goes on."""

    def __init__(self, folder: Path | None, ground: str) -> None:
        self.folder, self.ground = folder, ground
        self.rows: dict[str, list[NDArray[np.float64]]] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for file in sorted(folder.glob(f"{ground}.*.npy")):
                self.rows.setdefault(file.name.split(".")[-3], []).append(np.load(file))

    def has(self, name: str, seed: int) -> bool:
        return self.folder is not None and self._file(name, seed).is_file()

    def put(self, name: str, seed: int, one: NDArray[np.float64]) -> None:
        if not self.has(name, seed):
            self.rows.setdefault(name, []).append(one)
        if self.folder is not None:
            np.save(self._file(name, seed), one)

    def _file(self, name: str, seed: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{self.ground}.{name}.{seed}.npy"


def say_reliability(found: Mapping[str, Any]) -> str:
    return say({name: found[name] for name in ("ece", "relative", "log_loss")})


def show(title: str, retriever: str, rows: Mapping[str, Sequence[NDArray[np.float64]]]) -> None:
    table = Table("", *FIGURES, "ndcg@10 to the retriever", "by seed", title=title)
    alone = np.mean(rows[retriever], axis=0)
    for name in [retriever, *(one for one in rows if one != retriever)]:
        mean = np.mean(rows[name], axis=0)
        shown = [f"{one.value:.4f} ({one.low:.4f}-{one.high:.4f})" for one in figures(mean)]
        difference = ""
        if name != retriever:
            found, of = compare(mean[:, 0], alone[:, 0]), float(np.nanmean(alone[:, 0]))
            difference = f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}], {found.difference / of:+.1%}"
        by_seed = " ".join(f"{np.nanmean(one[:, 0]):.4f}" for one in rows[name])
        table.add_row(name, *shown, difference, by_seed)
    Console(width=200).print(table)
    print(f"peak memory of the process so far {peak_mb():,.0f} MB", flush=True)
