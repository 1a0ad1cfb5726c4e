"""The pull of the popular: recall@20 against the average popularity of what is recommended, by debiasing strength.

    python -m benchmarks.popularity_pull [--datasets ml-1m gowalla-lightgcn] [--seeds 3] [--plot docs/images/popularity_pull.png]

``[retriever] popularity_debiasing`` of ``softmax_dnn`` leaves a share of the learned item bias, which is mostly popularity,
out of the scores, from 0 (as trained) to 1 (none of it). It needs no new training: each seed is trained once and asked
at every strength. Average popularity is the mean share of the training users who took the recommended items (Yin et al.,
VLDB 2012), over lists of 20. Epochs are selected on validation at strength 0; the test is asked at all strengths.

``--plot`` needs the extra ``bench``: ``pip install 'shortlist[bench]'``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait
from benchmarks._shared import machine, peak_mb
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import split
from shortlist.evaluation.background import Background
from shortlist.evaluation.evaluator import evaluate
from shortlist.models.popularity import Popularity
from shortlist.models.softmax_dnn import SoftmaxDNN
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_for_selection

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
MODEL = {"model": "softmax_dnn", "loss": "full_softmax"}
SETS: Mapping[str, Mapping[str, Any]] = {
    "ml-1m": {"retriever": MODEL, "training": {"batch_size": 1024, "epochs": 40, "patience": 5}},
    # nobody knows the order of its visits: a part of each person's places is foretold from the rest
    "gowalla-lightgcn": {
        "retriever": {**MODEL, "target": "multi_hot"},
        "training": {"batch_size": 256, "learning_rate": 0.005, "epochs": 40, "patience": 5},
    },
}
Curve = dict[float, list[tuple[float, float]]]  # strength → by seed: recall@20, average popularity


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--datasets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    console = Console(stderr=True) if arguments.verbose else None
    curves: dict[str, Curve] = {}
    for name in arguments.datasets:
        started = time.perf_counter()
        curves[name] = curve(name, arguments.seeds, console)
        table = Table("debiasing", "recall@20", "average popularity", "recall@20 by seed", title=f"{name}; {machine()}")
        for strength, points in curves[name].items():
            recall, popularity = np.mean(points, axis=0)
            by_seed = " ".join(f"{one:.4f}" for one, _ in points)
            table.add_row(
                "popularity" if strength < 0 else f"{strength:.2f}", f"{recall:.4f}", f"{popularity:.4f}", by_seed
            )
        Console(width=110).print(table)
        print(f"{time.perf_counter() - started:.0f} s; peak memory so far {peak_mb():,.0f} MB", flush=True)
    if arguments.plot:
        plot(curves, arguments.plot)


def curve(name: str, seeds: int, console: Console | None) -> Curve:
    """Both figures at every strength; popularity itself under −1."""
    points: Curve = {strength: [] for strength in (-1.0, *STRENGTHS)}
    for seed in range(seeds):
        values = {"seed": seed, "data": {"dataset": name}, "evaluation": {"select_on": "recall@20"}, **SETS[name]}
        settings = Settings.from_dict(values)
        dataset = load_dataset(settings)
        parts = split(dataset, settings.split)
        background = Background.of(dataset, parts.train, parts.test)

        def figures(retriever: Any) -> tuple[float, float]:
            found = evaluate(retriever, parts.test, (20,), background)  # noqa: B023 - called at once
            return found.mean("recall", 20), found.mean("popularity", 20)

        if seed == 0:
            points[-1.0].append(figures(Popularity.fit(parts.train, dataset.num_items)))
        model = fit_for_selection(dataset, parts.train, parts.valid, settings, console).retriever
        assert isinstance(model, SoftmaxDNN)
        for strength in STRENGTHS:
            model.settings = model.settings.model_copy(update={"popularity_debiasing": strength})
            points[strength].append(figures(model))
    return points


def plot(curves: Mapping[str, Curve], file: Path) -> None:
    """One panel a data set."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(curves), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (name, points) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(1, len(curves), place)
        means = {strength: np.mean(values, axis=0) for strength, values in points.items()}
        own = np.array([means[strength] for strength in STRENGTHS])
        axes.plot(own[:, 1], own[:, 0], "o-", color="#2457a6", label="softmax_dnn")
        for strength, (recall, popularity) in zip(STRENGTHS, own, strict=True):
            axes.annotate(
                f"{strength:g}", (popularity, recall), textcoords="offset points", xytext=(7, -12), fontsize=9
            )
        axes.plot(means[-1.0][1], means[-1.0][0], "s", color="#b0413e", label="popularity")
        axes.set(title=name, xlabel="average popularity of the 20 recommended", ylabel="recall@20")
        axes.set_ylim(0, 1.1 * own[:, 0].max())
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
