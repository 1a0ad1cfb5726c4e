"""News clicks asked at their moments: the period, the days' cuts, and figures among what was published by then.

What ``benchmarks.in_batch_ablation`` measures with; its head tells the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.preparation import prepare
from shortlist.data.ragged import Ragged
from shortlist.data.sources import folder_of, known_dataset
from shortlist.data.splitting import Holdout, Split, split
from shortlist.evaluation.metrics import METRICS
from shortlist.models.base import Retriever
from shortlist.retrieval import Candidates, ExactIndex
from shortlist.settings import Settings

VALID_FROM, TEST_FROM = "2017-10-15", "2017-10-16"  # UTC
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
            published = Candidates.shared(self.published < self.moments[rows, None], np.arange(len(rows)))
            candidates = Candidates(self.holdout.seen.take(rows)) & published
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
