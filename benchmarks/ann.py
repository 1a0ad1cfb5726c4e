"""Approximate top-100 beside Faiss, hnswlib, USearch and ScaNN, each tuned by hand; and what filters cost.

    python -m benchmarks.ann [--data gowalla ml-1m resampled] [--threads 1 2] [--peers .peers]

Corpora as in ``benchmarks.exact_search``: an mf fitted here on Gowalla (41 thousand items) or MovieLens 1M (3,706), and a million
items drawn from Gowalla's with noise. Queries are users of the test part. Peers are judged by the fastest of a grid of settings
that reaches the recall on the very queries that are timed; shortlist chooses on other queries and is told the recall only. Nobody
leaves out what was seen in the first table, for most peers cannot. The second table is shortlist's own: filters that keep a share
of the items, random ones or all on one side of a plane, as measured when the index is made.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._shared import fit, machine
from benchmarks.exact_search import ROOT, peer, spread
from shortlist.data.loading import load_dataset
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.retrieval import Candidates, ExactIndex
from shortlist.settings import Settings

SCRIPT = ROOT / "benchmarks/loops/ann.py"
LIBRARIES = (
    "shortlist-exact",
    "shortlist-ann",
    "faiss-ivf",
    "faiss-hnsw",
    "faiss-codes",
    "hnswlib",
    "usearch",
    "scann",
)
RECALLS, K, DIM, QUERIES = (0.95, 0.99), 100, 64, 512
Vectors = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", default=["gowalla", "ml-1m", "resampled"])
    parser.add_argument("--libraries", nargs="+", default=LIBRARIES, choices=LIBRARIES)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers")
    arguments = parser.parse_args()
    for name in arguments.data:
        items, queries = corpus(name, arguments.items)
        chosen, asked = queries[QUERIES : 3 * QUERIES], queries[:QUERIES]
        truth = ExactIndex(items).search(asked, K, Candidates(Ragged.empty(QUERIES)))
        with tempfile.TemporaryDirectory() as folder:
            arrays = {"items": items, "queries": asked, "choosing": chosen, "truth": [one.item_idx for one in truth]}
            for file, array in arrays.items():
                np.save(Path(folder) / f"{file}.npy", np.asarray(array))
            for threads in arguments.threads:
                started = time.perf_counter()
                found = {library: run(arguments.peers, folder, library, threads) for library in arguments.libraries}
                show(name, len(items), threads, found)
                print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def run(peers: Path, folder: str, library: str, threads: int) -> list[dict[str, Any]]:
    """One process; a line of JSON each setting."""
    name = library.partition("-")[0]
    python = Path(sys.executable) if name == "shortlist" else peer(peers, name)
    counts = {f"{one}_NUM_THREADS": str(threads) for one in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    path = {"PYTHONPATH": f"{ROOT / 'src'}"} if name == "shortlist" else {}
    command = [str(python), str(SCRIPT), folder, library, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path, **counts})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for line in lines:
        print(library, threads, json.dumps(line), file=sys.stderr, flush=True)
    return lines


def show(name: str, num_items: int, threads: int, found: dict[str, list[dict[str, Any]]]) -> None:
    """The fastest of each that reaches a recall, and filters."""
    for recall in RECALLS:
        title = f"{name}, {num_items:,} items, recall@{K} ≥ {recall}, {threads} thread(s), {machine()}"
        table = Table(title=title)
        for column in ("", "setting", "recall", "queries/s", "p50 ms", "p99 ms", "build s", "MB"):
            table.add_column(column, justify="left" if column in ("", "setting") else "right")
        for library, lines in found.items():
            settings = [line for line in lines if "setting" in line and line["recall"] >= recall]
            if library == "shortlist-ann":  # its own choice, whatever was faster
                settings = [line for line in lines if f"asked {recall}" in line.get("setting", "")]
            if not settings:
                best = max(line["recall"] for line in lines if "setting" in line)
                table.add_row(library, f"not reached: {best:.4f} at most")
                continue
            one = min(settings, key=lambda line: line["batch"])
            fastest = min(settings, key=lambda line: line["p50"])
            times = f"{1e3 * fastest['p50']:.3f}", f"{1e3 * fastest['p99']:.3f}"
            cost = f"{one['build']:.1f}", f"{one['megabytes']:.0f}"
            table.add_row(library, one["setting"], f"{one['recall']:.4f}", f"{1 / one['batch']:,.0f}", *times, *cost)
        Console(width=150).print(table)
    table = Table(title=f"{name}, filters, {threads} thread(s): ours, one query at a time, median (95 %) ms")
    for column in ("asked", "share", "kind", "recall", "ann", "exact"):
        table.add_column(column)
    for line in found.get("shortlist-ann", []):
        for one in line.get("facts", {}).get("filters", []):
            times = [
                f"{one['latency_ms'][of]['median']:.2f} ({one['latency_ms'][of]['p95']:.2f})" for of in ("ann", "exact")
            ]
            table.add_row(str(line["asked"]), f"{one['share']:.0%}", one["kind"], f"{one['recall']:.4f}", *times)
    Console(width=130).print(table)


def corpus(name: str, num_items: int) -> tuple[Vectors, Vectors]:
    """Items and queries, shuffled."""
    rng = np.random.default_rng(0)
    if name == "ml-1m":
        settings = Settings.from_dict({"data": {"dataset": "ml-1m"}})
        chosen: dict[str, Any] = {"embedding_dim": DIM, "iterations": 8}
    else:
        settings = Settings.from_dict({"data": {"dataset": "gowalla-lightgcn"}, "split": {"valid_fraction": 0.1}})
        chosen = {"embedding_dim": DIM, "iterations": 6, "regularization": 0.003, "unobserved_weight": 0.03}
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split)
    retriever = fit("mf", chosen, parts.train, dataset, settings)
    queries = rng.permutation(np.asarray(retriever.encode_queries(parts.test.queries)))
    items = np.asarray(retriever.encode_items())
    return (spread(items, num_items, rng) if name == "resampled" else items), np.ascontiguousarray(queries, np.float32)


if __name__ == "__main__":
    main()
