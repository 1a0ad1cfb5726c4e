"""A trained query network as ONNX, so that serving needs no PyTorch."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from shortlist.data.feature_spec import encode_values
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.network import NetworkRetriever

WEIGHTS, SELECTED = "weights.safetensors", "selected.safetensors"


class _Positional(torch.nn.Module):
    """The network with its inputs in a fixed order, as ONNX wants them, and its history table computed once."""

    def __init__(self, model: NetworkRetriever, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names
        table = model.history_table()
        self.register_buffer("table", None if table is None else table.detach())

    def forward(self, *arrays: torch.Tensor) -> torch.Tensor:
        return self.model(dict(zip(self.names, arrays, strict=True)), self.table)  # type: ignore[no-any-return]


def save_weights(model: NetworkRetriever, file: Path) -> None:
    """Write all weights of a network."""
    save_file({name: tensor.cpu().contiguous().clone() for name, tensor in model.state_dict().items()}, file)


def save_network(model: NetworkRetriever, folder: Path) -> dict[str, Any]:
    """Write ``query_encoder.onnx`` and ``weights.safetensors``; return the retriever's ``config.json``."""
    model = model.cpu().eval()
    save_weights(model, folder / WEIGHTS)
    # sizes other than 0 and 1, which the exporter would take for constants
    example = QueryBatch(
        Ragged.from_rows([[0, 1, 0], [1, 0]]),
        Ragged.from_rows([[1, 0], [0]]),
        encode_values(model.query_specs, [{}, {}]),
    )
    inputs = model.inputs(example)
    for spec in model.query_specs:
        if spec.kind in ("tags", "text"):
            inputs[f"tags.{spec.name}"] = torch.zeros((2, 2), dtype=torch.int64)
    names = list(inputs)
    batch = torch.export.Dim("batch", min=1)
    shapes = []
    for name in names:
        lengths = name in ("liked", "disliked") or name.startswith("tags.")
        safe = name.replace(".", "_")
        shapes.append({0: batch, 1: torch.export.Dim(f"length_{safe}", min=1)} if lengths else {0: batch})
    level = logging.getLogger("torch.onnx").level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own future
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            _Positional(model, names),
            tuple(inputs[name] for name in names),
            str(folder / "query_encoder.onnx"),
            dynamo=True,
            dynamic_shapes=(tuple(shapes),),
            input_names=names,
            output_names=["query"],
            external_data=False,
            verbose=False,
        )
        logging.getLogger("torch.onnx").setLevel(level)
    return {
        "query_encoder": "onnx",
        "inputs": names,
        "max_history": model.max_history,
        "settings": model.query.settings.model_dump(mode="json"),
        "num_parameters": sum(int(np.prod(p.shape)) for p in model.parameters()),
    }
