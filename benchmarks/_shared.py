"""What the scripts of published tables share: fitting by name, a search on validation, what an evaluation costs.

``evaluation_cost`` runs this module in a process of its own: ``python -m benchmarks._shared FILE``.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout
from shortlist.evaluation.background import Background
from shortlist.evaluation.candidates import candidates_of
from shortlist.evaluation.evaluator import evaluate
from shortlist.evaluation.metrics import METRICS
from shortlist.models.base import Retriever
from shortlist.retrieval import ExactIndex
from shortlist.settings import EASESettings, ItemKNNSettings, MFSettings, PopularitySettings, Settings
from shortlist.training.baselines import fit_closed_form

Chosen = Mapping[str, Any]  # settings of one model
Stage = Callable[[Chosen], Sequence[Chosen]]  # the best so far → what to try next
KINDS = {"popularity": PopularitySettings, "item_knn": ItemKNNSettings, "ease": EASESettings, "mf": MFSettings}
KS = (10, 20, 100)


@dataclass(frozen=True)
class Trial:
    """Settings and what they gave on validation."""

    chosen: Chosen
    figures: Mapping[str, float]


def grid(**values: Sequence[Any]) -> list[Chosen]:
    """All combinations."""
    return [dict(zip(values, one, strict=True)) for one in product(*values.values())]


def fit(
    name: str, chosen: Chosen, train: Interactions, dataset: Dataset, settings: Settings, seed: int = 0
) -> Retriever:
    """Fit the model of this name; the seed is that of starting vectors."""
    return fit_closed_form(KINDS[name](**chosen), train, dataset, settings.model_copy(update={"seed": seed}))


def search(
    name: str,
    stages: Sequence[Stage],
    fitted: Callable[[Chosen], Retriever],
    judge: Callable[[Retriever], Mapping[str, float]],
) -> Trial:
    """Try what each stage makes of the best so far; the first figure of ``judge`` decides. Says what was found."""
    trials: list[Trial] = []
    started = time.perf_counter()
    for stage in stages:
        for chosen in stage(best(trials).chosen if trials else {}):
            trials.append(Trial(chosen, judge(fitted(chosen))))
            print(f"  {name} {say(chosen)}: {say(trials[-1].figures)}", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - started
    for figure in trials[0].figures:
        found = best(trials, figure)
        print(
            f"{name}: of {len(trials)} settings {figure} on validation selects {say(found.chosen)} ({say(found.figures)})"
        )
    print(f"{name}: search took {seconds:.0f} s", flush=True)
    return best(trials)


def best(trials: Sequence[Trial], figure: str = "") -> Trial:
    """By one figure; by default the first."""
    return max(trials, key=lambda one: one.figures[figure or next(iter(one.figures))])


def say(values: Mapping[str, Any]) -> str:
    """``regularization 300, ndcg@10 .1234``, short."""
    return ", ".join(f"{key} {value:.4f}" if "@" in key else f"{key} {value:g}" for key, value in values.items())


def corpus_ranks(retriever: Retriever, holdout: Holdout) -> Ragged:
    """Of every target among the whole corpus without seen items."""
    index = ExactIndex(retriever.encode_items())
    return index.ranks(retriever.encode_queries(holdout.queries), holdout.targets, candidates_of(holdout))


def mean(ranks: Ragged, figure: str) -> float:
    """``ndcg@10`` of these ranks."""
    metric, k = figure.split("@")
    return float(METRICS[metric](ranks, int(k)).mean())


def timed(function: Callable[[], Any], times: int = 1) -> tuple[Any, float]:
    """The result and the shortest wall time."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - started)
    return result, min(seconds)


def peak_mb() -> float:
    """The most memory this process ever held. (Linux's ``ru_maxrss`` counts what its parent held when it was started.)"""
    status = Path("/proc/self/status")
    if status.exists():
        return float(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def machine() -> str:
    """For a table's title: cores, threads of BLAS, load by others at the start."""
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "all")
    return f"{os.cpu_count()} cores, OPENBLAS_NUM_THREADS {threads}, load {os.getloadavg()[0]:.1f}"


def evaluation_cost(retriever: Retriever, holdout: Holdout, background: Background | None = None) -> dict[str, float]:
    """Seconds and extra peak memory of evaluating all queries, in a fresh process that holds nothing else.

    Returns:
        seconds of ``encode`` (queries alone), ``evaluate`` (with encoding), ``metrics`` (all of accuracy, all k) and ``figures``
        (means and bootstrap, and with a background beyond accuracy); ``mb``, above what the process held before.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "given.pickle"
        file.write_bytes(pickle.dumps((retriever, holdout, background), protocol=5))
        command = [sys.executable, "-m", "benchmarks._shared", str(file)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure(file: str) -> dict[str, float]:
    from shortlist.retrieval import compiled

    # compiling, or reading the compiled code, comes before the clock
    scores = np.zeros((4, 64), np.float32)
    compiled.top(scores, 10)
    compiled.ranks(scores, Ragged.from_rows([[0]] * 4), 0)
    with open(file, "rb") as opened:
        retriever, holdout, background = pickle.load(opened)
    before = peak_mb()
    evaluation, first = timed(lambda: evaluate(retriever, holdout, KS))

    def metrics() -> None:
        for metric in METRICS:
            for k in KS:
                evaluation.per_query(metric, k)
        evaluation.per_query("auc")

    _, metrics_first = timed(metrics)
    mb = peak_mb() - before
    _, again = timed(lambda: evaluate(retriever, holdout, KS), 2)
    _, encode = timed(lambda: retriever.encode_queries(holdout.queries), 3)
    _, metrics_again = timed(metrics, 2)
    found = {"encode": encode, "evaluate": min(first, again), "metrics": min(metrics_first, metrics_again), "mb": mb}
    if background is not None:
        known = evaluate(retriever, holdout, KS, background)
        found["figures"] = timed(known.figures)[1]
    return found


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1])))
