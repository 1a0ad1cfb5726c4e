"""From the whole corpus to the nearest items of a query vector."""

from shortlist.retrieval.base import Candidates, ScoredItems
from shortlist.retrieval.exact import ExactIndex

__all__ = ["Candidates", "ExactIndex", "ScoredItems"]
