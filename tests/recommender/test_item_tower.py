"""Two roads, one answer: the item tower by ONNX Runtime against the trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.models.two_tower import TwoTower
from shortlist.recommender.item_tower import ItemTower
from shortlist.settings import TwoTowerSettings
from shortlist.training.retrievers import serve


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


@pytest.mark.parametrize(
    "given",
    [{"similarity": "dot"}, {"similarity": "cosine", "tied": True}, {"similarity": "euclidean", "item_ids": False}],
    ids=str,
)
def test_served_is_trained(given: dict[str, object], world: Dataset, tmp_path: Path) -> None:
    model = network(world, **given)
    served = serve(model, world, tmp_path / "served")
    tower = ItemTower.found(served.folder, world.schema)
    assert tower is not None
    rows = np.arange(world.num_items)
    np.testing.assert_allclose(tower.encode(world.item_features, rows), model.encode_items(), atol=1e-4)
    with torch.no_grad():
        model.item_base.free = torch.nn.Parameter(torch.zeros_like(model.item_base.free))  # nobody knows them
    nameless = tower.encode(world.item_features, np.full_like(rows, -1))
    np.testing.assert_allclose(nameless, model.encode_items(), atol=1e-4)


def test_smoothing_leaves_new_items_alone(world: Dataset, tmp_path: Path) -> None:
    model = network(world, item_graph=1)
    tower = ItemTower.found(serve(model, world, tmp_path / "served").folder, world.schema)
    assert tower is not None
    assert tower.smoothed
    with torch.no_grad():
        model.item_base.free.zero_()
        alone = model.item_vectors(model.item_base()).numpy()
    np.testing.assert_allclose(tower.encode(world.item_features, np.full(world.num_items, -1)), alone, atol=1e-4)


def test_without_features_there_is_no_tower(world: Dataset, tmp_path: Path) -> None:
    settings = TwoTowerSettings(embedding_dim=8)
    model = TwoTower(world.num_items, world.schema.query, settings, np.ones(world.num_items))
    assert ItemTower.found(serve(model, world, tmp_path / "served").folder, world.schema) is None
