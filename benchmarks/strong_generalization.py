"""Strong generalization on MovieLens 1M (Liang et al., *Variational Autoencoders for Collaborative Filtering*, WWW 2018).

    python -m benchmarks.strong_generalization [--seeds 3] [--search]

Ratings of 4 and more are the positives and all that is known; people with at least 5 of them count. 1,000 of these are
for validation, 1,000 are the test (seed 98765), the rest train. A held-out person is asked with a random 80 % of their films;
the other 20 % are to be found in the whole corpus, which is the films of the training people, without the query's own.
Recall is divided by min(k, relevant). All settings and epochs are chosen by ndcg@100 of the validation people, nothing is
fitted anew on them, and the test is asked once.

``mf`` (its starting vectors) and ``softmax_dnn`` are fitted with several seeds. Differences are of the same people's figures,
the mean over a model's seeds, with a bootstrap interval over people. ``--search`` also tries ``softmax_dnn`` with the single
changes of ``SEARCHED``, with seed 0 and on validation alone, says what each is worth, and goes on with the best.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._shared import Chosen, Stage, corpus_ranks, fit, grid, machine, mean, peak_mb, search
from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.preparation import prepare
from shortlist.data.ragged import Ragged
from shortlist.data.sources import folder_of, known_dataset
from shortlist.data.splitting import Holdout, split
from shortlist.evaluation.metrics import METRICS
from shortlist.evaluation.statistics import compare
from shortlist.models.base import Retriever
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_for_selection

FIGURES = ("ndcg@100", "recall_capped@20", "recall_capped@50")
HELD_OUT, SPLIT_SEED = 1000, 98765
STAGES: Mapping[str, Sequence[Stage]] = {
    "popularity": [lambda _: [{}]],
    "item_knn": [
        lambda _: grid(neighbours=(30, 100, 300), shrinkage=(0,), exponent=(0.3, 0.4, 0.5, 0.6)),
        lambda found: [{**found, "shrinkage": value} for value in (10, 30, 100)],
    ],
    "ease": [
        lambda _: grid(regularization=(100, 200, 300, 500, 700, 1000)),
        lambda found: [{"regularization": found["regularization"] * factor} for factor in (0.7, 0.85, 1.2)],
    ],
    "mf": [
        lambda _: grid(
            embedding_dim=(128,),
            iterations=(12,),
            regularization=(0.003, 0.006, 0.01, 0.02, 0.03),
            unobserved_weight=(0.03, 0.1, 0.3, 1.0),
        ),
        lambda found: [{**found, "embedding_dim": value} for value in (64, 256, 512, 1024)],
        lambda found: [
            {**found, name: found[name] * factor}
            for name in ("regularization", "unobserved_weight")
            for factor in (0.5, 0.7, 1.4, 2)
        ],
        lambda found: [*({**found, "iterations": value} for value in (8, 20)), {**found, "init_scale": 1.0}],
    ],
}
RETRIEVER: Chosen = {
    "model": "softmax_dnn",
    "target": "multi_hot",
    "target_share": 0.2,
    "target_weight": "item",
    "embedding_dim": 1024,
    "history_alone": True,
    "tied": True,
    "history_windows": (4000,),  # all of a person's films
    "history_dropout": 0.0,
    "history_exponent": 0.75,
}
TRAINING: Chosen = {"epochs": 100, "batch_size": 128, "learning_rate": 0.003, "weight_decay": 0.5, "patience": 6}
SEARCHED: Sequence[Chosen] = (
    {"target_weight": "query"},
    {"tied": False},
    {"target_share": 0.5},
    {"history_exponent": 0.5},
    {"history_exponent": 0.6, "weight_decay": 0.3},
    {"history_dropout": 0.3},
    {"weight_decay": 0.0},
    {"embedding_dim": 512},
    {"history_alone": False, "hidden_dims": ()},
    {"history_alone": False, "hidden_dims": (512,)},
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3, help="of mf and softmax_dnn; the other models have none")
    parser.add_argument("--search", action="store_true", help="try other settings of softmax_dnn, too")
    arguments = parser.parse_args()
    started, title = time.perf_counter(), f"strong generalization, ml-1m; {machine()}"
    dataset, train, valid, test = protocol()
    settings = Settings()

    def judge(retriever: Retriever) -> dict[str, float]:
        return {"ndcg@100": mean(corpus_ranks(retriever, valid), "ndcg@100")}

    fitted: dict[str, list[Retriever]] = {}
    seconds: dict[str, float] = {}
    for name, stages in STAGES.items():
        chosen = search(name, stages, partial(fit, name, train=train, dataset=dataset, settings=settings), judge).chosen
        begun, seeds = time.perf_counter(), range(arguments.seeds if name == "mf" else 1)
        fitted[name] = [fit(name, chosen, train, dataset, settings, seed) for seed in seeds]
        seconds[name] = (time.perf_counter() - begun) / len(seeds)
    change: Chosen = {}
    if arguments.search:
        change = max(({}, *SEARCHED), key=lambda one: network(dataset, train, valid, one, 0)[1])
    print(f"softmax_dnn: {RETRIEVER}, {TRAINING}, changed by {change or 'nothing'}", flush=True)
    begun = time.perf_counter()
    fitted["softmax_dnn"] = [network(dataset, train, valid, change, seed)[0] for seed in range(arguments.seeds)]
    seconds["softmax_dnn"] = (time.perf_counter() - begun) / arguments.seeds

    table = Table("model", *FIGURES, "ndcg@100 by seed", "fit s", title=title)
    per_user: dict[str, NDArray[np.float64]] = {}
    for name, models in fitted.items():
        ranks = [corpus_ranks(one, test) for one in models]
        per_user[name] = np.mean([METRICS["ndcg"](one, 100) for one in ranks], axis=0)
        by_seed = " ".join(f"{mean(one, 'ndcg@100'):.4f}" for one in ranks)
        values = [f"{np.mean([mean(one, figure) for one in ranks]):.4f}" for figure in FIGURES]
        table.add_row(name, *values, by_seed if len(ranks) > 1 else "", f"{seconds[name]:.1f}")
    Console(width=120).print(table)
    for name in ("ease", "mf"):
        found = compare(per_user["softmax_dnn"], per_user[name])
        print(
            f"softmax_dnn − {name}, ndcg@100: {found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] over "
            f"{found.num_queries:,} people, better with probability {found.probability:.3f}"
        )
    print(f"{arguments.seeds} seeds; peak memory {peak_mb():,.0f} MB; {time.perf_counter() - started:.0f} s in all")


def protocol() -> tuple[Dataset, Interactions, Holdout, Holdout]:
    """The data, what is learned from, and the two holdouts."""
    ratings: pa.Table = known_dataset("ml-1m").tables(folder_of("ml-1m")).interactions
    ratings = ratings.filter(pc.greater_equal(ratings["rating"], 4)).select(["user_id", "item_id"])
    counts = ratings.group_by("user_id").aggregate([("item_id", "count")])
    able = counts.filter(pc.greater_equal(counts["item_id_count"], 5))["user_id"]
    ratings = ratings.filter(pc.is_in(ratings["user_id"], able))
    share = HELD_OUT / len(able)
    settings = Settings.from_dict(
        {"split": {"method": "by_user", "query_part": "random", "valid_fraction": share, "test_fraction": share}}
    )
    dataset = prepare(ratings, settings=settings.data)
    parts = split(dataset, settings.split, SPLIT_SEED)
    taken = np.bincount(parts.train.item_idx, minlength=dataset.num_items)
    valid, test = (within(one, taken > 0) for one in (parts.valid, parts.test))
    print(
        f"{dataset.num_users:,} people, {len(dataset.interactions):,} positives; train: {len(np.unique(parts.train.user_idx)):,} "
        f"people, {len(parts.train):,} positives, {np.count_nonzero(taken):,} films; validation {len(valid):,} people, "
        f"{len(valid.targets.values):,} targets; test {len(test):,} people, {len(test.targets.values):,} targets",
        flush=True,
    )
    return dataset, parts.train, valid, test


def within(holdout: Holdout, is_item: NDArray[np.bool_]) -> Holdout:
    """The same questions in a smaller corpus: other items are no history, no target and no candidate."""
    others = np.flatnonzero(~is_item)
    liked, targets = (one.where(is_item[one.values]) for one in (holdout.queries.liked, holdout.targets))
    assert targets.lengths.all(), "a person whose targets are all outside the corpus"
    absent = Ragged.from_lengths(np.tile(others, len(holdout)), np.full(len(holdout), len(others)))
    queries = replace(holdout.queries, liked=liked)
    return replace(holdout, queries=queries, targets=targets, seen=holdout.seen.concat_rows(absent))


def network(
    dataset: Dataset, train: Interactions, valid: Holdout, change: Chosen, seed: int
) -> tuple[Retriever, float]:
    """``softmax_dnn`` with some settings changed, and its validation figure; says both."""
    training = {**TRAINING, **{key: value for key, value in change.items() if key in TRAINING}}
    retriever = {**RETRIEVER, **{key: value for key, value in change.items() if key not in TRAINING}}
    settings = Settings.from_dict(
        {"seed": seed, "retriever": retriever, "training": training, "evaluation": {"select_on": "ndcg@100"}}
    )
    begun = time.perf_counter()
    found = fit_for_selection(dataset, train, valid, settings)
    assert found.run is not None
    print(
        f"softmax_dnn {change or ''}, seed {seed}: validation ndcg@100 {found.figure:.4f} at epoch {found.run.best_epoch} of "
        f"{len(found.run.epochs)}, {time.perf_counter() - begun:.0f} s",
        flush=True,
    )
    return found.retriever, found.figure


if __name__ == "__main__":
    main()
