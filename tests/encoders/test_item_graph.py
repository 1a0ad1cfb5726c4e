from __future__ import annotations

import numpy as np
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.encoders.item_graph import ItemGraph
from shortlist.settings import Settings
from shortlist.training.networks import untrained
from shortlist.training.retrievers import fit_retriever


@pytest.mark.parametrize("steps", [1, 2])
def test_it_is_the_power_of_the_dense_matrix(steps: int) -> None:
    rng = np.random.default_rng(0)
    taken = Ragged.from_rows([rng.choice(7, 3, replace=False) for _ in range(5)] + [[2, 2]])  # a pair counts once
    matrix = np.zeros((6, 7))
    matrix[taken.row_of_value, taken.values] = 1
    matrix /= np.sqrt(matrix.sum(axis=1, keepdims=True) * np.maximum(matrix.sum(axis=0), 1))
    vectors = torch.randn(7, 4, requires_grad=True)
    smoothed = ItemGraph(taken, 7, steps)(vectors)
    step, expected = vectors.detach().double().numpy(), vectors.detach().double().numpy()
    for _ in range(steps):
        step = matrix.T @ matrix @ step
        expected = expected + step
    np.testing.assert_allclose(smoothed.detach().numpy(), expected, atol=1e-5)
    weight = torch.randn(7, 4)
    (smoothed * weight).sum().backward()  # type: ignore[no-untyped-call]
    powers = sum(np.linalg.matrix_power(matrix.T @ matrix, n) for n in range(steps + 1))
    assert vectors.grad is not None
    np.testing.assert_allclose(vectors.grad.numpy(), powers @ weight.numpy(), atol=1e-5)


@pytest.mark.parametrize("model", ["softmax_dnn", "two_tower"])
def test_a_rare_item_stands_near_what_its_takers_took(model: str, world: Dataset) -> None:
    """Before any training; without the graph it stands nowhere."""
    train = split(world, Settings().split).train
    items = []
    for steps in (0, 2):
        chosen = Settings.from_dict(
            {
                "retriever": {"model": model, "item_graph": steps, "item_features": False}
                if model == "softmax_dnn"
                else {"model": model, "item_graph": steps}
            }
        ).retriever
        torch.manual_seed(0)
        items.append(untrained(world, train, chosen).encode_items())  # type: ignore[arg-type]
    pairs = np.array(
        [(row[0], row[1]) for row in (train.positives().row(u) for u in range(world.num_users)) if len(row) > 1]
    )

    def nearness(vectors: np.ndarray) -> float:
        unit = vectors[:, :64] / np.linalg.norm(vectors[:, :64], axis=1, keepdims=True)
        return float((unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(axis=1).mean())

    assert nearness(items[1]) > nearness(items[0]) + 0.2


def test_all_items_as_target_and_query_at_once(world: Dataset) -> None:
    """It learns: who took one taste is recommended it, also as somebody new."""
    retriever = {
        "model": "two_tower",
        "embedding_dim": 8,
        "item_hidden_dims": [],
        "tied": True,
        "history_alone": True,
        "history_damping": 0.5,
        "item_graph": 1,
        "target": "multi_hot",
        "target_share": 1.0,
        "similarity": "cosine",
    }
    training = {"epochs": 15, "batch_size": 16, "learning_rate": 0.02, "refit": False}
    settings = Settings.from_dict({"retriever": retriever, "training": training})
    fitted = fit_retriever(world, split(world, settings.split), settings)
    assert fitted.selected["validation"] > 0.3
