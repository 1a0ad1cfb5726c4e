from __future__ import annotations

import numpy as np
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.errors import SettingsError
from shortlist.models.two_tower import TwoTower
from shortlist.settings import Settings, SplitSettings, TwoTowerSettings
from shortlist.training.retrievers import fit_retriever


def tower(world: Dataset, counts: np.ndarray | None = None, **given: object) -> TwoTower:
    torch.manual_seed(0)
    settings = TwoTowerSettings.model_validate({"embedding_dim": 6, "item_hidden_dims": (8,), **given})
    counts = np.ones(world.num_items) if counts is None else counts
    return TwoTower(
        world.num_items, world.schema.query, settings, counts, world.schema.side("item"), world.item_features
    ).eval()


@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean"])
def test_what_is_trained_is_what_is_searched(similarity: str, world: Dataset) -> None:
    """Logits times temperature and served scores differ by nothing that orders items."""
    model = tower(world, similarity=similarity, temperature=0.5)
    queries = split(world, SplitSettings()).test.queries
    weights, bias = model.softmax_layer()
    with torch.inference_mode():
        logits = (model(model.inputs(queries)) @ weights.T + bias).numpy() * 0.5
    served = model.encode_queries(queries) @ model.encode_items().T
    np.testing.assert_allclose(logits, served, rtol=1e-4, atol=1e-5)


def test_cosine_is_of_length_one_and_distance_orders_by_distance(world: Dataset) -> None:
    queries = split(world, SplitSettings()).test.queries
    cosine = tower(world, similarity="cosine")
    for vectors in (cosine.encode_queries(queries), cosine.encode_items()):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    near = tower(world, similarity="euclidean")
    asked, items = near.encode_queries(queries)[:, :-1], near.encode_items()[:, :-1] / 2
    distances = np.linalg.norm(asked[:, None] - items, axis=2)
    scores = near.encode_queries(queries) @ near.encode_items().T
    np.testing.assert_allclose(scores - (asked**2).sum(axis=1, keepdims=True), -(distances**2), rtol=1e-3, atol=1e-4)


def test_tied_towers_share_one_table(world: Dataset) -> None:
    tied, apart, blind = tower(world, tied=True), tower(world), tower(world, tied=True, history="none")
    assert tied.history_items is tied.item_base
    assert apart.history_items is not apart.item_base
    assert blind.history_items is None
    queries = split(world, SplitSettings()).test.queries
    before = tied.encode_queries(queries)
    with torch.no_grad():
        tied.item_base.free.add_(torch.randn_like(tied.item_base.free))
    assert not np.allclose(tied.encode_queries(queries), before)


def test_an_item_nobody_took_is_scored_by_its_kind(world: Dataset) -> None:
    """Two even and two odd items are taken out of the training: whoever likes even items must prefer the even ones."""
    log = world.interactions
    parity = np.array([int(i) % 2 for i in world.items.ids.to_pylist()])
    new = np.concatenate([np.flatnonzero(parity == p)[-2:] for p in (0, 1)])
    parts = split(world, SplitSettings())
    train = log.take(~np.isin(log.item_idx, new))
    settings = Settings.from_dict(
        {
            "retriever": {"model": "two_tower", "embedding_dim": 8, "item_ids": False},
            "training": {"epochs": 15, "batch_size": 32, "learning_rate": 0.01, "patience": 15, "refit": False},
        }
    )
    changed = type(parts)(train, parts.valid, train, parts.test, parts.description)
    model = fit_retriever(world, changed, settings).retriever
    scores = model.encode_queries(parts.test.queries) @ model.encode_items().T
    likes = np.array([parity[parts.test.queries.liked.row(q)[0]] for q in range(len(parts.test))])
    mine = np.where(likes[:, None] == parity[new], scores[:, new], -np.inf).max(axis=1)
    others = np.where(likes[:, None] != parity[new], scores[:, new], -np.inf).max(axis=1)
    assert (mine > others).mean() > 0.95


def test_items_without_a_positive_are_no_negatives(world: Dataset) -> None:
    counts = np.ones(world.num_items)
    counts[3] = 0
    _, bias = tower(world, counts).softmax_layer()
    assert torch.isneginf(bias).nonzero().flatten().tolist() == [3]


def test_debiasing_adds_popularity_to_the_training_alone(world: Dataset) -> None:
    counts = np.arange(1.0, world.num_items + 1)
    plain, adjusted = tower(world, counts), tower(world, counts, popularity_debiasing=0.5)
    torch.testing.assert_close(
        adjusted.softmax_layer()[1] - plain.softmax_layer()[1], 0.5 * torch.log(torch.tensor(counts)).float()
    )
    np.testing.assert_array_equal(adjusted.encode_items(), plain.encode_items())


def test_without_ids_and_features_there_is_nothing_to_go_by(world: Dataset) -> None:
    with pytest.raises(SettingsError, match=r"item_ids = false leaves the item tower without input"):
        TwoTower(5, (), TwoTowerSettings(item_ids=False), np.ones(5))


def test_without_ids_an_item_is_nothing_but_its_features(world: Dataset) -> None:
    """Two items that trade their features trade their vectors."""
    turned = np.arange(world.num_items)
    turned[[0, 1]] = [1, 0]
    model = tower(world, item_ids=False)
    assert not any("free" in name for name, _ in model.named_parameters())
    features = {name: column.take(turned) for name, column in world.item_features.items()}
    torch.manual_seed(0)
    settings = TwoTowerSettings(embedding_dim=6, item_hidden_dims=(8,), item_ids=False)
    other = TwoTower(
        world.num_items, world.schema.query, settings, np.ones(world.num_items), world.schema.side("item"), features
    )
    np.testing.assert_allclose(other.encode_items(), model.encode_items()[turned], rtol=1e-5)
