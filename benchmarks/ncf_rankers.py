"""NCF protocol on MovieLens 1M, its own models beside a dot product: GMF, MLP, NeuMF (He et al. 2017) and matrix factorization.

    python -m benchmarks.ncf_rankers [--rows gmf mlp neumf pretrained logistic dot history] [--dims 64] [--seeds 0 1 2]

Data, negatives and validation are those of ``benchmarks.ncf_protocol``: each user's last positive of train among 99 uniform
unobserved items, by ndcg@10. There the epochs of each row are selected, with seed 0; how rates, regularization and widths were
is told in docs/LOG.md. Then all of train is learned from for as long, with every seed, and the test is asked once. The best
epoch of that training *on the test*, which is how the paper's figures were chosen, stands apart: it is optimistic.

``dot`` and ``logistic`` are products of two vectors, by our own softmax over the whole corpus and by NeuMF's loss with plain
SGD (``logistic_mf``): the question of Rendle et al. (RecSys 2020) is what a learned similarity adds. ``history`` is a product as
well, by the same softmax, but its user is no vector learned by heart: ``softmax_dnn`` makes one of what the person took, in its
order. No other row knows the order, so that it is no answer to Rendle's question; it is what the data had to say beside it.
Full-corpus figures stand in the last column: sampled ones do not keep the order of models (Krichene and Rendle 2020).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks._shared import corpus_ranks, machine, mean, peak_mb
from benchmarks.ncf_protocol import OTHERS, pair, with_negatives
from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.loading import load_dataset
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout, split
from shortlist.evaluation.sampled import sampled_ranks, sampled_ranks_of
from shortlist.models.ncf import NCF
from shortlist.models.network import NetworkRetriever
from shortlist.settings import LogisticMFSettings, NCFSettings, NetworkSettings, Settings
from shortlist.training.logistic_mf import fit_logistic_mf
from shortlist.training.ncf_training import fit_ncf
from shortlist.training.networks import objective_of, untrained
from shortlist.training.progress import Progress
from shortlist.training.trainer import fit

Figures = tuple[float, float]  # hr@10, ndcg@10
Watch = Callable[[Any], float]
ROWS: Mapping[str, Mapping[str, Any]] = {
    "gmf": {"model": "gmf"},
    "mlp": {"model": "mlp"},
    "neumf": {"model": "neumf", "epochs": 14, "learning_rate": 0.007, "regularization": 0.03, "average": 0.997},
    "pretrained": {"model": "neumf", "pretrained": True},
    "logistic": {},
    "dot": {},
    "history": {},
}
LOGISTIC = LogisticMFSettings(embedding_dim=192, epochs=256, learning_rate=0.002, regularization=0.005, patience=256)
LABELS = {
    "logistic": "dot product, logistic loss, d 192",
    "dot": "dot product, softmax, d 192",
    "history": "dot product, softmax, history in its order",
}
DOT: Mapping[str, Any] = {
    "features": {"user": {"user_id": {"kind": "id"}}, "item": {}},
    "retriever": {
        "model": "two_tower",
        "embedding_dim": 192,
        "item_hidden_dims": (),
        "history": "none",
        "target": "multi_hot",
        "target_share": 1.0,
        "target_weight": "item",
        "similarity": "cosine",
        "temperature": 0.1,
    },
    "training": {
        "epochs": 35,
        "batch_size": 512,
        "learning_rate": 0.01,
        "schedule": "cosine",
        "warmup_steps": 30,
        "average": 0.0,
        "patience": 10,
    },
}
HISTORY: Mapping[str, Any] = {
    "features": {"user": {}, "item": {}},
    "retriever": {"model": "softmax_dnn", "history": "mean"},
    "training": {"batch_size": 1024, "epochs": 40, "patience": 5},
}


@dataclass(frozen=True)
class Fit:
    """A model and its figures after every epoch on what it was watched on."""

    model: NCF | NetworkRetriever
    epochs: Mapping[str, int]
    course: list[Figures]
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--dims", nargs="+", type=int, default=[64], help="factors of gmf, mlp and neumf")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", nargs="+", type=int, help="of each stage, as selected before: no selection again")
    arguments = parser.parse_args()
    title = f"ncf-ml-1m; {machine()}"
    columns = ("model", "hr@10 / ndcg@10", "by seed", "validation", "epochs", "fit s", "optimistic", "full corpus")
    table = Table(*columns, title=title)
    for name in arguments.rows:
        settings = Settings.from_dict({"data": {"dataset": "ncf-ml-1m"}, **(HISTORY if name == "history" else DOT)})
        dataset = load_dataset(settings)
        parts = split(dataset, settings.split)
        valid = with_negatives(parts.valid, dataset.num_items)
        for dim in arguments.dims if name not in LABELS else [0]:
            label = f"{name} {dim}" if dim else LABELS[name]
            chosen, selected = (np.nan, np.nan), dict(zip(stages(name), arguments.epochs or (), strict=False))
            if not selected:
                selection = fit_row(name, dim, parts.train, dataset, settings, valid, 0)
                chosen, selected = max(selection.course, key=lambda one: one[1]), dict(selection.epochs)
                print(f"{label}: validation {pair(chosen)}, epochs {selected}, {selection.seconds:.0f} s", flush=True)
            found, optimistic, corpus, seconds = [], [], [], []
            for seed in arguments.seeds:
                last = fit_row(name, dim, parts.train_and_valid, dataset, settings, parts.test, seed, selected)
                found.append(last.course[-1])
                optimistic.append(max(last.course, key=lambda one: one[1]))
                ranks = corpus_ranks_of(last.model, parts.test)
                corpus.append((mean(ranks, "hit_rate@10"), mean(ranks, "ndcg@10")))
                seconds.append(last.seconds)
                print(
                    f"{label}, seed {seed}: {pair(found[-1])}, full corpus {pair(corpus[-1])}, {last.seconds:.0f} s",
                    flush=True,
                )
            epochs = "+".join(map(str, selected.values()))
            figures = [pair(np.mean(one, axis=0).tolist()) for one in (found, optimistic, corpus)]
            by_seed = " ".join(f"{hr:.4f}/{ndcg:.4f}" for hr, ndcg in found)
            middle = (by_seed, pair(chosen), epochs, f"{np.median(seconds):.0f}")
            table.add_row(label, figures[0], *middle, *figures[1:])
    for name, (*peer, source) in OTHERS.items():
        table.add_row(name, f"{pair(peer)} {source}", style="dim")
    Console(width=150).print(table)
    print(f"optimistic: the epoch that is best on the test, as in the paper; peak {peak_mb():,.0f} MB")


def stages(name: str) -> list[str]:
    """What is trained one after the other."""
    return {"logistic": ["logistic_mf"], "pretrained": ["gmf", "mlp", "neumf"]}.get(name, [name])


def fit_row(
    name: str,
    dim: int,
    train: Interactions,
    dataset: Dataset,
    settings: Settings,
    watched: Holdout,
    seed: int,
    epochs: Mapping[str, int] | None = None,
) -> Fit:
    """Fit, with figures on ``watched`` after every epoch; they select the epoch only where ``epochs`` do not say it."""
    started, stage = time.perf_counter(), [""]
    course: list[Figures] = []

    def watch(model: Any) -> float:
        is_ncf = isinstance(model, NCF)
        if is_ncf and model.name != stage[0]:  # of a pre-trained one the last stage alone
            stage[0] = model.name
            course.clear()
        ranks = sampled_ranks_of(model, watched) if is_ncf else sampled_ranks(model, watched)
        course.append((mean(ranks, "hit_rate@10"), mean(ranks, "ndcg@10")))
        return course[-1][1] if epochs is None else float(len(course))  # the last is then the best

    if name in ("dot", "history"):
        model, found = fit_network(name, train, dataset, settings, watch, seed, epochs)
        return Fit(model, found, course, time.perf_counter() - started)
    if name == "logistic":
        ncf, runs = fit_logistic_mf(train, dataset.num_items, LOGISTIC, watch, seed=seed, epochs=epochs)
    else:
        chosen = NCFSettings.model_validate({"embedding_dim": dim, **ROWS[name]})
        ncf, runs = fit_ncf(train, dataset.num_items, chosen, watch, seed=seed, epochs=epochs)
    found = {one: run.best_epoch for one, run in runs.items()}
    return Fit(ncf, found, course, time.perf_counter() - started)


def fit_network(
    name: str,
    train: Interactions,
    dataset: Dataset,
    settings: Settings,
    watch: Watch,
    seed: int,
    epochs: Mapping[str, int] | None,
) -> tuple[NetworkRetriever, Mapping[str, int]]:
    """A retriever of two vectors, by cross-entropy over the corpus."""
    torch.manual_seed(seed)
    assert isinstance(settings.retriever, NetworkSettings)
    model = untrained(dataset, train, settings.retriever)
    objective = objective_of(model, dataset, train, settings.retriever, settings)
    stop_after = None if epochs is None else epochs[name]
    with Progress(len(objective.examples)) as progress:
        run = fit(
            model,
            objective,
            lambda: watch(model),
            settings.training,
            seed=seed,
            progress=progress,
            stop_after=stop_after,
        )
    return model, {name: run.best_epoch}


def corpus_ranks_of(model: NCF | NetworkRetriever, holdout: Holdout) -> Ragged:
    """Of every target among the whole corpus without seen items."""
    if not isinstance(model, NCF):
        return corpus_ranks(model, holdout)
    ranks = []
    for row, scores in enumerate(model.score_corpus(holdout.user_idx)):
        own = scores[holdout.targets.row(row)]
        scores[holdout.seen.row(row)] = -np.inf
        ranks.append(1 + (scores[None, :] > own[:, None]).sum(axis=1))
    return Ragged(np.concatenate(ranks), holdout.targets.offsets)


if __name__ == "__main__":
    main()
