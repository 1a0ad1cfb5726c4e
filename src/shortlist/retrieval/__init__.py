"""From the whole corpus to the nearest items of a query vector."""

from shortlist.retrieval.ann import AnnIndex
from shortlist.retrieval.base import Index, ScoredItems, Vectors, directions, dot
from shortlist.retrieval.exact import ExactIndex, Examined
from shortlist.retrieval.filters import BitmapCache, Candidates
from shortlist.retrieval.live import LiveIndex
from shortlist.retrieval.patched import PatchedVectors, patched_index, whole

__all__ = [
    "AnnIndex",
    "BitmapCache",
    "Candidates",
    "ExactIndex",
    "Examined",
    "Index",
    "LiveIndex",
    "PatchedVectors",
    "ScoredItems",
    "Vectors",
    "directions",
    "dot",
    "patched_index",
    "whole",
]
