"""Protocol of Microsoft Recommenders' comparison on MovieLens 100K: 75/25 at random per user, k = 10, seen removed.

    python -m benchmarks.ml_100k_stratified [--seeds 42 43 44]

All ratings are positive; nDCG@10 has gains 0 and 1 and an ideal list of min(10, test items) places, as theirs. Each seed is a
split of its own (ours: theirs cannot be rebuilt from its seed without their library).

How settings are chosen: for each seed anew, on a tenth of all rows (drawn per user from the 75 %) by ndcg@10; the chosen
settings are then fitted on the whole 75 % and measured on the 25 % once. Grids stand in ``STAGES``.

Published rows: Microsoft Recommenders, examples/06_benchmarks/movielens.ipynb, one seed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks._shared import Chosen, Stage, corpus_ranks, fit, grid, machine, mean, peak_mb, search, timed
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import Holdout, split
from shortlist.models.base import Retriever
from shortlist.settings import Settings

PUBLISHED = {"SAR": 0.3825, "NCF": 0.3961, "LightGCN": 0.4198, "BPR": 0.4420, "BiVAE": 0.4751}
FIGURES = ("ndcg@10", "precision@10", "recall@10")
STAGES: Mapping[str, Sequence[Stage]] = {
    "popularity": [],
    "item_knn": [
        lambda _: grid(neighbours=(20, 50, 100, 300), shrinkage=(0, 10, 50), exponent=(0.4, 0.5, 0.6, 0.7)),
    ],
    "ease": [lambda _: grid(regularization=(50, 100, 150, 200, 300, 500, 700, 1000))],
    "mf": [
        lambda _: grid(
            embedding_dim=(32, 64, 128),
            regularization=(0.003, 0.01, 0.02, 0.04),
            unobserved_weight=(0.1, 0.3, 1.0, 3.0),
        ),
        lambda found: [*({**found, "iterations": value} for value in (8, 24)), {**found, "init_scale": 1.0}],
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    arguments = parser.parse_args()
    started, title = time.perf_counter(), f"ml-100k, {len(arguments.seeds)} seeds; {machine()}"
    settings = Settings.from_dict(
        {
            "data": {"dataset": "ml-100k"},
            "split": {"method": "random", "stratify": "user", "test_fraction": 0.25, "valid_fraction": 0.1},
        }
    )
    dataset = load_dataset(settings)
    found: dict[str, list[list[float]]] = {name: [] for name in STAGES}
    seconds: dict[str, list[float]] = {name: [] for name in STAGES}
    for seed in arguments.seeds:
        parts = split(dataset, settings.split, seed)
        print(f"seed {seed}: {parts.description}")

        def judge(retriever: Retriever, valid: Holdout = parts.valid) -> dict[str, float]:
            return {"ndcg@10": mean(corpus_ranks(retriever, valid), "ndcg@10")}

        for name, stages in STAGES.items():
            chosen: Chosen = {}
            if stages:
                try_on = partial(fit, name, train=parts.train, dataset=dataset, settings=settings, seed=seed)
                chosen = search(name, stages, try_on, judge).chosen
            retriever, took = timed(partial(fit, name, chosen, parts.train_and_valid, dataset, settings, seed))
            ranks = corpus_ranks(retriever, parts.test)
            found[name].append([mean(ranks, figure) for figure in FIGURES])
            seconds[name].append(took)
    table = Table("model", *FIGURES, "ndcg@10 by seed", "less BiVAE's", "fit s", title=title)
    for name, figures in found.items():
        ndcg, precision, recall = np.mean(figures, axis=0)
        table.add_row(
            name,
            *(f"{one:.4f}" for one in (ndcg, precision, recall)),
            " ".join(f"{one:.4f}" for one, *_ in figures),
            f"{ndcg - PUBLISHED['BiVAE']:+.4f}",
            f"{np.median(seconds[name]):.2f}",
        )
    for name, ndcg in PUBLISHED.items():
        table.add_row(f"{name} (published)", f"{ndcg:.4f}", style="dim")
    Console(width=120).print(table)
    print(f"peak memory {peak_mb():,.0f} MB; {time.perf_counter() - started:.0f} s in all")


if __name__ == "__main__":
    main()
