"""Leave-last-out on MovieLens latest-small and ML-100K: all ratings positive, whole corpus, seen removed, 3 seeds.

    python -m benchmarks.leave_last_out [--datasets ml-latest-small ml-100k] [--seeds 3] [--set section.key=value ...]

Epochs are selected on each user's last positive but one; settings were selected on the same (docs/LOG.md), never on
the test. History holds only what happened strictly before the target's second. Peers' rows were measured under this protocol
on a comparable two-core machine, hyper-parameters untuned.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from shortlist import Settings, train

PEERS = {  # hit_rate@10, ndcg@10
    "ml-100k": {
        "LightFM WARP": (0.154, 0.085),
        "EASE": (0.149, 0.072),
        "implicit ALS": (0.143, 0.075),
        "LensKit iALS": (0.139, 0.069),
        "RecBole BPR": (0.114, 0.059),
        "RecBole NeuMF": (0.098, 0.052),
        "TFRS tutorial two-tower": (0.074, 0.037),
    },
    "ml-latest-small": {"EASE": (None, 0.042)},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--datasets", nargs="+", default=["ml-latest-small", "ml-100k"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="SECTION.KEY=VALUE")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    for dataset in arguments.datasets:
        run(dataset, arguments.seeds, arguments.overrides, Console(stderr=True) if arguments.verbose else None)


def run(dataset: str, seeds: int, overrides: list[str], console: Console | None) -> None:
    """One data set: the table over seeds."""
    rows: dict[str, list[tuple[float, float]]] = {}
    validation, seconds, memory = [], [], 0.0
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "config.toml"
            config.write_text(
                f'seed = {seed}\n[data]\ndataset = "{dataset}"\n[data.feedback]\ndisliked = "value <= 2"\n'
            )
            started = time.perf_counter()
            report = train(Settings.from_toml(config, overrides), Path(folder) / "artifact", console).report
        assert report is not None
        seconds.append(report.seconds["fit"])
        memory = max(memory, report.peak_memory_mb)
        validation.append(float(report.settings["softmax_dnn"]["validation"]))
        for model, figures in report.models.items():
            rows.setdefault(model, []).append((figures["hit_rate@10"]["value"], figures["ndcg@10"]["value"]))
        print(f"{dataset} seed {seed}: {report.settings} {time.perf_counter() - started:.0f} s", flush=True)
    table = Table("model", "hit_rate@10", "ndcg@10", "per seed (ndcg@10)", title=f"{dataset}, last_out, {seeds} seeds")
    for model, figures in rows.items():
        hit, ndcg = np.mean(figures, axis=0)
        table.add_row(model, f"{hit:.4f}", f"{ndcg:.4f}", " ".join(f"{one:.4f}" for _, one in figures))
    for model, (hit_rate, ndcg) in PEERS[dataset].items():
        table.add_row(f"{model} (peer)", "" if hit_rate is None else f"{hit_rate:.3f}", f"{ndcg:.3f}", "", style="dim")
    Console(width=100).print(table)
    print(
        f"validation ndcg@10 {np.mean(validation):.4f}; fit {np.mean(seconds):.1f} s; peak memory {memory:.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
