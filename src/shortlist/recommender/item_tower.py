"""The item tower of a two-tower network as it is served: vectors of items that came after the training, without PyTorch."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.feature_bags import feature_bags
from shortlist.data.feature_spec import Schema
from shortlist.data.features import FeatureTable

ITEM_ENCODER = "item_encoder.onnx"
_WEIGHTS, _VALUES, _FREE = "weights.safetensors", "item_base.values", "item_base.free"


class ItemTower:
    """Features of items → their vectors, as the trained network makes them.

    φ(e), e the sum of the items' feature vectors. An item the network was trained with also has its own free vector in the
    sum; one it never met has none: its free vector is 0, about which all were drawn. A value that no training item had counts
    as unseen.

    Args:
        folder: of the saved retriever.
        schema: of the artifact.
        smoothed: whether e was smoothed over the graph of who took what. A new item has no neighbours there, and is as it
            is; one that is known was mixed with others, and cannot be told anew.
    """

    def __init__(self, folder: Path, schema: Schema, *, smoothed: bool) -> None:
        self.folder, self.specs, self.smoothed = folder, schema.side("item"), smoothed

    @classmethod
    def found(cls, folder: Path, schema: Schema) -> ItemTower | None:
        """That of a retriever's folder; None: its model has none, or was saved by an older version."""
        if not (folder / ITEM_ENCODER).is_file():
            return None
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(folder, schema, smoothed=bool(config["item_encoder"]["smoothed"]))

    def encode(self, features: FeatureTable, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [L, D].

        Args:
            features: encoded columns of L items.
            rows: [L] their indices where the network was trained with them; -1: new ones.
        """
        (codes, weights), _ = feature_bags(len(rows), self.specs, features)
        weighted = self._values[codes.values] * weights[:, None]
        base = np.zeros((len(rows), weighted.shape[1]), dtype=np.float32)
        np.add.at(base, codes.row_of_value, weighted)
        known = np.flatnonzero(rows >= 0)
        base[known] += self._free(rows[known])
        vectors: NDArray[np.float32] = self._session.run(None, {"base": base})[0]
        return vectors

    @cached_property
    def _session(self) -> Any:
        from shortlist.recommender.served_retriever import onnx_session

        return onnx_session(self.folder / ITEM_ENCODER)

    @cached_property
    def _values(self) -> NDArray[np.float32]:
        from safetensors import safe_open

        with safe_open(self.folder / _WEIGHTS, "numpy") as weights:
            values: NDArray[np.float32] = weights.get_tensor(_VALUES)
            return values

    def _free(self, rows: NDArray[np.int64]) -> NDArray[np.float32] | float:
        """Free vectors of a few items; the table of all stays in the file."""
        from safetensors import safe_open

        with safe_open(self.folder / _WEIGHTS, "numpy") as weights:
            if _FREE not in weights.keys() or not len(rows):  # noqa: SIM118 - it is no mapping
                return 0.0
            table = weights.get_slice(_FREE)
            return np.concatenate([table[row : row + 1] for row in rows.tolist()])
