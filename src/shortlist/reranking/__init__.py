"""A list in, a list out: rules, freshness, diversity, calibration, exposure, popularity, exploration."""

from shortlist.reranking.base import Reranker, Slate, unit

__all__ = ["Reranker", "Slate", "unit"]
