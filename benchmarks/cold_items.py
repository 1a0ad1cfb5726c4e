"""Items nobody has taken yet: how well are they placed by their features alone?

    python -m benchmarks.cold_items [--models softmax_dnn mf two_tower two_tower_without_ids] [--seeds 0 1 2] [--choose]

Of MovieLens latest-small a fifth of the items with at least five ratings is taken out of the log before the training: half of
them to choose on, half to report on. Then they come back as ``PUT /v1/items`` brings new items, with genres and year alone, and
everybody with five ratings left is asked. Three figures, means over the people who took one of the items:

- new@20: recall among the new items alone: does the model know which of them is for whom?
- all@100: recall among all items they have not taken: do new items get into lists at all?
- listed: share of new items in these lists of 100, beside their share of what these people took.

``--choose`` compares ways to place them on the half to choose on; without, the chosen one is reported on the other half, beside
the mean of all vectors and random neighbours.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._shared import machine
from shortlist.data.dataset import Dataset
from shortlist.data.loading import load_dataset
from shortlist.data.preparation import prepare
from shortlist.data.sources import folder_of, known_dataset
from shortlist.data.splitting import split
from shortlist.events.items import ItemChange
from shortlist.recommender import Query, Recommender
from shortlist.recommender.content_neighbours import NEIGHBOURS, ContentNeighbours, unit_blocks
from shortlist.recommender.extended import ExtendedRecommender
from shortlist.recommender.live_items import LiveItems
from shortlist.retrieval import whole
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_retriever, serve

DEMO = Path(__file__).parent.parent / "examples" / "demo.toml"
SHARE, LEAST = 0.2, 5


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=["softmax_dnn", "mf", "two_tower"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--choose", action="store_true")
    given = parser.parse_args()
    console = Console()
    console.print(machine())
    for model in given.models:
        figures: dict[str, list[tuple[float, float, float]]] = {}
        for seed in given.seeds:
            for name, figure in measured(model, seed, choose=given.choose, console=console):
                figures.setdefault(name, []).append(figure)
        table = Table("placed by", "new@20", "all@100", "listed", title=f"{model}, seeds {given.seeds}")
        for name, values in figures.items():
            mean, spread = np.mean(values, axis=0), np.std(values, axis=0)
            table.add_row(name, *(f"{m:.4f} ± {s:.4f}" for m, s in zip(mean, spread, strict=True)))
        console.print(table)


def measured(
    model: str, seed: int, *, choose: bool, console: Console
) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Train without the items, bring them back, ask."""
    changes = ["training.refit=false", f"seed={seed}"]
    settings = Settings.from_toml(DEMO, changes) if model == "softmax_dnn" else _settings_of(model, seed)
    full = load_dataset(settings)
    taken = np.bincount(full.interactions.item_idx, minlength=full.num_items)
    cold = np.random.default_rng(seed).permutation(np.flatnonzero(taken >= LEAST))
    cold = cold[: int(SHARE * len(cold))]
    half = cold[::2] if choose else cold[1::2]  # in random order, so that ties tell nothing
    warm = _without(full, cold, settings)
    began = time.perf_counter()
    fitted = fit_retriever(warm, split(warm, settings.split), settings).retriever
    with tempfile.TemporaryDirectory() as folder:
        recommender = Recommender(warm, serve(fitted, warm, Path(folder) / "served"), settings)
        of_new = np.isin(full.interactions.item_idx, half).sum() / (len(warm.interactions) + taken[half].sum())
        console.print(
            f"{model}, seed {seed}: {time.perf_counter() - began:.0f} s, {len(half)} new items, {of_new:.3f} of what was taken"
        )
        rows = full.display.take(half).to_pylist()
        said = [
            ItemChange(str(item), {name: value for name, value in row.items() if value not in (None, [])}, 0, n)
            for n, (item, row) in enumerate(zip(full.items.ids_of(half), rows, strict=True))
        ]
        now = LiveItems(recommender).over(said)
        assert isinstance(now, ExtendedRecommender)
        places = np.array([full.items.row(one) for one in now.patch.new_ids])  # what cannot be placed is left out
        for name, vectors in _ways(recommender, now, seed, choose=choose):
            yield name, _recalls(recommender, full, places, vectors)


def _settings_of(model: str, seed: int) -> Settings:
    chosen = {"model": "two_tower", "item_ids": False} if model == "two_tower_without_ids" else {"model": model}
    return Settings.from_dict(
        {
            "seed": seed,
            "data": {"dataset": "ml-latest-small", "feedback": {"disliked": "value <= 2"}},
            "retriever": chosen,
            "training": {"refit": False, "epochs": 18, "batch_size": 512, "learning_rate": 0.005},
        }
    )


def _without(full: Dataset, cold: NDArray[Any], settings: Settings) -> Dataset:
    """The data without some items' interactions: as if they had not come yet."""
    log, columns = full.interactions, settings.data.columns
    kept = np.flatnonzero(~np.isin(log.item_idx, cold))
    assert log.value is not None
    table = {
        columns.user_id: full.users.ids.take(pa.array(log.user_idx[kept])),
        columns.item_id: full.items.ids.take(pa.array(log.item_idx[kept])),
        columns.timestamp or "timestamp": log.timestamp[kept],
        columns.value or "value": log.value[kept].astype(np.float64),
    }
    items = known_dataset("ml-latest-small").tables(folder_of("ml-latest-small")).items
    return prepare(pa.table(table), None, items, settings.data, settings.features)


def _ways(
    recommender: Recommender, now: ExtendedRecommender, seed: int, *, choose: bool
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Names of ways to place the new items, and their vectors [L, D]."""
    known = np.asarray(recommender.item_vectors)
    new = now.dataset.num_items - len(known)
    neighbours = ContentNeighbours(recommender.dataset)
    rows, rng = neighbours.rows, np.random.default_rng(seed)
    features = {name: column.take(now.patch.new) for name, column in now.dataset.item_features.items()}
    yield "mean of all", np.tile(known[rows].mean(axis=0), (new, 1))
    yield f"{NEIGHBOURS} random", known[rng.choice(rows, (new, NEIGHBOURS))].mean(axis=1)
    near = neighbours.of(features, new)
    yield f"{NEIGHBOURS} nearest, mean", np.stack([one.weights @ known[one.rows] for one in near])
    yield f"{NEIGHBOURS} nearest", now.patch.by_neighbours(known, has_bias=recommender.retriever.has_item_bias)
    if now.patch.towered is not None:
        yield "item tower", now.patch.towered
    if not choose:
        return
    units = unit_blocks(
        neighbours.specs, {s.name: recommender.dataset.item_features[s.name].take(rows) for s in neighbours.specs}
    )
    asked = unit_blocks(neighbours.specs, features)
    alike = (asked @ units.T).toarray() / np.maximum(asked.multiply(asked).sum(axis=1), 1)[:, None]
    for k in (5, 10, 20, 50, 100, 200):
        least = -np.partition(-alike, k - 1, axis=1)[:, k - 1 : k]
        order = np.argsort(-alike, axis=1, kind="stable")[:, :k]
        equal = np.full((new, k), 1 / k)
        likeness = np.take_along_axis(alike, order, 1)
        likely = np.exp(16 * (likeness - likeness.max(axis=1, keepdims=True)))
        tied = (alike >= least).astype(np.float32)
        for name, weights in (("equal", equal), ("by likeness", likely / likely.sum(axis=1, keepdims=True))):
            mean = np.einsum("lk,lkd->ld", weights, known[rows[order]]).astype(np.float32)
            yield f"{k} {name}", mean
            yield f"{k} {name}, length kept", _lengthened(recommender, mean, known[rows[order]])
        yield f"{k} and their equals", (tied / tied.sum(axis=1, keepdims=True)) @ known[rows]


def _lengthened(
    recommender: Recommender, mean: NDArray[np.float32], neighbours: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Means [L, D] as long as their neighbours [L, k, D] are on average; a bias stays."""
    width = mean.shape[1] - recommender.retriever.has_item_bias
    length = np.linalg.norm(neighbours[:, :, :width], axis=2).mean(axis=1)
    out = mean.copy()
    out[:, :width] *= (length / np.maximum(np.linalg.norm(mean[:, :width], axis=1), 1e-9))[:, None]
    return out


def _recalls(
    recommender: Recommender, full: Dataset, new: NDArray[Any], vectors: NDArray[np.float32]
) -> tuple[float, float, float]:
    """Of all who took a new item and have five others: recall@20 among the new, recall@100 among all."""
    warm, log = recommender.dataset, full.interactions
    users = np.flatnonzero(np.diff(warm.interactions.offsets) >= LEAST)
    asked = recommender.asking.batch([Query()] * len(users), users)
    queries = recommender.retriever.encode_queries(asked)
    scores = queries @ np.concatenate([whole(recommender.item_vectors), vectors]).T
    place = np.full(full.num_items, -1)
    place[new] = np.arange(len(new))
    among_new, among_all, listed = [], [], []
    for row, user in enumerate(users.tolist()):
        outside = full.users.row(warm.users.id(user))
        mine = place[log.item_idx[log.offsets[outside] : log.offsets[outside + 1]]]
        wanted = mine[mine >= 0]
        if not len(wanted):
            continue
        span = slice(warm.interactions.offsets[user], warm.interactions.offsets[user + 1])
        scores[row, warm.interactions.item_idx[span]] = -np.inf
        best = np.argsort(-scores[row, warm.num_items :], kind="stable")[:20]
        among_new.append(np.isin(best, wanted).sum() / min(20, len(wanted)))
        best = np.argsort(-scores[row], kind="stable")[:100] - warm.num_items
        among_all.append(np.isin(best, wanted).sum() / min(100, len(wanted)))
        listed.append((best >= 0).mean())
    return float(np.mean(among_new)), float(np.mean(among_all)), float(np.mean(listed))


if __name__ == "__main__":
    main()
