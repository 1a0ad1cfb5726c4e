"""From a question to a list: encode → retrieve under filters → explain."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import encode_values
from shortlist.data.features import Column, choose, take_rows
from shortlist.data.moments import milliseconds
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged, is_among, slices
from shortlist.data.vocabulary import OutsideId
from shortlist.errors import DataError, QueryError, did_you_mean
from shortlist.evaluation.report import Report
from shortlist.recommender.admission import Admission
from shortlist.recommender.explanation import occlusion, strongest
from shortlist.recommender.query import Answer, Query, Reason, Recommendation
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.retrieval import Candidates, ExactIndex, ScoredItems, Vectors, directions
from shortlist.settings import Settings


class Recommender:
    """Answers queries about one data set with one retriever.

    Args:
        dataset: vocabularies, histories of known users, item columns.
        retriever: the model, as saved.
        settings: of the run that made it.
        report: figures of that run.
        baselines: further retrievers its report names, by name.

    ``shortlist.recommender.artifact`` saves and loads it.
    """

    def __init__(
        self,
        dataset: Dataset,
        retriever: ServedRetriever,
        settings: Settings,
        report: Report | None = None,
        baselines: Mapping[str, ServedRetriever] | None = None,
    ) -> None:
        self.dataset, self.retriever, self.settings, self.report = dataset, retriever, settings, report
        self.baselines = dict(baselines or {})
        items = retriever.encode_items()
        self.index = ExactIndex(np.asarray(items) if isinstance(items, np.ndarray) else items)
        self.admission = Admission(dataset)

    def recommend(self, query: Query, *, explain: bool = True) -> Answer:
        """Answer one query.

        Returns:
            ``k`` items whenever ``k`` are allowed, else all that are; never a seen, disliked or excluded one, nor one that is not
            available at the query's time.

        Raises:
            UnknownIdError: user or item ids that do not exist.
            QueryError: k, features or condition cannot be used, or no item meets the condition.
            ConditionError: the condition cannot be read.
        """
        return self.recommend_many([query], explain=explain)[0]

    def recommend_many(self, queries: Sequence[Query], *, explain: bool = False) -> list[Answer]:
        """Answer queries together; each gets what it would get alone."""
        if not queries:
            return []
        batch, found, stages = self._retrieve(queries)
        answers = []
        for row, (query, kept) in enumerate(zip(queries, found, strict=True)):
            began = time.perf_counter()
            reasons = self._reasons(batch.take(np.array([row])), kept) if explain else [()] * len(kept)
            own = {**stages, "retrieve": {**stages["retrieve"], "candidates": len(kept)}}
            if explain:
                own["explain"] = {"seconds": round(time.perf_counter() - began, 6)}
            user_id = None if query.user_id is None else self.dataset.users.id(self._user_row(query))
            answers.append(Answer(user_id, self._recommendations(kept, reasons), own))
        return answers

    def search(self, queries: Sequence[Query]) -> list[ScoredItems]:
        """``recommend_many`` in item indices, for many queries: what takes time is encoding and search alone."""
        return self._retrieve(queries)[1] if queries else []

    def similar(self, item_id: OutsideId, k: int = 10) -> tuple[Recommendation, ...]:
        """Items whose vectors point the same way (cosine) and that are available now, best first, without the item itself.

        Raises:
            UnknownIdError: no such item.
            QueryError: k is not between 1 and the corpus.
        """
        self._check_k(k)
        row = self.dataset.items.row(item_id)
        index = self.similarity_index
        others = Candidates(Ragged.from_rows([[row]])) & self.admission.available(np.array([time.time() * 1000]))
        scored = index.search(index.item_vectors[[row]], k, others)[0]
        return self._recommendations(scored, [()] * len(scored))

    @cached_property
    def similarity_index(self) -> ExactIndex:
        """By cosine."""
        return ExactIndex(self.similarity_vectors)

    @cached_property
    def similarity_vectors(self) -> Vectors:
        """[N, D] item vectors of length 1, without the bias, which says how popular an item is and not of what kind."""
        vectors = self.index.item_vectors
        return directions(vectors[:, :-1] if self.retriever.has_item_bias else vectors)

    def _retrieve(self, queries: Sequence[Query]) -> tuple[QueryBatch, list[ScoredItems], dict[str, dict[str, Any]]]:
        """The queries as arrays, the list of each, and what the stages did."""
        started = time.perf_counter()
        users = np.array([self._user_row(query) for query in queries], dtype=np.int64)
        batch = self._query_batch(queries, users)
        vectors = self.retriever.encode_queries(batch)
        encoded = time.perf_counter()
        candidates = self._candidates(queries, users, batch)
        found = self.index.search(vectors, max(query.k for query in queries), candidates)
        stages: dict[str, dict[str, Any]] = {
            "encode": {"model": self.retriever.name, "seconds": round(encoded - started, 6)},
            "retrieve": {"corpus": len(self.index), "seconds": round(time.perf_counter() - encoded, 6)},
        }
        wanted = [(one, query.k) for one, query in zip(found, queries, strict=True)]
        return batch, [ScoredItems(one.item_idx[:k], one.score[:k], one.source) for one, k in wanted], stages

    def _query_batch(self, queries: Sequence[Query], users: NDArray[np.int64]) -> QueryBatch:
        """Queries in outside ids → arrays."""
        liked, disliked = self._known_histories(users)
        given_likes = Ragged.from_rows([self.admission.rows(query.history, "history") for query in queries])
        given_dislikes = Ragged.from_rows([self.admission.rows(query.disliked, "disliked") for query in queries])
        return QueryBatch(
            liked=_without(liked, given_likes, given_dislikes).concat_rows(_without(given_likes, given_dislikes)),
            disliked=_without(disliked, given_likes, given_dislikes).concat_rows(given_dislikes),
            features=self._features(queries, users),
            time=_times(queries),
            last_time=self._last_times(queries, users),
        )

    def display(self, item_idx: NDArray[Any]) -> list[dict[str, Any]]:
        """Title and further columns of items, without what is missing."""
        if not self.dataset.display.num_columns:
            return [{} for _ in item_idx]
        vectors = [spec.name for spec in self.dataset.schema.side("item") if spec.kind == "vector"]
        shown = self.dataset.display.drop_columns(vectors)  # numbers nobody reads
        rows = shown.take(np.asarray(item_idx, dtype=np.int64)).to_pylist()
        return [{name: _tidy(value) for name, value in row.items() if value is not None} for row in rows]

    def history_rows(self, user_id: OutsideId) -> NDArray[np.int64]:
        """Rows of a known user in ``dataset.interactions``, oldest first."""
        offsets, row = self.dataset.interactions.offsets, self.dataset.users.row(user_id)
        return np.arange(offsets[row], offsets[row + 1])

    def _user_row(self, query: Query) -> int:
        self._check_k(query.k)
        return -1 if query.user_id is None else self.dataset.users.row(query.user_id)

    def _check_k(self, k: object) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= self.dataset.num_items:
            raise QueryError(
                f"k is how many items to return: expected 1 to {self.dataset.num_items:,} (the corpus), got {k!r}."
            )

    def _known_histories(self, users: NDArray[np.int64]) -> tuple[Ragged, Ragged]:
        return self.dataset.interactions.histories(*self._known_rows(users))

    def _last_times(self, queries: Sequence[Query], users: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """When the last item entered each history; unknown where the query brings its own, whose times nobody gave."""
        if not self.dataset.has_time:
            return None
        brings = np.array([bool(query.history or query.disliked) for query in queries])
        return np.where(brings, np.nan, self.dataset.interactions.last_times(*self._known_rows(users)))

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

    def _candidates(self, queries: Sequence[Query], users: NDArray[np.int64], batch: QueryBatch) -> Candidates:
        assert batch.time is not None
        seen = slices(self.dataset.interactions.item_idx, *self._known_rows(users)).concat_rows(batch.liked)
        keep = self.settings.split.seen == "keep"
        return self.admission.candidates(queries, batch.time, seen, batch.disliked, keep_seen=keep)

    def _reasons(self, query: QueryBatch, scored: ScoredItems) -> list[tuple[Reason, ...]]:
        history, contributions = occlusion(self.retriever, query, scored.item_idx)
        chosen = strongest(contributions)
        ids, shown = self.dataset.items.ids_of(history), self.display(history)
        return [
            tuple(Reason(ids[h], float(contributions[h, column]), shown[h].get("title")) for h in chosen.row(column))
            for column in range(len(scored))
        ]

    def _recommendations(
        self, scored: ScoredItems, reasons: Sequence[tuple[Reason, ...]]
    ) -> tuple[Recommendation, ...]:
        ids, shown = self.dataset.items.ids_of(scored.item_idx), self.display(scored.item_idx)
        return tuple(
            Recommendation(ids[i], float(scored.score[i]), i + 1, reasons[i], shown[i]) for i in range(len(scored))
        )


def _times(queries: Sequence[Query]) -> NDArray[np.float64]:
    """When each is asked; now, where it does not say."""
    now = time.time() * 1000
    return np.array([now if query.time is None else milliseconds(query.time) for query in queries])


def _without(rows: Ragged, *others: Ragged) -> Ragged:
    """Values of each row that do not stand in the same row of the others: the newest word on an item counts."""
    largest = max([int(one.values.max(initial=0)) for one in (rows, *others)]) + 1
    mine = rows.row_of_value * largest + rows.values
    taken = np.concatenate([one.row_of_value * largest + one.values for one in others])
    return rows.where(~is_among(mine, taken))


def _tidy(value: Any) -> Any:
    """1994.0 is shown as 1994."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
