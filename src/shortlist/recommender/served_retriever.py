"""A saved retriever, answering with NumPy and ONNX Runtime alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.feature_spec import Schema
from shortlist.data.queries import QueryBatch, network_inputs
from shortlist.data.ragged import Ragged
from shortlist.models.base import Retriever
from shortlist.models.item_item import ItemItem
from shortlist.models.mf import MatrixFactorization
from shortlist.models.popularity import Popularity
from shortlist.retrieval import Vectors
from shortlist.settings import MFSettings

_QUERIES_AT_ONCE = 1024
QueryEncoder = Callable[[QueryBatch], Vectors]
HistoryShares = Callable[[QueryBatch], tuple[Ragged, Vectors]]


class ServedRetriever:
    """Item vectors in memory-mapped form and a query encoder.

    Args:
        folder: where it was loaded from.
        name: of the model.
        item_vectors: [N, D] float32.
        encoder: queries → [B, D].
        has_item_bias: whether the last dimension is the item's bias.
        history_shares: where the query's vector is a sum over the history, what each item adds; see ``Retriever``.
        max_history: newest liked items that count; None: all.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        item_vectors: Vectors,
        encoder: QueryEncoder,
        *,
        has_item_bias: bool,
        history_shares: HistoryShares | None = None,
        max_history: int | None = None,
    ) -> None:
        self.folder, self.name, self.item_vectors, self.encoder, self.has_item_bias = (
            folder,
            name,
            item_vectors,
            encoder,
            has_item_bias,
        )
        self.history_shares, self.max_history = history_shares, max_history

    def encode_queries(self, queries: QueryBatch) -> Vectors:
        """[B, D]."""
        return self.encoder(queries)

    def encode_items(self) -> Vectors:
        """[N, D]."""
        return self.item_vectors


def save_retriever(retriever: Retriever, folder: Path, config: dict[str, Any]) -> None:
    """Write the item vectors and ``config.json``; what the query encoder needs is there already."""
    save_vectors(retriever.encode_items(), folder, "item_vectors")
    (folder / "config.json").write_text(
        json.dumps({"model": retriever.name, "has_item_bias": retriever.has_item_bias, **config}, indent=1),
        encoding="utf-8",
    )


def load_retriever(folder: Path, schema: Schema) -> ServedRetriever:
    """Read a retriever's folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    item_vectors = _load_vectors(folder, "item_vectors")
    told: dict[str, Any] = {"has_item_bias": config["has_item_bias"]}
    if config["query_encoder"] == "onnx":
        encoder = _onnx_encoder(folder / "query_encoder.onnx", config, schema, item_vectors.shape[1])
        return ServedRetriever(
            folder, config["model"], item_vectors, encoder, max_history=config["max_history"], **told
        )
    model: MatrixFactorization | ItemItem | Popularity
    if config["query_encoder"] == "fold_in":
        model = MatrixFactorization(item_vectors, MFSettings.model_validate(config["settings"]))
    elif config["query_encoder"] == "history_sum":
        history_vectors = _load_vectors(folder, "history_vectors") if config["has_history_vectors"] else None
        model = ItemItem(config["model"], item_vectors, history_vectors, last=config.get("last"))
    else:
        model = Popularity(item_vectors[:, 0])
    told["history_shares"] = model.history_shares
    return ServedRetriever(folder, config["model"], item_vectors, model.encode_queries, **told)


def save_vectors(vectors: Vectors, folder: Path, name: str) -> None:
    """Write ``name.npy``, or ``name.npz`` where they are sparse; the order in memory is kept."""
    if isinstance(vectors, np.ndarray):
        np.save(folder / f"{name}.npy", vectors)
    else:
        from scipy.sparse import save_npz

        save_npz(folder / f"{name}.npz", vectors)


def _load_vectors(folder: Path, name: str) -> Vectors:
    """Dense ones in memory-mapped form."""
    if (folder / f"{name}.npy").is_file():
        return np.load(folder / f"{name}.npy", mmap_mode="r")
    from scipy.sparse import load_npz

    return load_npz(folder / f"{name}.npz")


def onnx_session(path: Path) -> Any:
    """ONNX Runtime's session of a network."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = _threads()
    # waiting threads that spin would starve BLAS, whose turn comes right after
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _threads() -> int:
    """As OMP_NUM_THREADS says, as for all others that compute; 0: one for each processor."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() else 0


def _onnx_encoder(path: Path, config: dict[str, Any], schema: Schema, width: int) -> QueryEncoder:
    session = onnx_session(path)
    wanted = {one.name for one in session.get_inputs()}

    def encode(queries: QueryBatch) -> NDArray[np.float32]:
        dim = width - config["has_item_bias"]
        out = np.ones((len(queries), width), dtype=np.float32)  # a last column, for the item's bias, stays 1
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            rows = np.arange(start, min(start + _QUERIES_AT_ONCE, len(queries)))
            some = queries if len(rows) == len(queries) else queries.take(rows)
            inputs = network_inputs(some, schema.query, config["max_history"])
            out[rows, :dim] = session.run(None, {name: array for name, array in inputs.items() if name in wanted})[0]
        return out

    return encode
