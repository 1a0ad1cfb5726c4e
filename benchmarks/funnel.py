"""What ranking adds to retrieval: the funnel beside its retriever alone, on the same queries.

    python -m benchmarks.funnel [--protocols strictly_before in_order news] [--retrievers mf] [--rankers ...] [--seeds 3]
                                [--search] [--set section.key=value ...]

``strictly_before`` and ``in_order``: MovieLens 1M, each person's last film, with ages, genres and years; they differ in whether
what shares the target's second and stands before it is history. ``news``: globo-clicks from ``--start``, learn until 15 October
2017, select on that day, be asked on the 16th at each person's first click, among what was clicked before by anybody
(``benchmarks.in_batch_ablation`` tells more). Whole corpus, seen items removed.

Every stage is fitted twice, as ``shortlist train`` does: on the training part, where validation selects epochs (and with
``--search`` the ranker's settings, one seed), and for the test on both parts. The feature rankers learn from the candidates of
a third retriever, fitted on the older four fifths of the training part (``training.ranking_examples``). The test is asked once,
by the chosen settings. The interval is of the paired difference to the retriever alone, queries resampled, figures first
averaged over the seeds. ``ceiling``: recall@200 of the candidates, which no ranker can change.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait
from benchmarks._funnel import FIGURES, Ground, Kept, ground, say_reliability, show, values
from benchmarks._shared import machine, say
from shortlist.evaluation.metrics import METRICS
from shortlist.evaluation.ranked import RankedCandidates
from shortlist.models.base import Ranker
from shortlist.settings import DeepCrossSettings, FeatureRankerSettings, RankerTargets, Settings
from shortlist.training.feature_rankers import fit_feature_ranker, lessons_of
from shortlist.training.rankers import fit_ranker
from shortlist.training.ranking_examples import newer_queries, older_rows
from shortlist.training.retrievers import fit_again, fit_for_selection

NEWS = {"dropout": 0.1, "history": "recency", "history_windows": [20, 5, 1], "history_dropout": 0.2}
RETRIEVERS: Mapping[str, Mapping[str, Any]] = {
    "mf": {"retriever": {"model": "mf", "embedding_dim": 128, "unobserved_weight": 1.0, "regularization": 0.003}},
    "mf_recent": {
        "retriever": {
            "model": "mf",
            "embedding_dim": 128,
            "unobserved_weight": 1.0,
            "regularization": 0.01,
            "recency": 7.0,
        }
    },
    "softmax_dnn": {
        "retriever": {"model": "softmax_dnn"},
        "training": {"batch_size": 1024, "epochs": 12, "patience": 3},
    },
    "news_dnn": {
        "retriever": {"model": "softmax_dnn", **NEWS},
        "training": {"batch_size": 512, "learning_rate": 0.003, "epochs": 3, "patience": 3},
    },
    "recent_popularity": {"retriever": {"model": "recent_popularity", "half_life_days": 0.05}},
}
RANKERS: Mapping[str, Mapping[str, Any]] = {
    "deep_cross": {"model": "deep_cross", "epochs": 4},
    "boosted_trees": {"model": "boosted_trees"},
    "neumf": {"model": "neumf", "epochs": 8, "patience": 2},
}
SEARCHED: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "deep_cross": ({}, {"loss": "logistic"}, {"learning_rate": 0.006}),
    "boosted_trees": ({}, {"objective": "binary"}, {"leaves": 31}),
    "neumf": ({},),
}
KEPT: Mapping[str, Mapping[str, Mapping[str, Any]]] = {  # what --search selected
    "strictly_before": {"boosted_trees": {"objective": "binary"}},
    "in_order": {"boosted_trees": {"objective": "binary"}},
}


class Bench:
    """One protocol, one retriever, one seed: fitted for selection and for the test."""

    def __init__(self, on: Ground, retriever: str, ranker: Mapping[str, Any], seed: int, overrides: list[str]) -> None:
        self.on = on
        self.base = on.settings.get("ranker", {})
        given = {**on.settings, **RETRIEVERS[retriever], "ranker": dict(ranker), "seed": seed}
        self.settings = Settings.from_dict(given).overlaid(
            None, [one for one in overrides if not one.startswith("ranker.")]
        )
        started = time.perf_counter()
        found = fit_for_selection(on.dataset, on.parts.train, on.parts.valid, self.settings)
        self.epochs = None if found.run is None else found.run.best_epoch
        self.selecting = found.retriever
        self.serving = fit_again(on.dataset, on.parts.train_and_valid, self.settings, self.epochs)
        self.seconds = time.perf_counter() - started
        self.test = RankedCandidates(self.serving, on.parts.test, 200)
        told = "" if self.epochs is None else f" in epoch {self.epochs}"
        print(
            f"  {retriever}, seed {seed}: validation ndcg@10 {found.figure:.4f}{told}; {self.seconds:.0f} s", flush=True
        )
        self.overrides = [one for one in overrides if one.startswith("ranker.")]
        self._prepared: dict[str, Any] = {}

    def ranker(self, chosen: Mapping[str, Any], console: Console | None = None) -> tuple[Ranker, dict[str, Any]]:
        """A ranker of these settings, fitted and selected."""
        asked = Settings.from_dict({"ranker": dict(chosen) if chosen["model"] == "neumf" else {**self.base, **chosen}})
        given = (asked if chosen["model"] == "neumf" else asked.overlaid(None, self.overrides)).ranker
        settings = self.settings.model_copy(update={"ranker": given})
        dataset, parts, started = self.on.dataset, self.on.parts, time.perf_counter()
        if isinstance(settings.ranker, FeatureRankerSettings):
            targets = getattr(given, "targets", RankerTargets())  # the same lists do for all that foretell the same
            key = ", ".join(name for name, one in targets.model_dump().items() if one is not None)
            if key not in self._prepared:
                self._prepared[key] = lessons_of(dataset, parts.train, settings, self.epochs, console)
                print(f"  candidates to learn from: {time.perf_counter() - started:.0f} s", flush=True)
            started = time.perf_counter()
            found = fit_feature_ranker(
                dataset, parts, settings, self.selecting, self.serving, self.epochs, console, None, self._prepared[key]
            )
            ranker: Ranker = found[0]
            told = {**found[1], **found[2]}
        else:
            fitted = fit_ranker(dataset, parts, settings, self.selecting, self.serving, console)
            ranker, told = fitted.ranker, dict(fitted.selected)
        return ranker, told | {"seconds": time.perf_counter() - started}


def skew(bench: Bench) -> None:
    """How far the lists a ranker learns from are like those it will order: where the next item stands in them."""
    dataset, parts = bench.on.dataset, bench.on.parts
    chosen = DeepCrossSettings(target_window=1, newcomers=0, max_queries=6000)
    older = older_rows(parts.train, chosen.share, bench.settings.split)
    asked, _ = newer_queries(dataset, parts.train, older, chosen, bench.settings.split)
    honest = fit_again(dataset, parts.train.take(older), bench.settings, bench.epochs)
    for told, retriever, holdout in (
        ("fitted on the older part, asked for the newer", honest, asked),
        ("fitted on all of it, asked for the newer (leaks)", bench.selecting, asked),
        ("fitted on training, asked for validation", bench.selecting, parts.valid),
        ("fitted on both, asked for the test", bench.serving, parts.test),
    ):
        ranks = RankedCandidates(retriever, holdout, 200).retrieved_ranks
        named = (("ndcg", 10), ("recall", 10), ("recall", 50), ("recall", 200))
        found = {f"{name}@{k}": float(METRICS[name](ranks, k).mean()) for name, k in named}
        print(f"  {told}: {say(found)}", flush=True)


def searched(bench: Bench, name: str, protocol: str, *, is_searched: bool, console: Console | None) -> dict[str, Any]:
    """The settings best on validation."""
    base = {**RANKERS[name], **KEPT.get(protocol, {}).get(name, {})}
    if not is_searched:
        return base
    tried = []
    for more in SEARCHED[name]:
        _, told = bench.ranker({**base, **more}, console)
        tried.append((told["validation"], len(tried), more))
        print(
            f"  {name} {more or 'as it is'}: validation ndcg@10 {told['validation']:.4f} (epoch {told['epochs']}, "
            f"{told['seconds']:.0f} s)",
            flush=True,
        )
    return {**base, **max(tried)[2]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocols", nargs="+", default=["strictly_before", "in_order", "news"])
    parser.add_argument("--retrievers", nargs="+", default=[], help="default: mf, and news_dnn for news")
    parser.add_argument("--rankers", nargs="+", default=["deep_cross", "boosted_trees", "neumf"], choices=list(RANKERS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--start", default="2017-10-12", help="of the news")
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--skew", action="store_true", help="where targets stand in the lists of several retrievers")
    parser.add_argument("--no-test", action="store_true", help="validation only")
    parser.add_argument("--keep", help="folder of figures by query: what is there is not run again")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="SECTION.KEY=VALUE")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    console = Console(stderr=True) if arguments.verbose else None
    for protocol in arguments.protocols:
        on = ground(protocol, arguments.start)
        print(f"{protocol}: {on.dataset.summary}; {on.parts.description}", flush=True)
        for retriever in arguments.retrievers or (["news_dnn"] if protocol == "news" else ["mf"]):
            run(on, protocol, retriever, arguments, console)


def run(on: Ground, protocol: str, retriever: str, arguments: argparse.Namespace, console: Console | None) -> None:
    kept = Kept(Path(arguments.keep) if arguments.keep else None, f"{protocol}.{retriever}")
    chosen: dict[str, dict[str, Any]] = {}
    for seed in range(arguments.seeds):
        missing = [name for name in arguments.rankers if arguments.search or not kept.has(name, seed)]
        if not missing:
            continue
        bench = Bench(on, retriever, RANKERS[missing[0]], seed, arguments.overrides)
        if not arguments.no_test:
            ceiling = METRICS["recall"](bench.test.retrieved_ranks, 200)[:, None]
            kept.put(retriever, seed, np.concatenate([values(bench.test.retrieved_ranks), ceiling], axis=1))
        if arguments.skew:
            skew(bench)
        for name in missing:
            if name not in chosen:
                chosen[name] = searched(bench, name, protocol, is_searched=arguments.search, console=console)
                print(f"  {name}: {chosen[name]}")
            if arguments.no_test:
                continue
            ranker, found = bench.ranker(chosen[name], console)
            kept.put(name, seed, values(bench.test.ranks(ranker)))
            told = f"{found['seconds']:.0f} s, epoch {found['epochs']}, validation {found['validation']:.4f}"
            print(f"  {name}, seed {seed}: {told}, test ndcg@10 {kept.rows[name][-1][:, 0].mean():.4f}")
            if "calibration" in found:
                ece = {when: found["calibration"][when] for when in ("before", "after")}
                print("   " + "; ".join(f"{when}: {say_reliability(one)}" for when, one in ece.items()), flush=True)
    if not arguments.no_test:
        alone = kept.rows[retriever]
        ceiling = np.mean([one[:, -1].mean() for one in alone])
        rows = {**kept.rows, retriever: [one[:, : len(FIGURES)] for one in alone]}
        show(f"{protocol}; {machine()}; recall@200 of the candidates {ceiling:.4f}", retriever, rows)


if __name__ == "__main__":
    main()
