"""The question turned around: who, of the known users, would like an item that they have not taken."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.vocabulary import OutsideId
from shortlist.recommender.query import Query
from shortlist.recommender.recommender import Recommender
from shortlist.retrieval import Vectors, dot

MAX_USERS = 100_000  # the most active ones: their vectors are kept, 26 MB of them at 64 dimensions
_AT_ONCE = 2_048
_YARDSTICKS = 1_024  # items that say what a user's usual score is


@dataclass(frozen=True)
class Fan:
    """A user who would like an item.

    Args:
        user_id: outside id.
        score: as the retriever scores the item for them.
        lift: by how many standard deviations that is above their scores of other items; comparable between users.
        place: of the item among what they have not taken, from 1.
        history_length: interactions of theirs.
    """

    user_id: OutsideId
    score: float
    lift: float
    place: int
    history_length: int


class Audience:
    """Answers from the vectors of known users, encoded at the first question and kept.

    Users are compared by ``lift``: a score by itself says as much about the length of a user's vector as about the item.
    Histories are those of the recommender's data set; a ranker and re-rankers are not asked.

    Args:
        recommender: whose users and items.
        max_users: how many of its most active users are asked.
    """

    def __init__(self, recommender: Recommender, max_users: int = MAX_USERS) -> None:
        self.recommender = recommender
        self.num_users = min(max_users, recommender.dataset.num_users)
        self._people = _People(recommender, self.num_users)

    def over(self, recommender: Recommender) -> Audience:
        """The same people, asked about items that came since; what is kept of them is shared."""
        other = copy(self)
        other.recommender = recommender
        return other

    def of(self, item_id: OutsideId, k: int = 10) -> list[Fan]:
        """At most k users, the greatest lift first; none who has taken the item already.

        Raises:
            UnknownIdError: no such item.
        """
        row = self.recommender.item_row(item_id)
        vectors, usual, spread = self._people.vectors()
        scores = dot(vectors, self.recommender.vectors_of(np.array([row])))[:, 0]
        lift = (scores - usual) / np.maximum(spread, 1e-6)
        log = self.recommender.dataset.interactions
        takers = log.user_idx[log.item_idx == row]
        lift[takers[takers < self.num_users]] = -np.inf
        best = np.argsort(-lift, kind="stable")[:k]
        best = best[lift[best] > -np.inf]
        places = self._places(row, best, dot(vectors[best], self.recommender.item_vectors))
        ids, lengths = self.recommender.dataset.users.ids_of(best), np.diff(log.offsets)
        return [
            Fan(ids[n], float(scores[user]), float(lift[user]), int(places[n]), int(lengths[user]))
            for n, user in enumerate(best.tolist())
        ]

    def _places(self, row: int, users: NDArray[Any], scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Where the item stands among what each of the users has not taken; scores [users, N] are overwritten."""
        log = self.recommender.dataset.interactions
        mine = scores[:, [row]]
        for n, user in enumerate(users.tolist()):
            scores[n, log.item_idx[log.offsets[user] : log.offsets[user + 1]]] = -np.inf
        places: NDArray[np.int64] = (scores > mine).sum(axis=1) + 1
        return places


class _People:
    """The vectors of a recommender's most active users, encoded at the first question."""

    def __init__(self, recommender: Recommender, num_users: int) -> None:
        self.recommender, self.num_users, self._lock = recommender, num_users, Lock()
        self._kept: tuple[Vectors, NDArray[np.float32], NDArray[np.float32]] | None = None

    def vectors(self) -> tuple[Vectors, NDArray[np.float32], NDArray[np.float32]]:
        """Query vectors [U, D] of the users, and mean and deviation of their scores over items from all of the corpus."""
        with self._lock:
            if self._kept is None:
                blocks = [self._encoded(start) for start in range(0, self.num_users, _AT_ONCE)]
                dense = all(isinstance(one, np.ndarray) for one in blocks)
                vectors = np.concatenate(blocks) if dense else _stacked(blocks)
                items = self.recommender.item_vectors
                count = min(_YARDSTICKS, items.shape[0])
                yardsticks = items[np.linspace(0, items.shape[0] - 1, count).astype(np.int64)]
                usual, spread = np.empty(self.num_users, np.float32), np.empty(self.num_users, np.float32)
                for start in range(0, self.num_users, _AT_ONCE):
                    scores = dot(vectors[start : start + _AT_ONCE], yardsticks)
                    usual[start : start + _AT_ONCE] = scores.mean(axis=1)
                    spread[start : start + _AT_ONCE] = scores.std(axis=1)
                self._kept = (vectors, usual, spread)
            return self._kept

    def _encoded(self, start: int) -> Vectors:
        users = np.arange(start, min(start + _AT_ONCE, self.num_users))
        return self.recommender.retriever.encode_queries(self.recommender.asking.batch([Query()] * len(users), users))


def _stacked(blocks: list[Vectors]) -> Vectors:
    from scipy.sparse import vstack

    return vstack(blocks, format="csr")
