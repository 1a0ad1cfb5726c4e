"""A saved retriever, answering with NumPy and ONNX Runtime alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.features import Schema
from shortlist.data.queries import QueryBatch, network_inputs
from shortlist.models.base import Retriever
from shortlist.models.mf import MatrixFactorization
from shortlist.models.popularity import Popularity
from shortlist.settings import MFSettings

_QUERIES_AT_ONCE = 1024
QueryEncoder = Callable[[QueryBatch], NDArray[np.float32]]


class ServedRetriever:
    """Item vectors in memory-mapped form and a query encoder.

    Args:
        folder: where it was loaded from.
        name: of the model.
        item_vectors: [N, D] float32.
        encoder: queries → [B, D].
        has_item_bias: whether the last dimension is the item's bias.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        item_vectors: NDArray[np.float32],
        encoder: QueryEncoder,
        *,
        has_item_bias: bool,
    ) -> None:
        self.folder, self.name, self.item_vectors, self.encoder, self.has_item_bias = (
            folder,
            name,
            item_vectors,
            encoder,
            has_item_bias,
        )

    def encode_queries(self, queries: QueryBatch) -> NDArray[np.float32]:
        """[B, D]."""
        return self.encoder(queries)

    def encode_items(self) -> NDArray[np.float32]:
        """[N, D]."""
        return self.item_vectors


def save_retriever(retriever: Retriever, folder: Path, config: dict[str, Any]) -> None:
    """Write the item vectors and ``config.json``; what the query encoder needs is there already."""
    np.save(folder / "item_vectors.npy", np.ascontiguousarray(retriever.encode_items()))
    (folder / "config.json").write_text(
        json.dumps({"model": retriever.name, "has_item_bias": retriever.has_item_bias, **config}, indent=1),
        encoding="utf-8",
    )


def load_retriever(folder: Path, schema: Schema) -> ServedRetriever:
    """Read a retriever's folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    item_vectors = np.load(folder / "item_vectors.npy", mmap_mode="r")
    encoder: QueryEncoder
    if config["query_encoder"] == "onnx":
        encoder = _onnx_encoder(folder / "query_encoder.onnx", config, schema, item_vectors.shape[1])
    elif config["query_encoder"] == "fold_in":
        settings = MFSettings.model_validate(config["settings"])
        encoder = MatrixFactorization(item_vectors, settings).encode_queries
    else:
        encoder = Popularity(item_vectors[:, 0]).encode_queries
    return ServedRetriever(folder, config["model"], item_vectors, encoder, has_item_bias=config["has_item_bias"])


def _onnx_encoder(path: Path, config: dict[str, Any], schema: Schema, width: int) -> QueryEncoder:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # waiting threads that spin would starve BLAS, whose turn comes right after
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = {one.name for one in session.get_inputs()}

    def encode(queries: QueryBatch) -> NDArray[np.float32]:
        out = np.ones((len(queries), width), dtype=np.float32)  # the last column stays 1, for the item's bias
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            rows = np.arange(start, min(start + _QUERIES_AT_ONCE, len(queries)))
            inputs = network_inputs(queries.take(rows), schema.query, config["max_history"])
            out[rows, :-1] = session.run(None, {name: array for name, array in inputs.items() if name in wanted})[0]
        return out

    return encode
