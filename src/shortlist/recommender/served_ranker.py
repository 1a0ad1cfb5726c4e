"""A saved ranker, answering without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.base import Ranker
from shortlist.models.ncf import NCF

_WEIGHTS = "weights.safetensors"


class ServedRanker:
    """A ranker and the folder it was loaded from.

    Args:
        folder: with ``config.json`` and what the model needs.
        ranker: that answers.
    """

    def __init__(self, folder: Path, ranker: Ranker) -> None:
        self.folder, self.ranker, self.name = folder, ranker, ranker.name

    def score(self, queries: QueryBatch, candidates: Ragged) -> NDArray[np.float32]:
        """One score a candidate, aligned with ``candidates.values``; higher is better."""
        return self.ranker.score(queries, candidates)


def save_ncf(ranker: NCF, folder: Path, config: dict[str, Any]) -> None:
    """Write ``weights.safetensors`` and ``config.json``; ``config`` is for people to read."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({**ranker.arrays, "known": ranker.known.astype(np.uint8)}, folder / _WEIGHTS)
    (folder / "config.json").write_text(
        json.dumps({"model": ranker.name, "kind": "ncf", **config}, indent=1), encoding="utf-8"
    )


def load_ranker(folder: Path) -> ServedRanker:
    """Read a ranker's folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    arrays = load_file(folder / _WEIGHTS)
    known = arrays.pop("known").astype(bool)
    return ServedRanker(folder, NCF(config["model"], arrays, known))
