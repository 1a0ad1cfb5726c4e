"""Losses: plain functions of tensors. They know no model and no data."""

from shortlist.losses.contrastive import cosine_contrastive
from shortlist.losses.hits import accidental_hits, owned
from shortlist.losses.in_batch import in_batch_softmax
from shortlist.losses.listwise import listwise_softmax, masked_logistic
from shortlist.losses.pairwise import bpr, bpr_max
from shortlist.losses.pointwise import binary_cross_entropy, calibrated_beta
from shortlist.losses.sampled_softmax import sampled_softmax
from shortlist.losses.softmax import full_softmax

__all__ = [
    "accidental_hits",
    "binary_cross_entropy",
    "bpr",
    "bpr_max",
    "calibrated_beta",
    "cosine_contrastive",
    "full_softmax",
    "in_batch_softmax",
    "listwise_softmax",
    "masked_logistic",
    "owned",
    "sampled_softmax",
]
