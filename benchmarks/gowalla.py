"""LightGCN protocol on Gowalla: given train and test, the whole corpus of 40,981 places, train items removed.

    python -m benchmarks.gowalla [--models popularity item_knn mf ease]

Recall@20 divides by all of a user's test items (``recall``); NDCG@20 is that of LightGCN's code, whose ideal list has
min(20, test items) places (``ndcg``).

How settings are chosen: the published split has no validation part. A tenth of every user's train (nothing of users with fewer
than ten) is held out at random, seed 0; recall@20 on it selects, and the chosen settings are fitted on all of train. EASE is
not searched: one fit takes minutes and gigabytes, so that it takes the published λ. mf has one seed of starting vectors; its
search goes to 1024 factors, for their number matters more here than other settings.

Published rows: BARS, docs/Matching/leaderboard/gowalla_m1.csv of its repository (Zhu et al., SIGIR 2022); BSPM: its paper.

BARS's item-kNN is another variant (its log says ``enable_average_bias``), a peer and no row to reproduce.

At the end: seconds and extra peak memory of the full evaluation of all users by mf, in a process that does nothing else.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from functools import partial

from rich.console import Console
from rich.table import Table

from benchmarks._shared import (
    KS,
    Chosen,
    Stage,
    corpus_ranks,
    evaluation_cost,
    fit,
    grid,
    machine,
    mean,
    peak_mb,
    search,
    timed,
)
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import split
from shortlist.models.base import Retriever
from shortlist.settings import Settings

PEERS = {"item_knn": (0.1570, 0.1214), "ease": (0.1765, 0.1467)}  # recall@20, ndcg@20 of the same models
OTHERS = {
    "MF-BPR": (0.1627, 0.1378),
    "Mult-VAE": (0.1641, 0.1335),
    "YoutubeDNN, sampled softmax": (0.1754, 0.1473),
    "LightGCN": (0.1820, 0.1547),
    "SimpleX": (0.1872, 0.1557),
    "UltraGCN": (0.1862, 0.1580),
    "BSPM, training-free": (0.1920, 0.1597),
}
STAGES: Mapping[str, Sequence[Stage]] = {
    "popularity": [],
    "item_knn": [
        lambda _: grid(neighbours=(100,), shrinkage=(0, 10), exponent=(0.4, 0.5, 0.6)),
        lambda found: [{**found, "user_exponent": value} for value in (0.5, 1.0)],
        lambda _: grid(neighbours=(100,), shrinkage=(0,), exponent=(0.4, 0.5), user_exponent=(0.75, 1.0)),
        lambda found: [{**found, "neighbours": value} for value in (30, 300, 1000)],
    ],
    "mf": [
        lambda _: grid(
            embedding_dim=(128,),
            iterations=(12,),
            regularization=(0.001, 0.003, 0.01),
            unobserved_weight=(0.01, 0.03, 0.1),
        ),
        lambda found: [{**found, "embedding_dim": value} for value in (256, 512, 1024)],
        lambda found: [
            {**found, name: found[name] * factor}
            for name in ("regularization", "unobserved_weight")
            for factor in (0.5, 2)
        ],
        lambda found: [{**found, "iterations": 20}],
    ],
    "ease": [],
}
AS_PUBLISHED: Mapping[str, Chosen] = {"ease": {"regularization": 80}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=list(STAGES), choices=list(STAGES))
    arguments = parser.parse_args()
    started, title = time.perf_counter(), f"gowalla-lightgcn; {machine()}"
    settings = Settings.from_dict({"data": {"dataset": "gowalla-lightgcn"}, "split": {"valid_fraction": 0.1}})
    assert settings.split.stratify == "user"
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split)

    def judge(retriever: Retriever) -> dict[str, float]:
        ranks = corpus_ranks(retriever, parts.valid)
        return {"recall@20": mean(ranks, "recall@20"), "ndcg@20": mean(ranks, "ndcg@20")}

    table = Table("model", "recall@20 / ndcg@20", "published", "difference", "fit s", "peak MB", title=title)
    cost: dict[str, float] = {}
    for name in arguments.models:
        rows: list[tuple[str, Chosen]] = [(name, {})] if name == "popularity" else []
        if STAGES[name]:
            try_on = partial(fit, name, train=parts.train, dataset=dataset, settings=settings)
            rows.append((name, search(name, STAGES[name], try_on, judge).chosen))
        if name in AS_PUBLISHED:
            rows.append((f"{name}, settings as published", AS_PUBLISHED[name]))
        for label, chosen in rows:
            retriever, seconds = timed(partial(fit, name, chosen, parts.train_and_valid, dataset, settings))
            ranks = corpus_ranks(retriever, parts.test)
            found = (mean(ranks, "recall@20"), mean(ranks, "ndcg@20"))
            peer = PEERS.get(name)
            difference = "" if peer is None else f"{found[0] - peer[0]:+.4f} / {found[1] - peer[1]:+.4f}"
            row = (label, pair(found), pair(peer), difference, f"{seconds:.1f}", f"{peak_mb():,.0f}")
            table.add_row(*row)
            print(*row, flush=True)
            if name == "mf":
                cost = evaluation_cost(retriever, parts.test)
            del retriever
    for name, peer in OTHERS.items():
        table.add_row(name, "", pair(peer), style="dim")
    Console(width=120).print(table)
    if cost:
        print(
            f"full evaluation of mf: {len(parts.test):,} users × {dataset.num_items:,} places, lists and ranks in "
            f"{cost['evaluate']:.1f} s ({cost['encode']:.1f} s of it to encode the queries), all accuracy metrics at {KS} in "
            f"{cost['metrics']:.1f} s; extra peak memory {cost['mb']:,.0f} MB"
        )
    print(f"peak memory is the process's so far; {time.perf_counter() - started:.0f} s in all")


def pair(figures: tuple[float, float] | None) -> str:
    return "" if figures is None else f"{figures[0]:.4f} / {figures[1]:.4f}"


if __name__ == "__main__":
    main()
