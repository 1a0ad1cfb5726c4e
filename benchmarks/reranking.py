"""What each re-ranking step costs and buys on MovieLens 1M, by its strength; and the time it takes for 200 → 20.

    python -m benchmarks.reranking [--seeds 3] [--plot docs/images/reranking.png] [--keep DIR [--only STEP ...]]

Retriever: ``mf``, 64 factors, fitted on train alone. Split ``by_user``: of the held-out
people the first 80 % of the history is the question and the rest are the targets (a mean of thirty: curves are smooth
where leave-one-out has one target a person). Candidates 200, page 10. On the validation people each step's strength is
chosen as the largest whose ndcg@10, mean of all seeds, is no more than 2 % below that of strength 0 (between two measured
strengths: on the line); the test people are then asked once at that strength.

``--keep`` keeps what was measured, so that a run that was ended goes on; ``--only`` sweeps these steps and ends.
``--plot`` needs the extra ``bench``: ``pip install 'shortlist[bench]'``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait
from benchmarks._shared import machine
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import Split, split
from shortlist.evaluation.stages import Pages
from shortlist.recommender import Recommender
from shortlist.recommender.rerankers import rerankers_of
from shortlist.recommender.served_retriever import load_retriever
from shortlist.recommender.stage_evaluation import StagedHoldout, padded
from shortlist.reranking import Slate
from shortlist.settings import RerankSettings, Settings
from shortlist.training.retrievers import fit_retriever, serve

STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MAX_LOSS, K = 0.02, 10
STEPS: Mapping[str, tuple[dict[str, Any], str]] = {  # name → settings, and the figure it is for
    "freshness, first interaction, 30d": ({"step": "freshness", "half_life": "30d"}, "age"),
    "freshness, year of release, 10y": ({"step": "freshness", "half_life": "10y", "date": "year"}, "age"),
    "diversity, MMR of item vectors": ({"step": "diversity"}, "diversity"),
    "diversity, MMR of genres": ({"step": "diversity", "feature": "genres"}, "diversity"),
    "diversity, DPP of item vectors": ({"step": "diversity", "method": "dpp"}, "diversity"),
    "diversity, DPP of genres": ({"step": "diversity", "method": "dpp", "feature": "genres"}, "diversity"),
    "calibration to genres": ({"step": "calibration"}, "miscalibration"),
    "exposure, 30 % of the tail (FA*IR)": ({"step": "exposure"}, "tail"),
    "exposure, amortised": ({"step": "exposure", "method": "amortised"}, "tail"),
    "popularity damping": ({"step": "popularity"}, "popularity"),
    "exploration": ({"step": "exploration"}, "coverage"),
    "rules, at most 3 of a genre": ({"step": "rules", "at_most": 3, "groups": "genres"}, "diversity"),
    "boost of films since 1990": ({"step": "boost", "where": "year >= 1990"}, "age"),
}
COLOURS = ("#7a7a7a", "#1f4e9c", "#7fb3e6", "#b0413e", "#e8998d", "#3a7d44", "#8a5aa8")  # one a step
COLOURS += ("#4b9aa5", "#c9a227", "#000000", "#e377c2", "#8c6d31", "#17becf")
PANELS = {  # figure → what the axis says
    "diversity": "diversity (1 − cosine of genres)",
    "miscalibration": "calibration error (KL, nats)",
    "coverage": "coverage of the corpus",
    "tail": "share of the tail on the page",
    "popularity": "average popularity",
    "age": "age of the film (days since release)",
}


@dataclass(frozen=True)
class Curve:
    """Figures by strength: strength → figure → mean over seeds."""

    valid: dict[float, dict[str, float]]
    chosen: float
    test: dict[str, float]
    test_without: dict[str, float]
    test_loss_by_seed: list[float]


class World:
    """One seed's retriever, and the validation and test people's candidates; made when first asked."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.settings = Settings.from_dict(
            {
                "seed": seed,
                "data": {"dataset": "ml-1m"},
                "split": {"method": "by_user", "valid_fraction": 0.2, "test_fraction": 0.4},
                "retriever": {"model": "mf"},
                "training": {"refit": False},
                "evaluation": {"k": [K]},
            }
        )

    @cached_property
    def recommender(self) -> Recommender:
        dataset = load_dataset(self.settings)
        place = self.folder / f"mf-{self.seed}"
        if (place / "config.json").is_file():
            return Recommender(dataset, load_retriever(place, dataset.schema), self.settings)
        fitted = fit_retriever(dataset, self.split, self.settings).retriever
        return Recommender(dataset, serve(fitted, dataset, place), self.settings)

    @cached_property
    def split(self) -> Split:
        settings = self.settings.model_copy(update={"seed": 0})  # the same people for every seed
        return split(load_dataset(settings), settings.split)

    @cached_property
    def parts(self) -> dict[str, StagedHoldout]:
        parts = self.split
        return {
            name: StagedHoldout.of(self.recommender, holdout, parts.train, K)
            for name, holdout in (("valid", parts.valid), ("test", parts.test))
        }

    @cached_property
    def pages(self) -> dict[str, Pages]:
        year = rerankers_of(
            step_of({"step": "freshness", "date": "year"}), self.recommender.dataset, None, self.split.train
        )
        return {name: replace(one.pages(), came=year[0].times) for name, one in self.parts.items()}  # type: ignore[attr-defined]

    @cached_property
    def is_tail(self) -> NDArray[np.bool_]:
        step = rerankers_of(step_of({"step": "exposure"}), self.recommender.dataset, None, self.split.train)[0]
        tail: NDArray[np.bool_] = step.protected  # type: ignore[attr-defined]
        return tail

    def kept(self, part: str, values: Mapping[str, Any], strength: float) -> dict[str, float]:
        """``figures``, or what an earlier run kept of them."""
        name = json.dumps([self.seed, part, dict(values), round(strength, 6)])
        file = self.folder / "figures.jsonl"
        known = dict(map(json.loads, file.read_text().splitlines())) if file.is_file() else {}
        if name not in known:
            known[name] = self.figures(part, values, strength)
            with file.open("a") as opened:
                opened.write(json.dumps([name, known[name]]) + "\n")
        return dict(known[name])

    def figures(self, part: str, values: Mapping[str, Any], strength: float) -> dict[str, float]:
        """Of one step at one strength."""
        passages = self.parts[part].reshaped(step_of({**values, "strength": strength}))
        lists = padded([one for passage in passages for one in passage.lists()], K)
        return {**self.pages[part].means(lists, K), "tail": float(self.is_tail[lists].mean())}


def step_of(values: Mapping[str, Any]) -> tuple[RerankSettings, ...]:
    return Settings.from_dict({"rerank": [values]}).rerank


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(STEPS), metavar="STEP")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.keep or Path(folder)
        place.mkdir(exist_ok=True, parents=True)
        worlds = [World(seed, place) for seed in range(arguments.seeds)]
        for name in arguments.only or ():
            swept(worlds, STEPS[name][0])
        if arguments.only:
            return
        curves = {name: curve(worlds, values) for name, (values, _) in STEPS.items()}
        sizes = {
            name: (len(one), len(one.targets.values))
            for name, one in (("valid", worlds[0].split.valid), ("test", worlds[0].split.test))
        }
        print(
            f"{machine()}; queries and targets {sizes}; tail {worlds[0].is_tail.mean():.1%} of the corpus", flush=True
        )
        show(curves)
        times(worlds[0])
    print(f"{time.perf_counter() - started:.0f} s")
    if arguments.plot:
        plot(curves, arguments.plot)


def swept(worlds: Sequence[World], values: Mapping[str, Any]) -> dict[float, dict[str, float]]:
    """Figures on validation by strength, mean of the seeds."""
    return {strength: mean_of([one.kept("valid", values, strength) for one in worlds]) for strength in STRENGTHS}


def curve(worlds: Sequence[World], values: Mapping[str, Any]) -> Curve:
    """Swept on validation, chosen, and asked once on the test."""
    valid = swept(worlds, values)
    chosen = strength_at({strength: one["ndcg"] for strength, one in valid.items()}, MAX_LOSS)
    without, at = ([world.kept("test", values, s) for world in worlds] for s in (0.0, chosen))
    losses = [1 - one["ndcg"] / other["ndcg"] for one, other in zip(at, without, strict=True)]
    return Curve(valid, chosen, mean_of(at), mean_of(without), losses)


def strength_at(ndcg: Mapping[float, float], loss: float) -> float:
    """The largest strength, on the line between those measured, before which no loss is above the wanted one."""
    strengths, floor = sorted(ndcg), (1 - loss) * ndcg[0.0]
    for before, after in pairwise(strengths):
        if ndcg[after] < floor:
            return before + (after - before) * (ndcg[before] - floor) / (ndcg[before] - ndcg[after])
    return 1.0


def mean_of(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}


def show(curves: Mapping[str, Curve]) -> None:
    """At ndcg −2 % as chosen on validation: the test's figures without the step and with it."""
    names = ("diversity", "miscalibration", "coverage", "gini", "tail", "popularity", "age")
    table = Table("step", "strength", "ndcg@10 lost", *names, title=f"test people, page of {K}")
    first = next(iter(curves.values())).test_without
    table.add_row("none", "0", f"{first['ndcg']:.4f}", *(_say(name, first[name]) for name in names))
    for name, one in curves.items():
        lost = f"{np.mean(one.test_loss_by_seed):.1%} ({' '.join(f'{loss:.1%}' for loss in one.test_loss_by_seed)})"
        table.add_row(name, f"{one.chosen:.2f}", lost, *(_say(figure, one.test[figure]) for figure in names))
    Console(width=150).print(table)
    for name, one in curves.items():
        print(
            f"{name}, validation: "
            + "; ".join(
                f"{strength:g}: ndcg {found['ndcg']:.4f}, {STEPS[name][1]} {_say(STEPS[name][1], found[STEPS[name][1]])}"
                for strength, found in one.valid.items()
            )
        )


def times(world: World) -> None:
    """Microseconds of the processor for each step alone, 200 candidates of real people → 20, over 200 people."""
    staged = world.parts["test"]
    table = Table("step", "median µs", "95 %", title="one list, 200 → 20")
    _, passage = staged.passages[0]
    queries = staged.holdout.queries
    slates = [
        Slate.of(one.item_idx, one.score, liked=queries.liked.row(row), disliked=queries.disliked.row(row), time=1e12)
        for row, one in enumerate(passage.stages[0].lists[:200])
    ]
    for name, (values, _) in STEPS.items():
        step = staged.rerankers(step_of(values))[0]
        seconds = []
        for slate in [slates[0], *slates]:
            began = time.thread_time()
            step.rerank(slate, 20)
            seconds.append(time.thread_time() - began)
        median, slow = np.quantile(np.array(seconds[1:]) * 1e6, [0.5, 0.95])
        table.add_row(name, f"{median:.0f}", f"{slow:.0f}")
    Console(width=90).print(table)


def plot(curves: Mapping[str, Curve], file: Path) -> None:
    """One panel a figure: ndcg against it, for the steps that are for it and those that move it most."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8.5), layout="constrained")
    FigureCanvasAgg(figure)
    own_colour = dict(zip(STEPS, COLOURS, strict=True))
    for place, (name, label) in enumerate(PANELS.items(), start=1):
        axes = figure.add_subplot(2, 3, place)
        start = next(iter(curves.values())).valid[0.0]
        reach = {step: abs(one.valid[1.0][name] - start[name]) for step, one in curves.items()}
        own = [step for step in curves if STEPS[step][1] == name]
        others = [step for step in sorted(reach, key=lambda step: -reach[step]) if step not in own]
        for step in [*own, *others][: max(4, len(own))]:
            points = np.array([[found[name], found["ndcg"]] for found in curves[step].valid.values()])
            axes.plot(*points.T, "o-", ms=3.5, lw=1.3, color=own_colour[step], label=step)
        axes.axhline((1 - MAX_LOSS) * start["ndcg"], color="#999999", lw=0.8, ls="--")
        axes.plot(start[name], start["ndcg"], "s", color="black", ms=6, zorder=5)
        axes.set(xlabel=label, ylabel="ndcg@10")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle(
        "What re-ranking costs and buys: MovieLens 1M, mf, validation people. Square: strength 0; dashes: −2 %"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def _say(name: str, value: float) -> str:
    return f"{value:.0f}" if name == "age" else f"{value:.3f}"


if __name__ == "__main__":
    main()
