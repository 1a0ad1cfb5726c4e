"""Two roads, one answer: the item tower by ONNX Runtime against the trained network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.models.two_tower import TwoTower
from shortlist.recommender.item_tower import ItemTower
from shortlist.settings import TwoTowerSettings
from shortlist.training.export import WEIGHTS, save_item_encoder, save_weights


def network(world: Dataset, **given: object) -> TwoTower:
    settings = TwoTowerSettings.model_validate({"embedding_dim": 8, "hidden_dims": (16,), **given})
    taken = world.interactions.positives() if settings.item_graph else None
    counts = np.ones(world.num_items)
    torch.manual_seed(0)
    features = world.schema.side("item"), world.item_features
    model = TwoTower(world.num_items, world.schema.query, settings, counts, *features, taken)
    assert model.item_hidden is not None
    torch.nn.init.normal_(model.item_hidden[-1].weight)  # type: ignore[arg-type]  # it starts as nothing
    return model


def saved(model: TwoTower, world: Dataset, folder: Path) -> ItemTower:
    save_weights(model, folder / WEIGHTS)
    (folder / "config.json").write_text(json.dumps(save_item_encoder(model, folder)))
    tower = ItemTower.found(folder, world.schema)
    assert tower is not None
    return tower


@pytest.mark.parametrize(
    "given",
    [{"similarity": "dot"}, {"similarity": "cosine", "tied": True}, {"similarity": "euclidean", "item_ids": False}],
    ids=str,
)
def test_served_is_trained(given: dict[str, object], world: Dataset, tmp_path: Path) -> None:
    model = network(world, **given)
    tower = saved(model, world, tmp_path)
    rows = np.arange(world.num_items)
    np.testing.assert_allclose(tower.encode(world.item_features, rows), model.encode_items(), atol=1e-4)
    with torch.no_grad():
        model.item_base.free = torch.nn.Parameter(torch.zeros_like(model.item_base.free))  # nobody knows them
    nameless = tower.encode(world.item_features, np.full_like(rows, -1))
    np.testing.assert_allclose(nameless, model.encode_items(), atol=1e-4)


def test_smoothing_leaves_new_items_alone(world: Dataset, tmp_path: Path) -> None:
    model = network(world, item_graph=1)
    tower = saved(model, world, tmp_path)
    assert tower.smoothed
    with torch.no_grad():
        model.item_base.free.zero_()
        alone = model.item_vectors(model.item_base()).numpy()
    np.testing.assert_allclose(tower.encode(world.item_features, np.full(world.num_items, -1)), alone, atol=1e-4)
