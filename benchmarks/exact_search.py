"""Exact top-100 beside NumPy, PyTorch, implicit, Faiss and ScaNN: same vectors, same queries, same number of threads.

    python -m benchmarks.exact_search [--data gaussian gowalla resampled] [--threads 1 2] [--rounds 2] [--peers .peers]

Three corpora of 64 dimensions, 256 queries each:

- gaussian: a million items, nothing to prune: all norms are nearly alike; each query has seen 100 random items;
- gowalla: an mf fitted here (6 iterations, 41 thousand items); the queries are users of its test part, with what they have seen;
- resampled: a million items drawn from those of gowalla with repeats, each with noise of its own (a fifth of
  the spread of each dimension, in proportion to the vector's length). Its queries are the same users; seen are 100 random items.

Everyone is a process of its own, one after the other, and of all rounds and repeats the shortest time is shown, of a batch
of all queries and of one query (mean of 16). Faiss and ScaNN answer without leaving out what was seen, which they cannot.
Peers live in environments of their own, made where they are missing. ``product`` is the matrix product alone, in tiles,
nothing selected: what a search that scores every pair in float32 cannot beat. ``may pass``: share of the items whose bound
is not below the k-th best score, which pruning must look at.
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
from shortlist.data.loading import load_dataset
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.evaluation.candidates import candidates_of
from shortlist.retrieval.pruning import Bounds, promising_first
from shortlist.settings import Settings

ROOT = Path(__file__).parents[1]
REQUIREMENTS = {
    "implicit": "implicit==0.7.3",
    "faiss": "faiss-cpu==1.15.1",
    "scann": "scann==1.4.2",
    "hnswlib": "hnswlib==0.8.0",
    "usearch": "usearch==2.26.6",
}
OURS = ("shortlist", "shortlist without numba")
NAMES = (*OURS, "product", "NumPy", "torch", "implicit", "faiss", "scann")
QUERIES, ITEMS, DIM, K = 256, 1_000_000, 64, 100
Corpus = tuple[NDArray[np.float32], NDArray[np.float32], Ragged]  # items, queries, what each has seen


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", default=["gaussian", "gowalla", "resampled"])
    parser.add_argument("--libraries", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers")
    arguments = parser.parse_args()
    started = time.perf_counter()
    for name in arguments.data:
        items, queries, seen = corpus(name, arguments.items)
        for threads in arguments.threads:
            with tempfile.TemporaryDirectory() as folder:
                given = {"items": items, "queries": queries, "seen_values": seen.values, "seen_offsets": seen.offsets}
                for file, array in given.items():
                    np.save(Path(folder) / f"{file}.npy", array)
                found: dict[str, dict[str, float]] = {}
                for _ in range(arguments.rounds):
                    for library in arguments.libraries:
                        one = run(arguments, folder, library, threads)
                        before = found.setdefault(library, one)
                        found[library] = {key: min(value, before[key]) for key, value in one.items()}
                show(name, items, queries, threads, found, Path(folder))
        print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def run(arguments: argparse.Namespace, folder: str, library: str, threads: int) -> dict[str, float]:
    """One process; its last line."""
    python = peer(arguments.peers, library) if library in REQUIREMENTS else Path(sys.executable)
    script = ROOT / "benchmarks/loops/exact_search.py"
    names = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    # implicit has threads of its own and asks that BLAS have one
    counts = {
        f"{name}_NUM_THREADS": str(1 if (library, name) == ("implicit", "OPENBLAS") else threads) for name in names
    }
    command = [str(python), str(script), folder, library, str(threads), str(arguments.repeats)]
    path = {"PYTHONPATH": f"{ROOT / 'src'}"} if library not in REQUIREMENTS else {}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path, **counts})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(library, threads, answer, file=sys.stderr, flush=True)
    return answer


def show(
    name: str,
    items: NDArray[np.float32],
    queries: NDArray[np.float32],
    threads: int,
    found: dict[str, dict[str, float]],
    folder: Path,
) -> None:
    """A table, and what of the ceiling and of the best peer was reached."""
    table = Table("library", "queries/s", "ms a query alone", "of the product", "recall@100", "first answer s")
    table.title = f"{name}: {len(items):,} × {items.shape[1]}, batch {len(queries)}, threads {threads}; {machine()}"
    for library, one in found.items():
        share = f"{found['product']['batch'] / one['batch']:.2f}" if "product" in found else ""
        recall = "" if library == "product" or library in ("faiss", "scann") else recall_of(folder, library)
        rate = f"{len(queries) / one['batch']:,.0f}"
        table.add_row(library, rate, f"{1e3 * one['single']:.2f}", share, recall, f"{one['first']:.1f}")
    Console(width=130).print(table)
    peers = [library for library in found if library not in (*OURS, "product")]
    for ours in (one for one in OURS if one in found and peers):
        ratios = [
            f"{kind} {min(found[peer][kind] for peer in peers) / found[ours][kind]:.2f} ×"
            for kind in ("batch", "single")
        ]
        print(f"{ours} / best peer: {', '.join(ratios)}")
    if (folder / "shortlist.npy").exists():
        last = np.load(folder / "shortlist.npy")[:, -1]
        kth = np.einsum("bd,bd->b", queries, items[last])
        reach = Bounds.of(items, promising_first(items, queries), K).reach(queries)
        print(f"may pass: {(reach >= kth[:, None]).mean():.1%} of the items", flush=True)


def recall_of(folder: Path, library: str) -> str:
    """Against NumPy."""
    if not (folder / "NumPy.npy").exists():
        return ""
    ours, naive = (np.load(folder / f"{name}.npy") for name in (library, "NumPy"))
    shared = [len(set(one) & set(other)) for one, other in zip(ours.tolist(), naive.tolist(), strict=True)]
    return f"{np.mean(shared) / K:.5f}"


def corpus(name: str, num_items: int) -> Corpus:
    """By name."""
    rng = np.random.default_rng(0)
    random = Ragged.from_lengths(rng.integers(0, num_items, QUERIES * 100, np.int32), np.full(QUERIES, 100))
    if name == "gaussian":
        vectors = rng.normal(size=(num_items + QUERIES, DIM)).astype(np.float32)
        return vectors[QUERIES:], vectors[:QUERIES], random
    items, queries, seen = gowalla(rng)
    if name == "gowalla":
        return items, queries, seen
    return spread(items, num_items, rng), queries, random


def spread(items: NDArray[np.float32], num_items: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """As many items, drawn from these with noise in proportion to the spread of each dimension and to the vector's length."""
    drawn = items[rng.integers(0, len(items), num_items)]
    length = np.linalg.norm(drawn, axis=1, keepdims=True) / np.linalg.norm(items, axis=1).mean()
    noise: NDArray[Any] = 0.2 * items.std(axis=0) * length * rng.normal(size=drawn.shape)
    made: NDArray[np.float32] = (drawn + noise).astype(np.float32)
    return made


def gowalla(rng: np.random.Generator) -> Corpus:
    """Vectors of an mf, and users of the test part; settings near those that ``benchmarks.gowalla`` found."""
    settings = Settings.from_dict({"data": {"dataset": "gowalla-lightgcn"}, "split": {"valid_fraction": 0.1}})
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split)
    chosen = {"embedding_dim": DIM, "iterations": 6, "regularization": 0.003, "unobserved_weight": 0.03}
    retriever = fit("mf", chosen, parts.train, dataset, settings)
    queries = np.asarray(retriever.encode_queries(parts.test.queries))
    asked = rng.choice(len(queries), QUERIES, replace=False)
    seen = candidates_of(parts.test).exceptions.take(asked)
    return np.asarray(retriever.encode_items()), queries[asked], seen


def peer(folder: Path, name: str) -> Path:
    """Its Python; makes the environment where there is none."""
    python = folder / name / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", REQUIREMENTS[name]], check=True)
    return python


if __name__ == "__main__":
    main()
