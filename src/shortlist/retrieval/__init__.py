"""From the whole corpus to the nearest items of a query vector."""

from shortlist.retrieval.base import ScoredItems, Vectors, directions, dot
from shortlist.retrieval.exact import ExactIndex, Examined
from shortlist.retrieval.filters import BitmapCache, Candidates

__all__ = ["BitmapCache", "Candidates", "ExactIndex", "Examined", "ScoredItems", "Vectors", "directions", "dot"]
