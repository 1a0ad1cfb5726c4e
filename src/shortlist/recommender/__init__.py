"""The path at question time: encode → retrieve under filters → rank → re-rank → explain. Needs no PyTorch."""

from shortlist.recommender.attribution import Attribution, Move, Reason
from shortlist.recommender.filters import Filter
from shortlist.recommender.query import Answer, Query, Recommendation
from shortlist.recommender.recommender import Recommender

__all__ = ["Answer", "Attribution", "Filter", "Move", "Query", "Reason", "Recommendation", "Recommender"]
