from __future__ import annotations

import numpy as np
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.errors import SettingsError
from shortlist.settings import NetworkSettings, Settings
from shortlist.training.networks import objective_of, untrained
from shortlist.training.objective import SoftmaxObjective
from shortlist.training.target_smoothing import TargetSmoothing

LOG = Ragged.from_rows([[0, 1, 2], [0, 1], [0, 1], [3]])


def dense(found: tuple[np.ndarray, np.ndarray, np.ndarray], queries: int) -> np.ndarray:
    rows, items, weights = found
    out = np.zeros((queries, 4))
    np.add.at(out, (rows, items), weights)
    return out


def test_a_share_goes_to_the_nearest_in_proportion() -> None:
    smoothing = TargetSmoothing(LOG, num_items=4, share=0.4, neighbours=2)
    found = dense(smoothing.spread(Ragged.from_rows([[2], [3]]), np.array([1.0, 0.5], np.float32)), 2)
    # 2 stands beside 0 and 1 in the same one list, and they are as common as each other; 3 beside nothing
    np.testing.assert_allclose(found, [[0.2, 0.2, 0.6, 0], [0, 0, 0, 0.5]], atol=1e-6)
    # 0 is nearer to 1, by three people, than to 2, by one who took much
    near = dense(smoothing.spread(Ragged.from_rows([[0]]), np.ones(1, np.float32)), 1)[0]
    assert near[0] == pytest.approx(0.6)
    assert near[1] > 2 * near[2] > 0


def test_what_is_forbidden_keeps_its_share_at_home() -> None:
    smoothing = TargetSmoothing(LOG, num_items=4, share=0.4, neighbours=2)
    targets, weights = Ragged.from_rows([[3], [2]]), np.ones(2, np.float32)
    found = dense(smoothing.spread(targets, weights, forbidden=np.array([0, 1 * 4 + 0])), 2)
    np.testing.assert_allclose(found, [[0, 0, 0, 1], [0, 0.2, 0.8, 0]], atol=1e-6)


@pytest.mark.parametrize("target", ["next", "multi_hot"])
def test_no_neighbour_is_asked_for_that_the_query_has(target: str, world: Dataset) -> None:
    """Its logit is −∞, and so the loss would be infinite."""
    given = {"embedding_dim": 4, "target_smoothing": 0.5, "target": target, "tied": True}
    settings = Settings.from_dict({"retriever": given, "training": {"device": "cpu"}})
    assert isinstance(settings.retriever, NetworkSettings)
    train = split(world, settings.split).train
    model = untrained(world, train, settings.retriever)
    objective = objective_of(model, world, train, settings.retriever, settings)
    assert isinstance(objective, SoftmaxObjective)
    assert objective.smoothing is not None
    for batch in objective.epoch(64, np.random.default_rng(0)):
        assert torch.isfinite(objective.loss(batch))


def test_other_losses_do_not_know_it() -> None:
    with pytest.raises(SettingsError, match=r"target_smoothing = 0\.5 .* loss = \"bpr\".*set loss = \"full_softmax\""):
        Settings.from_dict({"retriever": {"target_smoothing": 0.5, "loss": "bpr"}})
