"""A small artifact to serve: people take even items or odd ones, and the model (item to item) recommends likewise."""

from __future__ import annotations

from pathlib import Path

from shortlist.data.splitting import split
from shortlist.recommender import Recommender, artifact
from shortlist.settings import Settings
from shortlist.testing import two_tastes
from shortlist.training.retrievers import fit_retriever, serve

ITEMS = range(100, 140)
EVEN, ODD = [item for item in ITEMS if item % 2 == 0], [item for item in ITEMS if item % 2]


def small_artifact(folder: Path, seed: int = 0, model: str = "item_knn", num_items: int = 40) -> Path:
    """Users 0 to 59, even ones of even taste; dislikes are values of 1."""
    world = two_tastes(items=num_items, seed=seed)
    given = Settings.from_dict(
        {
            "data": {
                "columns": {"timestamp": "timestamp", "value": "value", "title": "title"},
                "feedback": {"disliked": "value <= 1"},
            },
            "features": {
                "item": {"tags": {"kind": "tags"}, "size": {"kind": "number"}},
                "user": {"town": {"kind": "category"}},
            },
            "retriever": {"model": model},
        }
    )
    fitted = fit_retriever(world, split(world, given.split), given).retriever
    artifact.save(Recommender(world, serve(fitted, world, folder.with_suffix(".served")), given), folder)
    return folder
