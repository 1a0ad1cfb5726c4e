"""NeuMF: samples a second beside RecBole's and a plain PyTorch loop, and the seconds of scoring everything for everybody.

    python -m benchmarks.ncf_speed [--datasets ml-100k ncf-ml-1m] [--threads 2] [--peers .peers] [--batches 40] [--rounds 3]

All have 64 factors (GMF 64, vectors of the MLP 128, tower 256 → 128 → 64), four uniform negatives a positive, logistic loss and
Adam; a sample is a pair and its label. RecBole keeps its own defaults for everything else (batches of 2,048 positives); the
plain loop is ``loops/plain_ncf.py``. Each is a process of its own, one after the other, ``--rounds`` times around; the best of
each counts. Ours is an epoch as ``shortlist train`` runs it, without validation: batches drawn, gradient in two pieces on two
threads, AdamW, average of the weights.

The floor is the matrix products that are left of the tower, forwards and backwards, at the rate that one such product reaches on
this machine at this moment: of a sample those of the layers above the first, of a batch those of the first, once a user and
once an item of it.

Scoring: every user's logits of the whole corpus by NumPy, from folded arrays; seconds, and memory above what the arrays take.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait
from benchmarks._shared import machine, peak_mb
from benchmarks.training_speed import ROOT, peer, run
from shortlist.data.interactions import Interactions
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import split
from shortlist.models.ncf import NCF
from shortlist.models.ncf_network import NCFNetwork
from shortlist.settings import NCFSettings, Settings, TrainingSettings
from shortlist.training.averaging import WeightAverage
from shortlist.training.ncf_objective import NCFObjective
from shortlist.training.pieces import Pieces
from shortlist.training.trainer import optimizer_of

CHOSEN = NCFSettings(model="neumf", embedding_dim=64, num_negatives=4)
BATCH = 4096


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--datasets", nargs="+", default=["ml-100k", "ncf-ml-1m"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers")
    parser.add_argument("--ours", metavar="DATASET", help=argparse.SUPPRESS)  # a process of its own
    arguments = parser.parse_args()
    if arguments.ours:
        print(json.dumps(ours(arguments.ours, arguments.batches)))
        return
    for dataset in arguments.datasets:
        compare(dataset, arguments)


def compare(dataset: str, arguments: argparse.Namespace) -> None:
    """One table."""
    batches, width = str(arguments.batches), str(CHOSEN.embedding_dim)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.npz"
        train, num_items = training_part(dataset)
        likes = train.positives()
        np.savez(file, values=likes.values, offsets=likes.offsets, num_items=num_items)
        loops = str(ROOT / "benchmarks/loops")
        commands = {
            "shortlist": [sys.executable, "-m", "benchmarks.ncf_speed", "--ours", dataset, "--batches", batches],
            "plain PyTorch": [sys.executable, f"{loops}/plain_ncf.py", str(file), width, batches],
            "RecBole NeuMF": [
                str(peer(arguments.peers, "recbole")),
                f"{loops}/recbole_epoch.py",
                str(file),
                "NeuMF",
                width,
                batches,
            ],
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                found[name].append(run(command, arguments.threads))
                print(dataset, name, f"{found[name][-1]['seconds']:.2f} s an epoch", file=sys.stderr, flush=True)
    best = {name: min(runs, key=lambda one: one["seconds"]) for name, runs in found.items()}
    table = Table("model", "samples a second", "s an epoch", "of all rounds", "ours is faster by", "floor s")
    table.title = f"{dataset}; {arguments.threads} threads; {machine()}"
    mine = best["shortlist"]
    for name, one in best.items():
        samples = one["targets"] * (1 + CHOSEN.num_negatives)
        cost = one["seconds"] / one["targets"] / (mine["seconds"] / mine["targets"])
        rounds = ", ".join(f"{each['seconds']:.2f}" for each in found[name])
        floor = f"{one['floor']:.2f}" if "floor" in one else ""
        row = (name, f"{samples / one['seconds']:,.0f}", f"{one['seconds']:.2f}", rounds)
        table.add_row(*row, "" if name == "shortlist" else f"{cost:.1f} ×", floor)
    Console(width=120).print(table)
    everybody = f"all {mine['users']:,.0f} users × {num_items:,} items"
    print(f"{dataset}: {everybody} scored in {mine['score_seconds']:.1f} s, {mine['score_mb']:.0f} MB")


def training_part(dataset: str) -> tuple[Interactions, int]:
    """What is learned from, and N."""
    settings = Settings.from_dict({"data": {"dataset": dataset}, "features": {"user": {}, "item": {}}})
    loaded = load_dataset(settings)
    return split(loaded, settings.split).train, loaded.num_items


def ours(dataset: str, batches: int) -> dict[str, float]:
    """An epoch of ours, its floor, and the seconds and memory of scoring."""
    train, num_items = training_part(dataset)
    torch.manual_seed(0)
    network = NCFNetwork(train.num_users, num_items, CHOSEN)
    objective = NCFObjective(network, train, CHOSEN.num_negatives, CHOSEN.regularization)
    optimizer = optimizer_of(network, TrainingSettings(learning_rate=CHOSEN.learning_rate))
    average = WeightAverage(network, CHOSEN.average)
    seconds, done, samples = 0.0, 0, []
    with Pieces.at_work(network, objective, BATCH) as pieces:
        steps = (step for epoch in range(1000) for step in pieces.steps(np.random.default_rng(epoch)))
        started = time.perf_counter()
        for number, step in enumerate(islice(steps, batches + 1)):
            pieces.loss_and_gradient(step)
            optimizer.step()
            average.update()
            now = time.perf_counter()
            if number:  # the first compiles, or reads what was compiled
                seconds, done = seconds + now - started, done + sum(map(len, step))
                samples.append(step)
            started = now
    scoring = score_everything(NCF(CHOSEN.model, network.folded()))
    epoch = {
        "seconds": seconds / done * len(objective),
        "targets": float(len(objective)),
        "users": float(train.num_users),
    }
    return {**epoch, "floor": floor(network, samples[0], len(objective)), **scoring}


def floor(network: NCFNetwork, step: list[Any], positives: int) -> float:
    """Seconds of an epoch's matrix products alone, on the threads there are."""
    width = network.mlp_users.shape[1]
    first, *above = [one for name, one in network.named_parameters() if name.startswith("tower") and one.ndim == 2]
    per_sample = sum(one.numel() for one in above)
    in_step = sum(piece.item_idx.size for piece in step)
    rows = sum(len(np.unique(piece.user_idx)) + len(np.unique(piece.item_idx)) for piece in step)
    products = in_step * per_sample + rows * width * len(first)
    a, b, out = torch.randn(2048, width), torch.randn(width, width // 2), torch.empty(2048, width // 2)
    best = np.inf
    for _ in range(50):
        started = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - started)
    rate = 2048 * width * (width // 2) / best  # multiply-adds a second
    return float(3 * products / rate * positives * (1 + CHOSEN.num_negatives) / in_step)


def score_everything(ncf: NCF) -> dict[str, float]:
    """All users, the whole corpus."""
    before, started, total = peak_mb(), time.perf_counter(), 0.0
    for scores in ncf.score_corpus(np.arange(ncf.num_users)):
        total += float(scores[0])
    assert np.isfinite(total)
    arrays = sum(array.nbytes for array in ncf.arrays.values()) / 1e6
    return {"score_seconds": time.perf_counter() - started, "score_mb": peak_mb() - before + arrays}


if __name__ == "__main__":
    main()
