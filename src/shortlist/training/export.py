"""Trained networks as ONNX, so that serving needs no PyTorch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from shortlist.data.feature_spec import FeatureSpec, encode_values
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.deep_cross import DeepCross, ranker_inputs
from shortlist.models.network import NetworkRetriever
from shortlist.models.two_tower import TwoTower
from shortlist.recommender.item_tower import ITEM_ENCODER
from shortlist.recommender.served_ranker import save_feature_ranker
from shortlist.training.deep_cross_training import Answering

WEIGHTS, SELECTED = "weights.safetensors", "selected.safetensors"


class _Positional(torch.nn.Module):
    """The network with its inputs in a fixed order, as ONNX wants them, and its table of items computed once."""

    def __init__(self, model: torch.nn.Module, names: list[str], table: torch.Tensor | None) -> None:
        super().__init__()
        self.model, self.names = model, names
        self.register_buffer("table", None if table is None else table.detach())

    def forward(self, *arrays: torch.Tensor) -> torch.Tensor:
        return self.model(dict(zip(self.names, arrays, strict=True)), self.table)  # type: ignore[no-any-return]


class _Items(torch.nn.Module):
    """The item tower from the sum of an item's feature vectors on."""

    def __init__(self, model: TwoTower) -> None:
        super().__init__()
        self.tower = model

    def forward(self, *base: torch.Tensor) -> torch.Tensor:
        return self.tower.item_vectors(*base)


def save_weights(model: torch.nn.Module, file: Path) -> None:
    """Write all weights of a network."""
    save_file({name: tensor.cpu().contiguous().clone() for name, tensor in model.state_dict().items()}, file)


def save_network(model: NetworkRetriever, folder: Path) -> dict[str, Any]:
    """Write ``query_encoder.onnx`` and ``weights.safetensors``; return the retriever's ``config.json``.

    Of a two-tower network whose items have features also ``item_encoder.onnx``, for items that come later.
    """
    model = model.cpu().eval()
    save_weights(model, folder / WEIGHTS)
    # sizes other than 0 and 1, which the exporter would take for constants
    example = _example(model.query_specs)
    inputs = model.inputs(example)
    _widen_tags(inputs, model.query_specs)
    _export(_Positional(model, list(inputs), model.history_table()), inputs, folder / "query_encoder.onnx", "query")
    item_encoder = {}
    if isinstance(model, TwoTower) and model.item_base.has_features:
        item_encoder = save_item_encoder(model, folder)
    return {
        **item_encoder,
        "query_encoder": "onnx",
        "inputs": list(inputs),
        "max_history": model.max_history,
        "settings": model.query.settings.model_dump(mode="json"),
        "num_parameters": sum(int(np.prod(p.shape)) for p in model.parameters()),
    }


def save_item_encoder(model: TwoTower, folder: Path) -> dict[str, Any]:
    """Write ``item_encoder.onnx``; return what ``config.json`` says of it."""
    base = torch.zeros((2, model.query.settings.embedding_dim))
    _export(_Items(model.eval()), {"base": base}, folder / ITEM_ENCODER, "items")
    return {"item_encoder": {"smoothed": model.graph is not None}}


def save_deep_cross(ranker: DeepCross, folder: Path, config: dict[str, Any]) -> None:
    """Write a ranker's ``network.onnx``, weights, statistics and ``config.json``; ``config`` is for people to read."""
    assert isinstance(ranker.network, Answering)
    model = ranker.network.module.cpu().eval()
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(model, folder / WEIGHTS)
    queries, found = _example(ranker.specs), Ragged.from_rows([[0, 1, 0], [1, 0]])
    stood = np.zeros((5, 2), dtype=np.float32)
    arrays = ranker_inputs(queries, found, stood, ranker.features, ranker.scale, ranker.specs)
    inputs = {name: torch.from_numpy(one) for name, one in arrays.items()}
    _widen_tags(inputs, ranker.specs)
    _export(_Positional(model, list(inputs), model.item_table()), inputs, folder / "network.onnx", "logits")
    platt = ranker.combination.platt
    save_feature_ranker(
        folder,
        ranker.features,
        {
            "model": ranker.name,
            "kind": "deep_cross",
            "exponents": dict(ranker.combination.exponents),
            "platt": [platt.slope, platt.offset],
            "num_parameters": sum(int(np.prod(p.shape)) for p in model.parameters()),
            **config,
        },
        {"scale.mean": ranker.scale.mean, "scale.std": ranker.scale.std},
    )


def _example(specs: Sequence[FeatureSpec]) -> QueryBatch:
    """Two queries, with histories."""
    return QueryBatch(
        Ragged.from_rows([[0, 1, 0], [1, 0]]), Ragged.from_rows([[1, 0], [0]]), encode_values(specs, [{}, {}])
    )


def _widen_tags(inputs: dict[str, torch.Tensor], specs: Sequence[FeatureSpec]) -> None:
    for spec in specs:
        if spec.kind in ("tags", "text"):
            inputs[f"tags.{spec.name}"] = torch.zeros((2, 2), dtype=torch.int64)


def _export(module: torch.nn.Module, inputs: dict[str, torch.Tensor], file: Path, output: str) -> None:
    """Write a network as ONNX: any number of queries, of items of their histories, of tags and of candidates."""
    batch, candidates = torch.export.Dim("batch", min=1), torch.export.Dim("candidates", min=1)
    shapes: list[dict[int, Any]] = []
    for name in inputs:
        if name in ("candidates", "pair"):
            shapes.append({0: batch, 1: candidates})
        elif name in ("liked", "disliked") or name.startswith("tags."):
            shapes.append({0: batch, 1: torch.export.Dim(f"length_{name.replace('.', '_')}", min=1)})
        else:
            shapes.append({0: batch})
    level = logging.getLogger("torch.onnx").level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own future
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(file),
            dynamo=True,
            dynamic_shapes=(tuple(shapes),),
            input_names=list(inputs),
            output_names=[output],
            external_data=False,
            verbose=False,
        )
        logging.getLogger("torch.onnx").setLevel(level)
