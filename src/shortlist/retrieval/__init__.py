"""From the whole corpus to the nearest items of a query vector."""

from shortlist.retrieval.base import Candidates, ScoredItems, Vectors, dot
from shortlist.retrieval.exact import ExactIndex, Examined

__all__ = ["Candidates", "ExactIndex", "Examined", "ScoredItems", "Vectors", "dot"]
