"""Contracts any retriever, ranker, index and re-ranker must keep, and worlds with a planted answer; for your own models too."""

from shortlist.testing.contracts import check_explanation, check_index, check_ranker, check_reranker, check_retriever
from shortlist.testing.worlds import two_moods, two_tastes

__all__ = [
    "check_explanation",
    "check_index",
    "check_ranker",
    "check_reranker",
    "check_retriever",
    "two_moods",
    "two_tastes",
]
