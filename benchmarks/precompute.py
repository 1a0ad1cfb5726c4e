"""Lists of all users as one file: seconds, users a second, peak memory; and whether a killed run ends in the same bytes.

    python -m benchmarks.precompute [--users 100000] [--items 1000000] [--vectors resampled gaussian] [--threads 2] [--kill]

The artifact is an mf of 64 dimensions, made in a minute. Its item vectors are

- resampled: those of an mf fitted here on Gowalla (6 iterations, 41 thousand items), drawn with repeats to the size asked for,
  each with noise of its own (a fifth of the spread of each dimension, in proportion to the vector's length). Users are users
  of Gowalla, likewise drawn with repeats; instead of each item of their history they have one of its copies. The unobserved
  weight is made smaller as the corpus is larger, so that fold-in gives vectors like those of the users of Gowalla.
- gaussian: all alike, nothing to prune, the worst case; users have 27 random items each.

``precompute`` runs in a process of its own, from loading to the renamed file; users/s leaves out the loading, which is timed
alone, too. With --kill another one is killed (SIGKILL) when half of the parts are there, and started again.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._shared import fit, machine
from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import Schema
from shortlist.data.interactions import Interactions
from shortlist.data.loading import load_dataset
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.data.summary import DataSummary
from shortlist.data.vocabulary import Vocabulary
from shortlist.models.mf import MatrixFactorization
from shortlist.recommender import Recommender, artifact
from shortlist.recommender.served_retriever import load_retriever, save_retriever
from shortlist.settings import MFSettings, Settings

DIM, HISTORY = 64, 27
CHILD = """
import json, sys
from benchmarks._shared import peak_mb
from shortlist.recommender import Query
from shortlist.recommender.precompute import precompute
told = precompute(sys.argv[1], sys.argv[2], Query(k=int(sys.argv[3])))
print(json.dumps({**told.to_dict(), "mb": peak_mb()}))
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--vectors", nargs="+", default=["resampled", "gaussian"], choices=["resampled", "gaussian"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("--kill", action="store_true")
    arguments = parser.parse_args()
    title = (
        f"{arguments.users:,} users × {arguments.items:,} items × {DIM}, k {arguments.k}, threads {arguments.threads}"
    )
    table = Table("vectors", "loading s", "seconds", "users/s", "peak MB", "file MB", "killed and resumed")
    table.title = f"{title}; {machine()}"
    for name in arguments.vectors:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            make(name, arguments.users, arguments.items, place)
            loading = timed_load(place, arguments.threads)
            told = json.loads(finished(start(place, "whole.parquet", arguments)))
            whole, killed = (place / "whole.parquet").read_bytes(), ""
            if arguments.kill:
                killed = kill_and_resume(place, arguments, whole)
        rate = f"{told['lists'] / (told['seconds'] - loading):,.0f}"
        sizes = f"{told['mb']:,.0f}", f"{len(whole) / 1e6:,.0f}"
        table.add_row(name, f"{loading:.1f}", f"{told['seconds']:.1f}", rate, *sizes, killed)
    Console(width=130).print(table)


def start(place: Path, file: str, arguments: argparse.Namespace) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(place / "artifact"), str(place / file), str(arguments.k)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(arguments.threads))


def environment(threads: int) -> dict[str, str]:
    counts = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    return {**os.environ, **counts}


def finished(process: subprocess.Popen[str]) -> str:
    told, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"precompute ended with {process.returncode}")
    return told


def timed_load(place: Path, threads: int) -> float:
    """Of the artifact alone, in a process of its own: what every run begins with."""
    code = (
        "import sys, time; from shortlist.recommender.artifact import load; started = time.perf_counter(); "
        "load(sys.argv[1]); print(time.perf_counter() - started)"
    )
    command = [sys.executable, "-c", code, str(place / "artifact")]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment(threads)).stdout)


def kill_and_resume(place: Path, arguments: argparse.Namespace, whole: bytes) -> str:
    """Whether the file is the same."""
    process, parts = start(place, "killed.parquet", arguments), place / "killed.parquet.parts"
    half = max(1, -(-arguments.users // 1024) // 2)
    while len(list(parts.glob("part-*.parquet"))) < half:
        if process.poll() is not None:
            raise RuntimeError("it ended before it was killed")
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    told = json.loads(finished(start(place, "killed.parquet", arguments)))
    same = "the same bytes" if (place / "killed.parquet").read_bytes() == whole else "OTHER BYTES"
    return f"{same}, after {told['kept']:,} users {told['seconds']:.1f} s"


def make(name: str, users: int, items: int, place: Path) -> None:
    """An artifact in ``place``."""
    rng = np.random.default_rng(0)
    if name == "gaussian":
        vectors = rng.normal(size=(items, DIM)).astype(np.float32)
        settings = MFSettings(embedding_dim=DIM, regularization=0.003, unobserved_weight=0.03)
        histories = Ragged.from_lengths(
            rng.integers(0, items, users * HISTORY, np.int32), np.full(users, HISTORY, np.int64)
        )
    else:
        vectors, settings, histories = resampled(users, items, rng)
    dataset = dataset_of(histories, items)
    served = place / "served"
    served.mkdir()
    retriever = MatrixFactorization(vectors, settings)
    save_retriever(retriever, served, retriever.config())
    whole = Settings.from_dict({"retriever": {"model": "mf", "embedding_dim": DIM}})
    artifact.save(Recommender(dataset, load_retriever(served, dataset.schema), whole), place / "artifact")


def resampled(users: int, items: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], MFSettings, Ragged]:
    """Item vectors, settings for fold-in, and histories like those of Gowalla."""
    settings = Settings.from_dict({"data": {"dataset": "gowalla-lightgcn"}, "split": {"valid_fraction": 0.1}})
    dataset = load_dataset(settings)
    chosen = {"embedding_dim": DIM, "iterations": 6, "regularization": 0.003, "unobserved_weight": 0.03}
    train = split(dataset, settings.split).train
    known = np.asarray(fit("mf", chosen, train, dataset, settings).encode_items())
    drawn = np.sort(np.append(np.arange(len(known)), rng.integers(0, len(known), items - len(known))))
    length = np.linalg.norm(known[drawn], axis=1, keepdims=True) / np.linalg.norm(known, axis=1).mean()
    noise = 0.2 * known.std(axis=0) * length * rng.normal(size=(items, DIM))
    copies = np.bincount(drawn, minlength=len(known))
    first = np.cumsum(copies) - copies
    histories = train.positives().take(rng.integers(0, train.num_users, users))
    copy = first[histories.values] + rng.integers(0, copies[histories.values])
    order = rng.permutation(items).astype(np.int32)  # copies of one item stand apart
    vectors = np.empty((items, DIM), dtype=np.float32)
    vectors[order] = known[drawn] + noise
    weight = chosen["unobserved_weight"] * len(known) / items
    fold_in = MFSettings(embedding_dim=DIM, regularization=0.003, unobserved_weight=weight)
    return vectors, fold_in, Ragged(order[copy], histories.offsets)


def dataset_of(histories: Ragged, items: int) -> Dataset:
    """Only who took what, without a time."""
    n, users = len(histories.values), len(histories)
    log = Interactions(
        user_idx=histories.row_of_value.astype(np.int32),
        item_idx=histories.values,
        timestamp=np.arange(n),
        liked=np.ones(n, dtype=bool),
        disliked=np.zeros(n, dtype=bool),
        num_users=users,
    )
    return Dataset(
        users=Vocabulary(pa.array(np.arange(users)), "user"),
        items=Vocabulary(pa.array(10_000_000 + np.arange(items)), "item"),
        interactions=log,
        schema=Schema(),
        user_features={},
        item_features={},
        user_table=pa.table({}),
        display=pa.table({}),
        has_time=False,
        parts=None,
        summary=DataSummary.of(log, items, False, n, {}),
    )


if __name__ == "__main__":
    main()
