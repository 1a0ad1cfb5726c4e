"""Full-corpus evaluation of all queries of MovieLens 1M: seconds, users a second, extra peak memory.

    python -m benchmarks.evaluation_speed

Leave-last-out, seen items removed, k = 10, 20, 100. Counted: lists and ranks (``evaluate``) and every accuracy metric at every k,
with auc. The bootstrap and what goes beyond accuracy come apart. mf's settings and EASE's are not tuned: speed does not hang on
them. Each model is measured in a fresh process in which the compiled loops ran once on a toy; the best of three is shown, the
memory is that of the first.

The floor is what no exact evaluation can do without: the multiply-adds of all scores, at the rate at which this machine
multiplies large matrices. EASE's product is sparse, which memory limits sooner than arithmetic.
"""

from __future__ import annotations

import time

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks._shared import KS, evaluation_cost, fit, machine, timed
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import split
from shortlist.evaluation.background import Background
from shortlist.settings import Settings

MODELS = {"mf": {"embedding_dim": 64}, "ease": {"regularization": 300}}
ASKED = 10_000  # users a second


def main() -> None:
    started, title = time.perf_counter(), f"ml-1m, last_out, k {KS}; {machine()}"
    settings = Settings.from_dict({"data": {"dataset": "ml-1m"}})
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split)
    background = Background.of(dataset, parts.train_and_valid, parts.test)
    rate, users = matmul_rate(), len(parts.test)
    columns = ("users/s", "users/s, encoded", "encode s", "evaluate s", "metrics s", "floor s", "figures s", "extra MB")
    table = Table("model", *columns, title=title)
    for name, chosen in MODELS.items():
        retriever = fit(name, chosen, parts.train_and_valid, dataset, settings)
        cost = evaluation_cost(retriever, parts.test, background)
        vectors = retriever.encode_queries(parts.test.queries)
        multiply_adds = (vectors.size if isinstance(vectors, np.ndarray) else vectors.nnz) * dataset.num_items
        whole = cost["evaluate"] + cost["metrics"]
        table.add_row(
            name,
            f"{users / whole:,.0f}",
            f"{users / (whole - cost['encode']):,.0f}",
            *(f"{cost[part]:.3f}" for part in ("encode", "evaluate", "metrics")),
            f"{multiply_adds / rate:.3f}",
            f"{cost['figures']:.3f}",
            f"{cost['mb']:,.0f}",
        )
    Console(width=130).print(table)
    print(
        f"{users:,} users × {dataset.num_items:,} items; asked for: {ASKED:,} users/s. evaluate includes encode; figures: the "
        f"bootstrap of everything, with what goes beyond accuracy. Matrices multiply at {rate / 1e9:.0f} billion multiply-adds a "
        f"second. {time.perf_counter() - started:.0f} s in all"
    )


def matmul_rate(n: int = 2048) -> float:
    """Multiply-adds a second of two square matrices, best of five."""
    matrix = np.random.default_rng(0).random((n, n), dtype=np.float32)
    return float(n**3 / timed(lambda: matrix @ matrix, 5)[1])


if __name__ == "__main__":
    main()
