"""TensorFlow Recommenders' tutorial protocol on ML-100K: random 80,000/20,000, all ratings positive, seen items kept.

    python -m benchmarks.tfrs_protocol [--seeds 3]

Factorized top-k categorical accuracy on the test: of all (user, film) records the share whose film is among the k best
of the whole corpus. A tenth of the training part is held out to select epochs (recall@20); then the model is fitted
anew on all of it. The seed draws the split too, so that deviations hold both. The same with seen items removed stands
beside it: an item that was rated once is never rated again, so keeping seen items asks for what cannot be, and hides
how good a model is.

Published: the tutorials "basic retrieval" (32-d, ids alone) and "deep retrieval" (query tower with timestamp, item
tower with title text), and keras-rs. The two-tower here has the person's history, age group, gender and occupation, the
film's genres and year, and free vectors; a person is a bag of films (``target = "multi_hot"``).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks._shared import machine, peak_mb
from shortlist import Settings, train

KS = (1, 5, 10, 50, 100)
PUBLISHED = {
    "TFRS basic two-tower, 32-d": (0.0010, 0.0087, 0.0212, 0.1218, 0.2334),
    "TFRS deep, two layers": (None, None, None, None, 0.29),
    "keras-rs": (None, None, None, None, 0.31),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    started = time.perf_counter()
    table = Table("model", *(f"top-{k}" for k in KS), "top-100 by seed", title=f"ml-100k, random 80/20; {machine()}")
    for seen in ("keep", "remove"):
        rows: dict[str, list[list[float]]] = {}
        for seed in range(42, 42 + arguments.seeds):
            for model, figures in measured(seen, seed).items():
                rows.setdefault(model, []).append([figures[f"top_k_accuracy@{k}"]["value"] for k in KS])
        for model, values in rows.items():
            by_seed = " ".join(f"{one[-1]:.4f}" for one in values)
            table.add_row(
                f"{model}, seen {'kept' if seen == 'keep' else 'removed'}",
                *map(shown, np.mean(values, axis=0)),
                by_seed,
            )
    for model, peers in PUBLISHED.items():
        table.add_row(f"{model} (published)", *map(shown, peers), "", style="dim")
    Console(width=120).print(table)
    print(f"{arguments.seeds} seeds; peak memory {peak_mb():,.0f} MB; {time.perf_counter() - started:.0f} s in all")


def measured(seen: str, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Figures of the two-tower and of tuned baselines for one seed."""
    settings = Settings.from_dict(
        {
            "seed": seed,
            "data": {"dataset": "ml-100k"},
            "split": {"method": "random", "seen": seen, "test_fraction": 0.2, "valid_fraction": 0.08},
            "retriever": {"model": "two_tower", "target": "multi_hot"},
            "training": {"epochs": 60, "batch_size": 128, "patience": 12},
            "evaluation": {"k": list(KS), "select_on": "recall@20", "baselines": ["popularity", "ease", "mf"]},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        report = train(settings, Path(folder) / "artifact").report
    assert report is not None
    print(f"seen {seen}, seed {seed}: {report.settings['two_tower']}, fit {report.seconds['fit']} s", flush=True)
    return report.to_dict()["models"]  # type: ignore[no-any-return]


def shown(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.4f}"


if __name__ == "__main__":
    main()
