"""The path at question time: encode → retrieve → filter → explain. Needs no PyTorch."""

from shortlist.recommender.query import Answer, Query, Reason, Recommendation
from shortlist.recommender.recommender import Recommender

__all__ = ["Answer", "Query", "Reason", "Recommendation", "Recommender"]
