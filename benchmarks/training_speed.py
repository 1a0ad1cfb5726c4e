"""Seconds of training beside a plain PyTorch loop, RecBole and RecTools: same data, same width, same number of threads.

    python -m benchmarks.training_speed [--datasets ml-100k ml-1m] [--threads 2] [--peers .peers] [--batches 20]

Two families, each with its nearest peers:

- a causal transformer (64-d, 2 blocks, 1 head, length 200, softmax over the whole corpus at every position): ``softmax_dnn`` with
  ``history = "transformer"``; a plain loop of PyTorch's own layers (``loops/plain_transformer.py``); RecTools' SASRec with
  its softmax loss; RecBole's SASRec with its cross-entropy, which makes an example of every prefix;
- a bag of items (multi-hot targets): ``softmax_dnn`` with ``target = "multi_hot"``; RecBole's MultiVAE (its 600 hidden units).

Where an epoch is long, some batches are timed after one that warms up, and the epoch is their mean times the number of
batches (``--batches``). Of a transformer the ratio is that of seconds a target learned from: peers take the last 200 items of
a user, ours takes all. Of bags it is that of seconds an epoch, which is once everybody: ours holds out a share of each bag as
the target, the peer predicts all of it. Peers live in environments of their own, made where they are missing; every row is a
process of its own, one after the other. RecTools and RecBole run with their own defaults for everything not named.

The floor is the matrix products of the softmax and of the layers, twice more for the gradient, at the rate one large
product reaches on this machine at this moment.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait
from benchmarks._shared import machine
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import split
from shortlist.settings import NetworkSettings, Settings
from shortlist.training.averaging import WeightAverage
from shortlist.training.networks import objective_of, untrained
from shortlist.training.pieces import Pieces
from shortlist.training.trainer import optimizer_of

ROOT = Path(__file__).parents[1]
DIM = 64
REQUIREMENTS = {
    "recbole": ["setuptools<81", "numpy<2", "pandas<3", "recbole==1.2.1"],
    "rectools": ["rectools[torch]==0.19.0"],
}
OURS: Mapping[str, dict[str, Any]] = {
    "transformer": {"retriever": {"history": "transformer"}},
    "bag": {"retriever": {"target": "multi_hot", "history_windows": [10_000]}},
}
PEERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "transformer": {
        "plain PyTorch": ("", "plain_transformer.py"),
        "RecTools SASRec": ("rectools", "rectools_epoch.py", "SASRec"),
        "RecBole SASRec": ("recbole", "recbole_epoch.py", "SASRec"),
    },
    "bag": {"RecBole MultiVAE": ("recbole", "recbole_epoch.py", "MultiVAE")},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--datasets", nargs="+", default=["ml-100k", "ml-1m"])
    parser.add_argument("--families", nargs="+", default=list(OURS), choices=list(OURS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers")
    parser.add_argument(
        "--ours", nargs=2, metavar=("DATASET", "FAMILY"), help=argparse.SUPPRESS
    )  # a process of its own
    arguments = parser.parse_args()
    if arguments.ours:
        print(json.dumps(ours(*arguments.ours, arguments.batches)))
        return
    started = time.perf_counter()
    table = Table("data", "family", "model", "targets", "s an epoch", "µs a target", "ours is faster by", "floor s")
    table.title = f"{arguments.threads} threads; {machine()}"
    for dataset in arguments.datasets:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "log.npz"
            save(dataset, file)
            for family in arguments.families:
                mine = [
                    "-m",
                    "benchmarks.training_speed",
                    "--ours",
                    dataset,
                    family,
                    "--batches",
                    str(arguments.batches),
                ]
                found = {"shortlist": run([sys.executable, *mine], arguments.threads)}
                for name, (environment, script, *model) in PEERS[family].items():
                    python = peer(arguments.peers, environment) if environment else Path(sys.executable)
                    loop = [
                        str(ROOT / "benchmarks/loops" / script),
                        str(file),
                        *model,
                        str(DIM),
                        str(arguments.batches),
                    ]
                    found[name] = run([str(python), *loop], arguments.threads)
                per_target = {name: one["seconds"] / one["targets"] for name, one in found.items()}
                cost = per_target if family == "transformer" else {name: one["seconds"] for name, one in found.items()}
                for name, one in found.items():
                    faster = "" if name == "shortlist" else f"{cost[name] / cost['shortlist']:.1f} ×"
                    row = (f"{one['targets']:,}", f"{one['seconds']:.2f}", f"{1e6 * per_target[name]:.1f}", faster)
                    table.add_row(dataset, family, name, *row, f"{one['floor']:.2f}" if "floor" in one else "")
                    print(dataset, family, name, *row, f"{time.perf_counter() - started:.0f} s", flush=True)
    Console(width=120).print(table)


def settings_of(dataset: str, family: str) -> Settings:
    given = {"data": {"dataset": dataset}, "features": {"user": {}, "item": {}}, "split": {"history": "in_order"}}
    return Settings.from_dict({**given, **OURS[family]})


def save(dataset: str, file: Path) -> None:
    """The training part for the peers: every user's items in order."""
    settings = settings_of(dataset, "transformer")
    loaded = load_dataset(settings)
    train = split(loaded, settings.split).train.positives()
    np.savez(file, values=train.values, offsets=train.offsets, num_items=loaded.num_items)


def ours(dataset: str, family: str, batches: int) -> dict[str, float]:
    """Our own epoch, as ``shortlist train`` runs it without validation."""
    settings = settings_of(dataset, family)
    loaded = load_dataset(settings)
    train = split(loaded, settings.split).train
    assert isinstance(settings.retriever, NetworkSettings)
    model = untrained(loaded, train, settings.retriever)
    objective = objective_of(model, loaded, train, settings.retriever, settings)
    optimizer, average = optimizer_of(model, settings.training), WeightAverage(model, settings.training.average)
    rng = np.random.default_rng(0)
    model.train()
    seconds = targets = 0.0
    with Pieces.at_work(model, objective, settings.training.batch_size) as pieces:
        pieces.seed(0)
        steps = (step for _ in count() for step in pieces.steps(rng))  # as many epochs as it takes
        started = time.perf_counter()
        for number, step in enumerate(islice(steps, batches + 1)):
            pieces.loss_and_gradient(step)
            optimizer.step()
            average.update()
            now = time.perf_counter()
            if number:  # the first warms up
                seconds, targets = seconds + now - started, targets + sum(len(piece.targets.values) for piece in step)
            started = now
    whole = len(objective.examples)
    return {
        "seconds": seconds / targets * whole,
        "targets": whole,
        "floor": floor(family, loaded.num_items, train, whole),
    }


def floor(family: str, num_items: int, train: Any, targets: int) -> float:
    """Seconds of the matrix products alone."""
    queries = targets if family == "transformer" else train.num_users
    # a block is 4 D² in attention and 8 D² in its hidden layer; ψ's own layers are 3 D·128 wide
    layers = 2 * 12 * DIM**2 if family == "transformer" else 0
    products = queries * (num_items * DIM + layers) * 2 * 3
    a, b = torch.randn(2048, DIM), torch.randn(DIM, 4096)
    out = torch.empty(2048, 4096)
    best = np.inf
    for _ in range(10):
        started = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - started)
    return float(products * best / (2 * 2048 * 4096 * DIM))


def peer(folder: Path, name: str) -> Path:
    """Its Python; makes the environment where there is none."""
    python = folder / name / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        for wanted in ([f"torch=={torch.__version__.split('+')[0]}"], REQUIREMENTS[name]):
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python


def run(command: list[str], threads: int) -> dict[str, float]:
    """The last line it prints."""
    counts = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **counts}, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
