"""On a CPU one seed gives the same bits twice, and another seed other ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_retriever

MODELS: dict[str, dict[str, Any]] = {
    "softmax_dnn": {"model": "softmax_dnn", "embedding_dim": 8, "hidden_dims": [16]},
    "softmax_dnn by transformer": {"model": "softmax_dnn", "embedding_dim": 8, "history": "transformer"},
    "softmax_dnn on bags": {"model": "softmax_dnn", "embedding_dim": 8, "target": "multi_hot"},
    "softmax_dnn, pairwise": {"model": "softmax_dnn", "embedding_dim": 8, "loss": "bpr", "num_negatives": 4},
    "softmax_dnn, cached": {
        "model": "softmax_dnn",
        "embedding_dim": 8,
        "loss": "bce",
        "num_negatives": 4,
        "hard_negatives": "cache",
    },
    "two_tower": {"model": "two_tower", "embedding_dim": 8, "item_hidden_dims": [8]},
    "two_tower, sampled": {"model": "two_tower", "embedding_dim": 8, "loss": "in_batch", "num_negatives": 8},
    "mf": {"model": "mf", "embedding_dim": 8},
}


def weights(world: Dataset, retriever: dict[str, Any], seed: int) -> dict[str, NDArray[Any]]:
    training = {"epochs": 3, "batch_size": 64, "device": "cpu"}  # and fitted anew after selection
    settings = Settings.from_dict({"seed": seed, "retriever": retriever, "training": training})
    fitted = fit_retriever(world, split(world, settings.split), settings).retriever
    if isinstance(fitted, torch.nn.Module):
        return {name: tensor.numpy() for name, tensor in fitted.state_dict().items()}
    return {"item_vectors": np.asarray(fitted.encode_items())}


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_every_bit(name: str, world: Dataset) -> None:
    one, again, other = (weights(world, MODELS[name], seed) for seed in (1, 1, 2))
    assert one.keys() == again.keys() == other.keys()
    assert all(one[key].tobytes() == again[key].tobytes() for key in one)
    learned = [key for key in one if key != "item_counts"]  # of the data
    assert all(one[key].tobytes() != other[key].tobytes() for key in learned)
