"""Time and memory of every station on MovieLens 1M (1,000,209 ratings), beside ``implicit`` where it is installed.

    python -m benchmarks.ml_1m_path

Each station runs in this one process, in order; seconds are wall time, the better of two runs where a run is short.
``implicit`` (0.7.3, conjugate gradients) is no requirement of ours: install it into an environment of its own with
shortlist to have its row.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait
from benchmarks._shared import peak_mb
from shortlist.data.dataset import Dataset
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import Split, split
from shortlist.evaluation.evaluator import evaluate, validation_figure
from shortlist.models.mf import MatrixFactorization
from shortlist.models.softmax_dnn import SoftmaxDNN
from shortlist.settings import MFSettings, Settings, SoftmaxDNNSettings
from shortlist.training.batches import TrainingExamples
from shortlist.training.objective import SoftmaxObjective
from shortlist.training.progress import Progress
from shortlist.training.trainer import fit

MF = MFSettings(embedding_dim=64, iterations=15)


def main() -> None:
    given = {
        "data": {"dataset": "ml-1m", "feedback": {"disliked": "value <= 2"}},
        "training": {"batch_size": 1024, "epochs": 1},
    }
    settings = Settings.from_dict(given)
    rows: list[tuple[str, float, str, str]] = []

    dataset, seconds = timed(lambda: load_dataset(settings), 2)
    rows.append(("load: files → Dataset", seconds, "3 s", ""))
    parts, seconds = timed(lambda: split(dataset, settings.split), 2)
    rows.append(("split last_out", seconds, "", f"{len(parts.test):,} queries"))
    _, compiling = timed(lambda: MatrixFactorization.fit(parts.train, dataset.num_items, MF), 1)
    mf, seconds = timed(lambda: MatrixFactorization.fit(parts.train, dataset.num_items, MF), 2)
    rows.append(
        (
            "mf fit, 64 factors, 15 iterations",
            seconds,
            "6 s",
            f"{seconds / 15:.3f} s each; first call {compiling:.1f} s",
        )
    )
    rows += implicit_row(parts, dataset.num_items)
    evaluation, seconds = timed(lambda: evaluate(mf, parts.test, (10, 20, 100)), 2)
    rows.append(
        ("full-corpus evaluation of mf, 6,040 users", seconds, "2 s", f"ndcg@10 {evaluation.mean('ndcg', 10):.4f}")
    )
    for window in (5, 10):
        model, seconds = softmax_epoch(dataset, parts, settings, window)
        rows.append((f"softmax_dnn, one epoch, target_window {window}", seconds, "60 s", "batch 1024"))
        _, checking = timed(lambda model=model: validation_figure(model, parts.valid, "ndcg@10"), 2)
        share = f"{checking / seconds:.1%} of the epoch"
        rows.append(("validation after it: all 6,040 queries, whole corpus", checking, "5 %", share))
    _, seconds = timed(lambda: evaluate(model, parts.test, (10, 20, 100)), 2)
    rows.append(("full-corpus evaluation of softmax_dnn", seconds, "2 s", ""))

    table = Table(
        "station",
        "seconds",
        "asked",
        "",
        title=f"ml-1m, {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}",
    )
    for station, seconds, asked, note in rows:
        table.add_row(station, f"{seconds:.2f}", asked, note)
    Console(width=110).print(table)
    print(f"peak memory {peak_mb():,.0f} MB")


def softmax_epoch(dataset: Dataset, parts: Split, settings: Settings, window: int) -> tuple[SoftmaxDNN, float]:
    """One epoch as ``shortlist train`` runs it, without validation."""
    torch.manual_seed(0)
    chosen = SoftmaxDNNSettings(target_window=window)
    counts = np.bincount(parts.train.item_idx, minlength=dataset.num_items)
    schema = dataset.schema
    model = SoftmaxDNN(dataset.num_items, schema.query, chosen, counts, schema.side("item"), dataset.item_features)
    objective = SoftmaxObjective(model, TrainingExamples(dataset, parts.train, window), remove_seen=True)
    run = fit(model, objective, None, settings.training, seed=0, progress=Progress())
    return model, run.epochs[0].seconds


def implicit_row(parts: Split, num_items: int) -> list[tuple[str, float, str, str]]:
    """implicit's ALS on the same matrix, where it is installed."""
    try:
        from implicit.als import AlternatingLeastSquares  # type: ignore[import-not-found]
        from scipy.sparse import csr_matrix
    except ImportError:
        return []
    positives = parts.train.positives()
    matrix = csr_matrix(
        (np.ones(len(positives.values), np.float32), positives.values, positives.offsets),
        shape=(len(positives), num_items),
    )
    peer = AlternatingLeastSquares(factors=64, iterations=15, use_gpu=False)
    _, seconds = timed(lambda: peer.fit(matrix, show_progress=False), 2)
    return [("implicit ALS fit, 64 factors, 15 iterations (peer)", seconds, "", f"{seconds / 15:.3f} s each")]


def timed(function: Callable[[], Any], times: int) -> tuple[Any, float]:
    """The result and the shortest wall time."""
    best = np.inf
    for _ in range(times):
        started = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - started)
    return result, float(best)


if __name__ == "__main__":
    main()
