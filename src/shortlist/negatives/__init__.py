"""Negatives: who to compare a positive with. They know only arrays; each comes with its log q."""

from shortlist.negatives.base import Negatives, Sampler
from shortlist.negatives.hard import HardCache, hardest
from shortlist.negatives.in_batch import InBatch
from shortlist.negatives.mixed import Mixed
from shortlist.negatives.popularity import Popularity
from shortlist.negatives.uniform import Uniform
from shortlist.negatives.unobserved import Unobserved

__all__ = ["HardCache", "InBatch", "Mixed", "Negatives", "Popularity", "Sampler", "Uniform", "Unobserved", "hardest"]
