"""``index/`` of an artifact: how nearest items are found, what was measured, and the clusters where there are some."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from shortlist.recommender.recommender import Recommender
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.retrieval import AnnIndex
from shortlist.retrieval.effort import Effort


def save_index(recommender: Recommender, folder: Path) -> None:
    """Write a new folder."""
    folder.mkdir()
    index, report = recommender.index, recommender.report
    measured = {} if report is None else report.cost.get("index", {})
    in_use: dict[str, Any] = {"in_use": "exact"}
    if isinstance(index, AnnIndex):
        index.save(folder)
        in_use = {"in_use": "ann", "effort": index.effort.to_dict()}
    config = {**recommender.settings.index.model_dump(mode="json"), **in_use, "measured": measured}
    (folder / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False), encoding="utf-8")


def load_index(folder: Path, retriever: ServedRetriever) -> AnnIndex | None:
    """Read it; None: exact search.

    Raises:
        ArtifactError: Faiss is not installed, or cannot read the clusters.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("in_use", "exact") == "exact":
        return None
    return AnnIndex.load(folder, np.asarray(retriever.encode_items()), Effort.from_dict(config["effort"]))
