"""From the whole corpus to the nearest items of a query vector."""

from shortlist.retrieval.ann import AnnIndex
from shortlist.retrieval.base import Index, ScoredItems, Vectors, directions, dot
from shortlist.retrieval.exact import ExactIndex, Examined
from shortlist.retrieval.filters import BitmapCache, Candidates

__all__ = [
    "AnnIndex",
    "BitmapCache",
    "Candidates",
    "ExactIndex",
    "Examined",
    "Index",
    "ScoredItems",
    "Vectors",
    "directions",
    "dot",
]
