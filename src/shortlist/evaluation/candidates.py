"""Which items compete in the queries of a holdout: those that serving would let through."""

from __future__ import annotations

from shortlist.data.splitting import Holdout
from shortlist.retrieval import BitmapCache, Candidates
from shortlist.retrieval.filters import open_at


def candidates_of(holdout: Holdout) -> Candidates:
    """Everything but what is seen, and what is not available at the query's time.

    Args:
        holdout: Q queries.
    """
    unseen = Candidates(holdout.seen)
    if holdout.availability is None or holdout.queries.time is None:
        return unseen
    return unseen & open_at(holdout.availability, holdout.queries.time, BitmapCache(limit=0))
