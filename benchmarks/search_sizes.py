"""p50, p99, queries a second and memory of search, by size of the corpus, with filters on.

    python -m benchmarks.search_sizes [--items 10000 100000 1000000] [--threads 1 2] [--recall 0.99]

Corpora are drawn from an mf of Gowalla with noise (``benchmarks.exact_search``), 64 dimensions; queries are its test users,
top-100. Every query excludes 100 random items; on top of these a condition keeps half, a tenth or a hundredth of the items,
at random, each query one of eight. Each line is a process of its own; single queries (300) one after the other, batches of 256.
Memory is what the process holds besides the vectors and the queries.
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
from rich.console import Console
from rich.table import Table

from benchmarks._shared import machine
from benchmarks.exact_search import ROOT, spread
from shortlist.data.ragged import Ragged
from shortlist.retrieval import Candidates, ExactIndex
from shortlist.retrieval.measuring import Asked
from shortlist.retrieval.tuning import tune

K, SEEN, SINGLES, BATCH, KINDS = 100, 100, 300, 256, ("exact", "ann")
SHARES = (1.0, 0.5, 0.1, 0.01)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--recall", type=float, default=0.99)
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "KIND", "RECALL"), help="what each process does")
    arguments = parser.parse_args()
    if arguments.one:
        measure(Path(arguments.one[0]), arguments.one[1], float(arguments.one[2]))
        return
    from benchmarks.ann import corpus

    trained, queries = corpus("gowalla", 0)
    for threads in arguments.threads:
        table = Table(title=f"top-{K}, {threads} thread(s), ann asked for recall {arguments.recall}, {machine()}")
        for column in ("items", "index", "keeps", "p50 ms", "p99 ms", "queries/s", "recall", "MB"):
            table.add_column(column, justify="right")
        for num_items in arguments.items:
            with tempfile.TemporaryDirectory() as folder:
                np.save(f"{folder}/items.npy", spread(trained, num_items, np.random.default_rng(0)))
                np.save(f"{folder}/queries.npy", queries)
                for kind in KINDS:
                    for one in run(folder, kind, arguments.recall, threads):
                        shown = f"{one['p50']:.2f}", f"{one['p99']:.2f}", f"{one['rate']:,.0f}", f"{one['recall']:.4f}"
                        table.add_row(f"{num_items:,}", kind, f"{one['share']:.0%}", *shown, f"{one['megabytes']:.0f}")
        Console(width=110).print(table)


def run(folder: str, kind: str, recall: float, threads: int) -> list[dict[str, Any]]:
    counts = {f"{one}_NUM_THREADS": str(threads) for one in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    command = [sys.executable, "-m", "benchmarks.search_sizes", "--one", folder, kind, str(recall)]
    path = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path, **counts})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    lines: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    for line in lines:
        print(folder, kind, threads, line, file=sys.stderr, flush=True)
    return lines


def measure(folder: Path, kind: str, recall: float) -> None:
    """Prints a line of JSON."""
    items, queries = (np.load(folder / f"{name}.npy") for name in ("items", "queries"))
    rng, before = np.random.default_rng(1), megabytes()
    seen = Ragged.from_lengths(rng.integers(0, len(items), SEEN * len(queries), np.int32), np.full(len(queries), SEEN))
    index: Any = ExactIndex(items)
    if kind == "ann":
        tuned = tune(
            items, queries[-1024:], Candidates(seen).take(np.arange(len(queries) - 1024, len(queries))), recall=recall
        )
        print(tuned.note, file=sys.stderr, flush=True)
        index = tuned.index or index
    lines = []
    for share in SHARES:
        asked = Asked(queries[:SINGLES], Candidates(seen.take(np.arange(SINGLES))))
        if share < 1:
            asked = asked.under(rng.random((8, len(items))) < share)
        found = index.search(asked.vectors, K, asked.candidates)
        held = megabytes() - before
        singles = [asked.take(np.array([row])) for row in range(SINGLES)]
        milliseconds = []
        for one in singles:
            began = time.perf_counter()
            index.search(one.vectors, K, one.candidates)
            milliseconds.append(1e3 * (time.perf_counter() - began))
        batch, seconds = asked.first(BATCH), np.inf
        for _ in range(5):
            began = time.perf_counter()
            index.search(batch.vectors, K, batch.candidates)
            seconds = min(seconds, time.perf_counter() - began)
        p50, p99 = np.quantile(milliseconds, [0.5, 0.99])
        reached = float(asked.known(ExactIndex(items), K).recalls(index).mean()) if kind == "ann" else 1.0
        line = {"share": share, "p50": p50, "p99": p99, "rate": BATCH / seconds, "recall": reached, "megabytes": held}
        lines.append({**line, "sources": sorted({one.source for one in found})})
    print(json.dumps(lines))
    sys.stdout.flush()
    os._exit(0)


def megabytes() -> float:
    """Held by this process, files aside."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
