"""Losses: plain functions of tensors. They know no model and no data."""

from shortlist.losses.softmax import full_softmax

__all__ = ["full_softmax"]
