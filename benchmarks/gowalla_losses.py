"""LightGCN protocol on Gowalla, one row a loss: what the same matrix factorization learns from each.

    python -m benchmarks.gowalla_losses [--rows full_softmax bpr ...] [--epochs 12] [--seeds 1] [--set section.key=json ...]

The model is ``two_tower`` with a vector for every user (a feature of kind ``id``) and one for every item, 64-d, compared by the
cosine over a temperature: matrix factorization by gradient. Every user is a bag: all their items are targets at once, each
compared with what the user has not. ``smoothed`` adds ``target_smoothing``; ``best`` is that with 512 dimensions.

**The files are in the order of time**, the test is what came last (``benchmarks.gowalla_order``), and so late items weigh more
(``target_recency``), and validation is the latest fifth of every user's train: as long as the test is. Epochs are selected on
it by recall@20, then all of train is learned from for as long. Rate, temperature and negatives of each loss were chosen on
that part, for the softmaxes and ``bpr`` on the latest tenth (docs/LOG.md);
``--valid`` stops before the test is looked at, ``--selected`` takes the epochs as they are said and selects nothing. The
published rows know no order; ``unordered`` is ``best`` without it: all items weigh the same, and validation is a random tenth.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks._shared import corpus_ranks, machine, mean, peak_mb
from benchmarks.gowalla import OTHERS, pair
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import split
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_again, fit_for_selection, fit_retriever

SHARED: Mapping[str, Any] = {
    "model": "two_tower",
    "embedding_dim": 64,
    "item_hidden_dims": (),
    "history": "none",
    "target": "multi_hot",
    "target_share": 1.0,
    "target_weight": "item",
    "target_recency": 2.0,
    "similarity": "cosine",
    "temperature": 0.1,
}
SMOOTHED = {"target_smoothing": 0.5, "temperature": 0.07}
PRODUCT = {"similarity": "dot", "temperature": 1.0}  # logistic losses want scores without bounds
ROWS: Mapping[str, Mapping[str, Any]] = {
    "full_softmax": {"loss": "full_softmax"},
    "sampled_softmax": {"loss": "sampled_softmax", "num_negatives": 8192},
    "bpr": {"loss": "bpr", "num_negatives": 64, "hard_negatives": "pool", **PRODUCT},
    "bce": {"loss": "bce", "num_negatives": 64, **PRODUCT},
    "contrastive": {
        "loss": "contrastive",
        "num_negatives": 8192,
        "margin": 0.5,
        "negative_weight": 150.0,
    },
    "smoothed": {"loss": "full_softmax", **SMOOTHED},
    "best": {"loss": "full_softmax", "embedding_dim": 512, **SMOOTHED},
    "unordered": {"loss": "full_softmax", "embedding_dim": 512, **SMOOTHED, "target_recency": 0.0},
}


TRAINING: Mapping[str, Mapping[str, Any]] = {  # of rows that need other than the common rate and epochs
    "sampled_softmax": {"epochs": 30},
    "bpr": {"epochs": 20},
    "bce": {"epochs": 14, "batch_size": 256},
    "contrastive": {"epochs": 30, "learning_rate": 0.02},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--dataset", default="gowalla-lightgcn")
    parser.add_argument("--epochs", type=int, help="default: 12, or as many as the row's loss needs")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="SECTION.KEY=JSON")
    parser.add_argument(
        "--selected", action="store_true", help="the epochs are selected already: fit on all of train at once"
    )
    parser.add_argument("--valid", action="store_true", help="fit on train alone and show validation figures only")
    arguments = parser.parse_args()
    table = Table("loss", "recall@20 / ndcg@20", "seeds", "s", "peak MB", title=f"{arguments.dataset}; {machine()}")
    for row in arguments.rows:
        started = time.perf_counter()
        found = np.array([run(row, seed, arguments) for seed in range(arguments.seeds)])
        figures = (float(found[:, 0].mean()), float(found[:, 1].mean()))
        seconds = time.perf_counter() - started
        line = (row, pair(figures), str(len(found)), f"{seconds:.0f}", f"{peak_mb():,.0f}")
        table.add_row(*line)
        print(*line, flush=True)
    for name, peer in {} if arguments.valid else OTHERS.items():
        table.add_row(name, pair(peer), style="dim")
    Console(width=120).print(table)


def run(row: str, seed: int, arguments: argparse.Namespace) -> tuple[float, float]:
    """recall@20 and ndcg@20 of one training."""
    values: dict[str, Any] = {
        "seed": seed,
        "data": {"dataset": arguments.dataset},
        "split": {"valid_fraction": 0.1} if row == "unordered" else {"valid_fraction": 0.2, "validation": "latest"},
        "features": {"user": {"user_id": {"kind": "id"}}},
        "retriever": {**SHARED, **ROWS[row]},
        "training": {
            "epochs": 12,
            "batch_size": 512,
            "learning_rate": 0.005,
            "schedule": "cosine",
            "warmup_steps": 30,
            "average": 0.0,
            **TRAINING.get(row, {}),
            **({"epochs": arguments.epochs} if arguments.epochs else {}),
        },
        "evaluation": {"select_on": "recall@20"},
    }
    for override in arguments.overrides:
        key, _, value = override.partition("=")
        section, _, name = key.partition(".")
        values[section][name] = json.loads(value)
    settings = Settings.from_dict(values)
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split)
    console = Console(stderr=True)
    if arguments.valid:
        retriever = fit_for_selection(dataset, parts.train, parts.valid, settings, console).retriever
        ranks = corpus_ranks(retriever, parts.valid)
    elif arguments.selected:
        retriever = fit_again(dataset, parts.train_and_valid, settings, None, console)
        ranks = corpus_ranks(retriever, parts.test)
    else:
        retriever = fit_retriever(dataset, parts, settings, console).retriever
        ranks = corpus_ranks(retriever, parts.test)
    return mean(ranks, "recall@20"), mean(ranks, "ndcg@20")


if __name__ == "__main__":
    main()
