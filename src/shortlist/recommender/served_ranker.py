"""A saved ranker, answering without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from shortlist.data.dataset import Dataset
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.base import Ranker
from shortlist.models.boosted_trees import BoostedTrees, lightgbm
from shortlist.models.calibration import Platt
from shortlist.models.deep_cross import Combination, DeepCross, Network, PairScale
from shortlist.models.item_statistics import ItemStatistics
from shortlist.models.ncf import NCF
from shortlist.models.pair_features import PairFeatures
from shortlist.recommender.served_retriever import onnx_session

_WEIGHTS, _STATISTICS, _TREES = "weights.safetensors", "statistics.safetensors", "trees.txt"


class ServedRanker:
    """A ranker and the folder it was loaded from.

    Args:
        folder: with ``config.json`` and what the model needs.
        ranker: that answers.
    """

    def __init__(self, folder: Path, ranker: Ranker) -> None:
        self.folder, self.ranker, self.name = folder, ranker, ranker.name

    def score(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """See ``Ranker``."""
        return self.ranker.score(queries, candidates, retrieved)


def save_ncf(ranker: NCF, folder: Path, config: dict[str, Any]) -> None:
    """Write ``weights.safetensors`` and ``config.json``; ``config`` is for people to read."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({**ranker.arrays, "known": ranker.known.astype(np.uint8)}, folder / _WEIGHTS)
    (folder / "config.json").write_text(
        json.dumps({"model": ranker.name, "kind": "ncf", **config}, indent=1), encoding="utf-8"
    )


def save_feature_ranker(
    folder: Path, features: PairFeatures, config: dict[str, Any], more: dict[str, NDArray[Any]] | None = None
) -> None:
    """Write ``config.json`` and ``statistics.safetensors``: what pair features are computed from, and ``more``."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({**features.statistics.arrays(), **(more or {})}, folder / _STATISTICS)
    told = {**config, "max_history": features.max_history, "pair_features": list(features.names)}
    (folder / "config.json").write_text(json.dumps(told, indent=1), encoding="utf-8")


def save_boosted_trees(ranker: BoostedTrees, folder: Path, config: dict[str, Any]) -> None:
    """Write ``trees.txt``, LightGBM's own text, the statistics and ``config.json``."""
    told = {"model": ranker.name, "kind": "boosted_trees", "platt": [ranker.platt.slope, ranker.platt.offset], **config}
    save_feature_ranker(folder, ranker.features, told | {"columns": ranker.columns.names})
    (folder / _TREES).write_text(ranker.booster.model_to_string(), encoding="utf-8")


def load_ranker(folder: Path, dataset: Dataset) -> ServedRanker:
    """Read a ranker's folder.

    Args:
        folder: of the ranker.
        dataset: of the same artifact, whose features feature rankers look at.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["kind"] == "ncf":
        arrays = load_file(folder / _WEIGHTS)
        known = arrays.pop("known").astype(bool)
        return ServedRanker(folder, NCF(config["model"], arrays, known))
    arrays = load_file(folder / _STATISTICS)
    statistics = ItemStatistics.from_arrays(arrays)
    features = PairFeatures(dataset.schema, dataset.item_features, statistics, config["max_history"])
    platt = Platt(*config["platt"])
    if config["kind"] == "boosted_trees":
        return ServedRanker(folder, BoostedTrees(lightgbm().Booster(model_file=folder / _TREES), features, platt))
    scale = PairScale(arrays["scale.mean"], arrays["scale.std"])
    specs = [one for one in dataset.schema.query if one.kind != "id"]
    combination = Combination(config["exponents"], platt)
    return ServedRanker(folder, DeepCross(_onnx_network(folder / "network.onnx"), features, scale, specs, combination))


def _onnx_network(path: Path) -> Network:
    session = onnx_session(path)
    wanted = {one.name for one in session.get_inputs()}

    def answer(inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(None, {name: one for name, one in inputs.items() if name in wanted})[
            0
        ]
        return logits

    return answer
