"""Shortlist: from a log of interactions to a live list of recommendations.

>>> from shortlist import Query, Settings
>>> settings = Settings.from_dict({"data": {"dataset": "ml-latest-small"}})
>>> Query(history=[1, 588], k=5).k
5

``train(settings, out)`` fits, evaluates and writes an artifact; ``load(folder)`` reads one and needs no PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.errors import ShortlistError
from shortlist.recommender import Answer, Filter, Query, Recommendation, Recommender
from shortlist.recommender.artifact import load
from shortlist.settings import Settings

if TYPE_CHECKING:
    from shortlist.training.run import train

__all__ = [
    "Answer",
    "Dataset",
    "Filter",
    "Query",
    "Recommendation",
    "Recommender",
    "Settings",
    "ShortlistError",
    "load",
    "prepare",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "train":  # brings PyTorch, which serving does without
        from shortlist.training.requirements import require_training_packages

        require_training_packages()
        from shortlist.training.run import train

        return train
    raise AttributeError(f"module 'shortlist' has no attribute {name!r}")
