"""What goes through re-ranking: a list for one query, and what may look at it. Knows only arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged

Values = NDArray[np.float64]
_NOBODY: NDArray[np.int32] = np.empty(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Slate:
    """The candidates of one query in the order so far; immutable.

    Args:
        item_idx: [n] best first.
        score: [n] of the last model that scored them: travels with the item, whatever place it gets.
        relevance: [n] what re-rankers weigh against their own aim; never rises along the list. At first the scores; a step
            that scores anew leaves its own values, one that only orders deals the list's values out again in the new order.
        liked, disliked: item indices of the asker's history, oldest first.
        time: of the question, milliseconds since 1970; NaN where unknown.
    """

    item_idx: NDArray[np.int32]
    score: NDArray[np.float32]
    relevance: Values
    liked: NDArray[np.int32] = field(default_factory=lambda: _NOBODY)
    disliked: NDArray[np.int32] = field(default_factory=lambda: _NOBODY)
    time: float = float("nan")

    @classmethod
    def of(cls, item_idx: NDArray[np.int32], score: NDArray[np.float32], **asker: Any) -> Slate:
        """A list as a model left it.

        >>> Slate.of(np.array([7, 3], np.int32), np.array([2, 1], np.float32)).relevance.tolist()
        [2.0, 1.0]
        """
        return cls(item_idx, score, score.astype(np.float64), **asker)

    def __len__(self) -> int:
        return len(self.item_idx)

    def ordered(self, order: NDArray[np.int64], relevance: Values | None = None) -> Slate:
        """The items at the places ``order`` [m], in that order.

        Args:
            order: places in this list, none twice; what is left out is dropped.
            relevance: [m] new values, not rising; None: the m items' present values, dealt out from the highest.
        """
        dealt = np.sort(self.relevance[order])[::-1] if relevance is None else relevance
        return replace(self, item_idx=self.item_idx[order], score=self.score[order], relevance=dealt)

    def resorted(self, relevance: Values) -> Slate:
        """By new values [n], one an item of this list; of equal ones the earlier stays first."""
        order = np.argsort(-relevance, kind="stable")
        return self.ordered(order, relevance[order])

    def first(self, k: int) -> Slate:
        """The first k."""
        return self if k >= len(self) else self.ordered(np.arange(k), self.relevance[:k])


@runtime_checkable
class Reranker(Protocol):
    """Shapes a list.

    ``strength`` is from 0, which leaves every list as it is, to 1. What comes back are items of the list, none twice, the
    first k of them placed on purpose; only rules that forbid items leave any out.
    """

    @property
    def name(self) -> str:
        """Of the step."""
        ...

    @property
    def strength(self) -> float:
        """On [0, 1]."""
        ...

    def rerank(self, slate: Slate, k: int) -> Slate:
        """All n items (but forbidden ones) in an order whose first k are the page."""
        ...


def page_first(chosen: NDArray[np.int64] | list[int], n: int) -> NDArray[np.int64]:
    """All n places: the chosen ones in their order, then the rest in theirs, so that later steps have all to choose from.

    >>> page_first([2, 0], 4).tolist()
    [2, 0, 1, 3]
    """
    page = np.asarray(chosen, dtype=np.int64)
    is_left = np.ones(n, dtype=bool)
    is_left[page] = False
    return np.concatenate([page, np.flatnonzero(is_left)])


def indicators(groups: Ragged, item_idx: NDArray[np.int32]) -> tuple[NDArray[np.int64], Values]:
    """Which tags or groups some items have.

    Args:
        groups: N rows of codes, one row an item of the corpus; an item may have several, or none.
        item_idx: [n].

    Returns:
        The codes [G] these items have, ascending, and [n, G], 1 where an item has the code.

    >>> indicators(Ragged.from_rows([[5, 3], [3], []]), np.array([1, 0, 2], np.int32))[1].tolist()
    [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    """
    own = groups.take(item_idx)
    codes, column = np.unique(own.values, return_inverse=True)
    matrix = np.zeros((len(item_idx), len(codes)))
    matrix[own.row_of_value, column] = 1
    return codes, matrix


def unit(relevance: Values) -> Values:
    """A list's values on [0, 1]: (r − min) / (max − min); 1 where all are equal.

    The normalisation before any mixing: per list, so that scores of every model can be weighed against a share, a
    distance or a divergence. It depends on the list: with more candidates the best ones lie closer together.

    >>> unit(np.array([3.0, 2.0, 1.0])).tolist(), unit(np.array([5.0, 5.0])).tolist()
    ([1.0, 0.5, 0.0], [1.0, 1.0])
    """
    if not len(relevance):
        return relevance
    low, high = float(relevance.min()), float(relevance.max())
    return (relevance - low) / (high - low) if high > low else np.ones(len(relevance))
