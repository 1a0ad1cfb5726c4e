from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.errors import SettingsError
from shortlist.models.softmax_dnn import SoftmaxDNN
from shortlist.settings import Settings, SoftmaxDNNSettings


def model_of(world: Dataset, **given: Any) -> SoftmaxDNN:
    torch.manual_seed(0)
    settings = SoftmaxDNNSettings.model_validate({"embedding_dim": 4, "item_features": False, **given})
    return SoftmaxDNN(world.num_items, world.schema.query, settings, np.ones(world.num_items))


def test_history_alone_is_the_sum_of_its_items(world: Dataset) -> None:
    model = model_of(world, history_alone=True, tied=True, history_exponent=0.75, history_windows=(1000,))
    assert sum(one.numel() for one in model.parameters()) == world.num_items * (4 + 1)
    features = {name: world.user_features[name] for name in ("town",)}
    liked = Ragged.from_rows([[3, 5, 7, 9]] * world.num_users)
    disliked = Ragged.from_rows([[one % world.num_items] for one in range(world.num_users)])
    queries = model.encode_queries(QueryBatch(liked, disliked, features))
    expected = model.items().detach()[[3, 5, 7, 9]].sum(dim=0).numpy() / 4**0.75
    np.testing.assert_allclose(queries[:, :4], np.tile(expected, (world.num_users, 1)), rtol=1e-5)
    np.testing.assert_array_equal(queries[:, 4], 1)  # for the item's bias


def test_history_alone_needs_a_history() -> None:
    with pytest.raises(SettingsError, match='history = "none" leaves nothing to history_alone = true'):
        Settings.from_dict({"retriever": {"model": "softmax_dnn", "history": "none", "history_alone": True}})
