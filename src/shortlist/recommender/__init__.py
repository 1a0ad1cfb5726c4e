"""The path at question time: encode → retrieve under filters → rank → re-rank → explain. Needs no PyTorch."""

from shortlist.recommender.filters import Filter
from shortlist.recommender.query import Answer, Query, Reason, Recommendation
from shortlist.recommender.recommender import Recommender

__all__ = ["Answer", "Filter", "Query", "Reason", "Recommendation", "Recommender"]
