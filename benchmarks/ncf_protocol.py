"""NCF protocol on MovieLens 1M (He et al., WWW 2017): each test film ranked among the 99 given negatives of its user.

    python -m benchmarks.ncf_protocol [--seeds 3]

Train, test and negatives are the published files (``ncf-ml-1m``); all ratings are positive; a target loses ties. The negatives
of 156 users hold their own test film: the loader takes those out and asserts the count.

How settings are chosen: on each user's last positive of train, ranked among 99 items drawn uniformly (seed 0) from those that
are neither in the user's train nor the target: the protocol of the test, by ndcg@10. What the full corpus would select is
printed beside it. The chosen settings are then fitted on all of train and measured on the test once. Rows "as published" take
the published settings instead: they show that the same model gives the same figure. Full-corpus test figures stand in the last
column, because sampled ones do not keep the order of models (Krichene and Rendle, KDD 2020).

``mf_recent`` is ``mf`` to which late films weigh more (``recency``): the one row that knows in what order films were taken.

Published rows: [1] Ferrari Dacrema et al., TOIS 2021, additional tables 54/55; [2] Ferrari Dacrema et al., RecSys 2019,
FULL_RESULTS.md of their repository, whose item-kNN takes the cosine of BM25 weights, which ours does not: ``bm25_item_knn``
rebuilds it for this table; [3] He et al. 2017, best epoch on the test; [4] Rendle et al., RecSys 2020; [5] irspack's run of
Rendle et al., RecSys 2022.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_array, diags_array

from benchmarks._shared import Chosen, Stage, corpus_ranks, fit, grid, machine, mean, peak_mb, search, timed
from shortlist.data.interactions import Interactions
from shortlist.data.loading import load_dataset
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout, split
from shortlist.evaluation.sampled import sampled_ranks
from shortlist.models.base import Retriever
from shortlist.models.item_item import ItemItem, taken_matrix
from shortlist.settings import Settings

PEERS = {  # of our own rows: hr@10, ndcg@10, source
    "popularity": (0.4533, 0.2542, "[1]"),
    "item_knn": (0.6596, 0.3900, "[2]"),
    "ease": (0.7192, 0.4494, "[1]"),
    "mf": (0.7310, 0.4521, "iALS [5]"),
    "mf_recent": (0.7310, 0.4521, "iALS [5], knows no order"),
}
OTHERS = {
    "PureSVD": (0.6896, 0.4294, "[2]"),
    "NeuMF 64, from scratch": (0.705, 0.426, "[3]"),
    "NeuMF 64, pre-trained": (0.730, 0.447, "[3]"),
    "NeuMF, tuned honestly": (0.7093, 0.4349, "[1]"),
    "MF, logistic loss, d 192": (0.7294, 0.4523, "[4]"),
}
MF = {"embedding_dim": 192, "iterations": 12, "init_scale": 0.1}
AS_PUBLISHED: Mapping[str, Chosen] = {
    "item_knn": {"neighbours": 288, "shrinkage": 1000},  # of ``bm25_item_knn``
    "ease": {"regularization": 1320},
    "mf": {**MF, "regularization": 0.007, "unobserved_weight": 0.3},
}
STAGES: Mapping[str, Sequence[Stage]] = {
    "popularity": [],
    "item_knn": [
        lambda _: grid(neighbours=(30, 100, 300, 1000), shrinkage=(0, 100), exponent=(0.3, 0.4, 0.5, 0.6)),
        lambda found: [{**found, "shrinkage": value} for value in (10, 30, 300, 1000)],
    ],
    "ease": [lambda _: grid(regularization=(100, 200, 300, 500, 700, 1000, 1320, 2000, 3000, 5000))],
    "mf": [
        lambda _: [
            {**MF, **one}
            for one in grid(regularization=(0.003, 0.005, 0.007, 0.01, 0.015), unobserved_weight=(0.1, 0.3, 0.5, 1.0))
        ],
        lambda found: [*({**found, "iterations": value} for value in (8, 16)), {**found, "init_scale": 1.0}],
    ],
    "mf_recent": [
        lambda _: [
            {**MF, **one}
            for one in grid(regularization=(0.007, 0.01, 0.014), unobserved_weight=(0.2, 0.3, 0.5), recency=(3, 5, 7))
        ],
    ],
}
SEEDED = {"mf", "mf_recent"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3, help="of mf's starting vectors; the other models have none")
    parser.add_argument("--models", nargs="+", default=list(STAGES), choices=list(STAGES))
    arguments = parser.parse_args()
    started, title = time.perf_counter(), f"ncf-ml-1m; {machine()}"
    settings = Settings.from_dict({"data": {"dataset": "ncf-ml-1m"}})
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split)
    assert parts.test.negatives is not None
    removed = 99 * len(parts.test) - len(parts.test.negatives.values)
    assert removed == 156, f"{removed} negatives were taken out, but 156 are their user's own test film"
    valid = with_negatives(parts.valid, dataset.num_items)

    def judge(retriever: Retriever) -> dict[str, float]:
        sampled, corpus = sampled_ranks(retriever, valid), corpus_ranks(retriever, valid)
        return {"sampled ndcg@10": mean(sampled, "ndcg@10"), "ndcg@10": mean(corpus, "ndcg@10")}

    table = Table("model", "hr@10 / ndcg@10", "published", "difference", "fit s", "peak MB", "full corpus", title=title)
    for name in arguments.models:
        model = "mf" if name in SEEDED else name
        rows: list[tuple[str, Chosen]] = [(name, {})]
        if STAGES[name]:
            try_on = partial(fit, model, train=parts.train, dataset=dataset, settings=settings)
            rows = [(name, search(name, STAGES[name], try_on, judge).chosen)]
        rows += [(f"{name}, as published", AS_PUBLISHED[name])] if name in AS_PUBLISHED else []
        for label, chosen in rows:
            test: partial[Retriever] = partial(
                fit, model, chosen, train=parts.train_and_valid, dataset=dataset, settings=settings
            )
            if label == "item_knn, as published":
                test = partial(bm25_item_knn, parts.train_and_valid, dataset.num_items, **chosen)
            found, seconds = [], []
            for seed in range(arguments.seeds if name in SEEDED else 1):
                retriever, took = timed(partial(test, seed=seed) if name in SEEDED else test)
                ranks = sampled_ranks(retriever, parts.test), corpus_ranks(retriever, parts.test)
                found.append([mean(one, figure) for one in ranks for figure in ("hit_rate@10", "ndcg@10")])
                seconds.append(took)
                if name in SEEDED:
                    print(f"{label}, seed {seed}: {pair(found[-1][:2])}", flush=True)
            hr, ndcg, *corpus = np.mean(found, axis=0)
            *peer, source = PEERS[name]
            table.add_row(
                f"{label}, {len(found)} seeds" if len(found) > 1 else label,
                pair((hr, ndcg)),
                f"{pair(peer)} {source}",
                f"{hr - peer[0]:+.4f} / {ndcg - peer[1]:+.4f}",
                f"{np.median(seconds):.1f}",
                f"{peak_mb():,.0f}",
                pair(corpus),
            )
    for name, (*peer, source) in OTHERS.items():
        table.add_row(name, "", f"{pair(peer)} {source}", style="dim")
    Console(width=130).print(table)
    print(
        f"156 duplicates were removed from {99 * len(parts.test):,} negatives; peak memory is the process's so far; "
        f"{time.perf_counter() - started:.0f} s in all"
    )


def with_negatives(holdout: Holdout, num_items: int, count: int = 99, seed: int = 0) -> Holdout:
    """The holdout with negatives of our own: uniform, without repeats, neither seen nor a target."""
    keys = np.random.default_rng(seed).random((len(holdout), num_items), dtype=np.float32)
    taken = holdout.seen.concat_rows(holdout.targets)
    keys[taken.row_of_value, taken.values] = np.inf
    items = np.argpartition(keys, count - 1, axis=1)[:, :count].astype(np.int32)
    return replace(holdout, negatives=Ragged.from_lengths(items.ravel(), np.full(len(holdout), count)))


def bm25_item_knn(train: Interactions, num_items: int, neighbours: int, shrinkage: float) -> Retriever:
    """Item-kNN of [2]: cosine of items as documents whose words are users, in BM25 weights (k1 1.2, b .75).

    They weigh the history as well; there the factors of a query's own user do not change its order, which leaves those of items.
    """
    taken = taken_matrix(train, num_items)
    users, items = np.asarray(taken.sum(axis=1)).ravel(), np.asarray(taken.sum(axis=0)).ravel()
    of_item = 2.2 / (1.2 * (0.25 + 0.75 * items / items.mean()) + 1)
    weighted = diags_array(np.log(num_items / (1 + users))) @ taken @ diags_array(of_item)
    similarity = (weighted.T @ weighted).toarray()
    norms = np.sqrt(similarity.diagonal())
    similarity /= np.outer(norms, norms) + shrinkage
    np.fill_diagonal(similarity, 0)
    weakest = np.partition(similarity, -neighbours, axis=1)[:, -neighbours]
    similarity[similarity < weakest[:, None]] = 0
    return ItemItem("item_knn", csr_array((similarity * of_item).astype(np.float32)))


def pair(figures: Sequence[float]) -> str:
    return " / ".join(f"{one:.4f}" for one in figures)


if __name__ == "__main__":
    main()
