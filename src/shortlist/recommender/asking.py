"""Queries in outside ids → what models and the index are asked with. The first line of the path that knows outside ids."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import encode_values
from shortlist.data.features import Column, choose, take_rows
from shortlist.data.moments import milliseconds
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged, is_among, slices
from shortlist.errors import DataError, QueryError, did_you_mean
from shortlist.recommender.admission import Admission
from shortlist.recommender.query import Query
from shortlist.retrieval import Candidates


@dataclass(frozen=True, eq=False)
class Asked:
    """B queries as arrays.

    Args:
        users: [B] rows of known users; -1 where none is named.
        batch: histories, features and times, as models take them.
        candidates: what may come back to each.
        k: [B] items wanted.
    """

    users: NDArray[np.int64]
    batch: QueryBatch
    candidates: Candidates
    k: NDArray[np.int64]


class Asking:
    """Reads queries about one data set.

    Args:
        dataset: vocabularies, histories and features of known users.
        admission: compiles filters.
        keep_seen: whether seen items may come back to everybody.
    """

    def __init__(self, dataset: Dataset, admission: Admission, *, keep_seen: bool) -> None:
        self.dataset, self.admission, self.keep_seen = dataset, admission, keep_seen

    def read(self, queries: Sequence[Query]) -> Asked:
        """Everything a batch of queries asks.

        Raises:
            UnknownIdError: user or item ids that do not exist.
            QueryError: k, features or condition cannot be used, or no item meets the condition.
            ConditionError: the condition cannot be read.
        """
        users = np.array([self.user_row(query) for query in queries], dtype=np.int64)
        batch = self.batch(queries, users)
        candidates = self._candidates(queries, users, batch)
        return Asked(users, batch, candidates, np.array([query.k for query in queries], dtype=np.int64))

    def batch(self, queries: Sequence[Query], users: NDArray[np.int64]) -> QueryBatch:
        """Queries in outside ids → arrays; ``users`` as in ``Asked``."""
        liked, disliked = self.dataset.interactions.histories(*self._known_rows(users))
        given_likes, given_dislikes = self._rows(queries, "history"), self._rows(queries, "disliked")
        newer = (given_likes, given_dislikes, self._rows(queries, "forget"))
        return QueryBatch(
            liked=_without(liked, *newer).concat_rows(_without(given_likes, given_dislikes)),
            disliked=_without(disliked, *newer).concat_rows(given_dislikes),
            features=self._features(queries, users),
            time=times(queries),
            last_time=self._last_times(queries, users),
            user_idx=users,
        )

    def _rows(self, queries: Sequence[Query], field: Literal["history", "disliked", "forget"]) -> Ragged:
        return Ragged.from_rows([self.admission.rows(getattr(query, field), field) for query in queries])

    def user_row(self, query: Query) -> int:
        """Of the known user, or -1."""
        self.check_k(query.k)
        return -1 if query.user_id is None else self.dataset.users.row(query.user_id)

    def check_k(self, k: object) -> None:
        """Refuse what is no number of items.

        Raises:
            QueryError: k is not between 1 and the corpus.
        """
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= self.dataset.num_items:
            raise QueryError(
                f"k is how many items to return: expected 1 to {self.dataset.num_items:,} (the corpus), got {k!r}."
            )

    def _candidates(self, queries: Sequence[Query], users: NDArray[np.int64], batch: QueryBatch) -> Candidates:
        assert batch.time is not None
        seen = slices(self.dataset.interactions.item_idx, *self._known_rows(users)).concat_rows(batch.liked)
        return self.admission.candidates(queries, batch.time, seen, batch.disliked, keep_seen=self.keep_seen)

    def _last_times(self, queries: Sequence[Query], users: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """When the last item entered each history; where the query brings its own, as it says, or unknown."""
        if not self.dataset.has_time:
            return None
        brings = np.array([bool(query.history or query.disliked) for query in queries])
        given = np.array([np.nan if query.last_time is None else query.last_time for query in queries])
        return np.where(brings, given, self.dataset.interactions.last_times(*self._known_rows(users)))

    def _known_rows(self, users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row and end of each user's interactions; nothing for -1."""
        offsets, known = self.dataset.interactions.offsets, users >= 0
        return np.where(known, offsets[users], 0), np.where(known, offsets[users + 1], 0)

    def _features(self, queries: Sequence[Query], users: NDArray[np.int64]) -> dict[str, Column]:
        specs = {spec.name: spec for spec in self.dataset.schema.query if not spec.computed}
        computed = {spec.name for spec in self.dataset.schema.query if spec.computed}
        for query in queries:
            for name in query.features:
                if name in computed:
                    raise QueryError(
                        f"The feature {name!r} is computed from the time and the history of the request: give those instead."
                    )
                if name not in specs:
                    raise QueryError(f"There is no query feature {name!r}; {did_you_mean(name, specs)}.")
        known = take_rows(self.dataset.user_features, users)
        try:
            given = encode_values(list(specs.values()), [query.features for query in queries])
        except DataError as error:
            raise QueryError(str(error)) from None
        merged: dict[str, Column] = {}
        for name in specs:
            is_given = np.array([name in query.features for query in queries])
            merged[name] = choose(given[name], known[name], is_given) if name in known else given[name]
        return merged


def times(queries: Sequence[Query]) -> NDArray[np.float64]:
    """When each is asked; now, where it does not say."""
    now = time.time() * 1000
    return np.array([now if query.time is None else milliseconds(query.time) for query in queries])


def _without(rows: Ragged, *others: Ragged) -> Ragged:
    """Values of each row that do not stand in the same row of the others: the newest word on an item counts."""
    others = tuple(one for one in others if len(one.values))
    if not others or not len(rows.values):
        return rows
    largest = max([int(one.values.max(initial=0)) for one in (rows, *others)]) + 1
    mine = rows.row_of_value * largest + rows.values
    taken = np.concatenate([one.row_of_value * largest + one.values for one in others])
    return rows.where(~is_among(mine, taken))
