"""A list in, a list out: rules, freshness, diversity, calibration, exposure, popularity, exploration."""

from shortlist.reranking.base import Reranker, Slate, unit
from shortlist.reranking.calibration import Calibration
from shortlist.reranking.diversity import Diversity
from shortlist.reranking.exploration import Exploration
from shortlist.reranking.exposure import AmortisedExposure, ExposureState, MinimumShare
from shortlist.reranking.freshness import Freshness
from shortlist.reranking.popularity import PopularityDamping
from shortlist.reranking.rules import Boost, Rules

__all__ = [
    "AmortisedExposure",
    "Boost",
    "Calibration",
    "Diversity",
    "Exploration",
    "ExposureState",
    "Freshness",
    "MinimumShare",
    "PopularityDamping",
    "Reranker",
    "Rules",
    "Slate",
    "unit",
]
