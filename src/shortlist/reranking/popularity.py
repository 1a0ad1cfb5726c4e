"""Less of what everybody knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.reranking.base import Slate, Values, unit


@dataclass(frozen=True, eq=False)
class PopularityDamping:
    """r' = (1 − s) r + s · novelty, r the relevance on [0, 1].

    Novelty is an item's self-information −log2(share of people who took it), over the largest there can be (Zhou et al.,
    PNAS 2010; mixed into the score as by Vargas and Castells, RecSys 2011): popularity counts by its logarithm.

    Args:
        novelty: [N] on [0, 1]; see ``novelty_of``.
        strength: s; at 1 the least popular candidate comes first.
    """

    novelty: Values
    strength: float = 0.2
    name: str = "popularity"

    def rerank(self, slate: Slate, k: int) -> Slate:  # noqa: ARG002 - it sorts the whole list
        """By mixed relevance."""
        if self.strength <= 0:
            return slate
        s = self.strength
        return slate.resorted((1 - s) * unit(slate.relevance) + s * self.novelty[slate.item_idx])


def novelty_of(counts: NDArray[Any], num_users: int) -> Values:
    """−log2((count + 1) / (users + 1)) / log2(users + 1): 1 for what nobody took, 0 for what all took.

    Args:
        counts: [N] people who took each item.
        num_users: people.

    >>> novelty_of(np.array([0.0, 1.0, 3.0]), 3).tolist()
    [1.0, 0.5, 0.0]
    """
    if num_users < 1:
        return np.ones(len(counts))
    novelty: Values = np.log2((num_users + 1) / (counts + 1)) / np.log2(num_users + 1)
    return np.clip(novelty, 0.0, 1.0)
