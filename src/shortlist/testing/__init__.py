"""Contracts any retriever and index must keep, and worlds with a planted answer; for your own models too."""

from shortlist.testing.contracts import check_index, check_retriever
from shortlist.testing.worlds import two_tastes

__all__ = ["check_index", "check_retriever", "two_tastes"]
