"""From a question to a list: encode → retrieve under filters → rank → re-rank → explain."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.vocabulary import OutsideId
from shortlist.errors import SettingsError, UnknownIdError
from shortlist.evaluation.report import Report
from shortlist.models.base import Ranker
from shortlist.recommender.admission import Admission
from shortlist.recommender.asking import Asking, times
from shortlist.recommender.funnel import Funnel
from shortlist.recommender.passage import Passage
from shortlist.recommender.query import Answer, Explain, Query, Recommendation
from shortlist.recommender.reasons import Why, why
from shortlist.recommender.rerankers import rerankers_of
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.recommender.sources import SIMILAR_TO_LAST, SimilarToLast, Source
from shortlist.reranking import Reranker
from shortlist.retrieval import ExactIndex, Index, ScoredItems, Vectors, directions, whole
from shortlist.settings import CANDIDATES, RerankSettings, Settings


class Recommender:
    """Answers queries about one data set with one retriever, and maybe a ranker and re-rankers after it.

    Args:
        dataset: vocabularies, histories of known users, item columns.
        retriever: the model, as saved.
        settings: of the run that made it.
        report: figures of that run.
        baselines: further retrievers its report names, by name.
        ranker: orders what the retriever found; None: it stays as found.
        rerankers: shape the list, in this order; None: those of ``settings.rerank``.
        candidates: how many items retrieval gives to the ranker and the re-rankers, unless these ask for more.
        index: of the retriever's items; None: exact search.

    Raises:
        SettingsError: a ``[[source]]`` that is neither among the baselines nor ``similar_to_last``, or a ``[[rerank]]`` that does
            not fit the data.

    ``shortlist.recommender.artifact`` saves and loads it; ``shortlist.recommender.live_items`` adds items to it.
    """

    withdrawn: Collection[int] = frozenset()
    """Items that were deleted since the artifact was made."""
    _index_of: Callable[[Vectors], Index] = ExactIndex

    def __init__(
        self,
        dataset: Dataset,
        retriever: ServedRetriever,
        settings: Settings,
        report: Report | None = None,
        baselines: Mapping[str, ServedRetriever] | None = None,
        *,
        ranker: Ranker | None = None,
        rerankers: Sequence[Reranker] | None = None,
        candidates: int = CANDIDATES,
        index: Index | None = None,
    ) -> None:
        self.dataset, self.retriever, self.settings, self.report = dataset, retriever, settings, report
        self.baselines = dict(baselines or {})
        self.index: Index = ExactIndex(self.item_vectors) if index is None else index
        self.admission = Admission(dataset)
        self.asking = Asking(dataset, self.admission, keep_seen=settings.split.seen == "keep")
        self.candidates = candidates
        self.funnel = self._funnel(ranker, rerankers, self._sources())

    @property
    def artifact(self) -> Recommender:
        """The recommender as the artifact has it, whatever was added since."""
        return self

    def reranked(self, steps: Sequence[RerankSettings], rerankers: Sequence[Reranker] | None = None) -> Recommender:
        """The same models with other re-ranking; nothing is trained.

        Args:
            steps: in order.
            rerankers: of these steps, where they are built already.

        Raises:
            SettingsError: a step does not fit the data.
        """
        other = copy(self)
        other.settings = self.settings.model_copy(update={"rerank": tuple(steps)})
        other.funnel = other._funnel(self.funnel.ranker, rerankers, self.funnel.sources)
        return other

    def searched_in(self, index_of: Callable[[Vectors], Index]) -> Recommender:
        """The same models, with other indexes of all their vectors: ``retrieval.devices`` makes those of a GPU.

        Args:
            index_of: makes an index of vectors [N, D].
        """
        other = copy(self)
        other.__dict__.pop("similarity_index", None)
        other._index_of, other.index = index_of, index_of(self.item_vectors)
        other.funnel = other._funnel(self.funnel.ranker, self.funnel.rerankers, other._sources())
        return other

    def _funnel(self, ranker: Ranker | None, rerankers: Sequence[Reranker] | None, sources: Sequence[Source]) -> Funnel:
        steps = self.settings.rerank
        if rerankers is None:
            rerankers = rerankers_of(steps, self.dataset, lambda: self.similarity_vectors)
        candidates = max(self.candidates, *(step.candidates or 0 for step in steps), 0)
        return Funnel(self.retriever, self.index, ranker, rerankers, candidates, sources)

    def _sources(self) -> list[Source]:
        """Where candidates come from besides the retriever: models the artifact has as baselines, and the last liked item."""
        sources = []
        for one in self.settings.source:
            if one.model == SIMILAR_TO_LAST:
                similar = SimilarToLast(self.similarity_vectors)
                sources.append(Source(one.model, similar, self.similarity_index, one.quota))
                continue
            if one.model not in self.baselines:
                raise SettingsError(
                    f'[[source]] model = "{one.model}" is not in this artifact, which has '
                    f"{', '.join(self.baselines) or 'no baselines'}. Take one of these, or train with it as a baseline."
                )
            retriever = self.baselines[one.model]
            sources.append(Source(one.model, retriever, self._index_of(retriever.encode_items()), one.quota))
        return sources

    def recommend(self, query: Query, *, explain: Explain = True) -> Answer:
        """Answer one query.

        Args:
            query: who asks, and for what.
            explain: whether with reasons; ``"full"``: with all parts of every score, and what each stage did.

        Returns:
            ``k`` items whenever ``k`` are allowed, else all that are; never a seen, disliked or excluded one, nor one that is not
            available at the query's time.

        Raises:
            UnknownIdError: user or item ids that do not exist.
            QueryError: k, features or condition cannot be used, or no item meets the condition.
            ConditionError: the condition cannot be read.
        """
        return self.recommend_many([query], explain=explain)[0]

    def recommend_many(self, queries: Sequence[Query], *, explain: Explain = False) -> list[Answer]:
        """Answer queries together; each gets what it would get alone."""
        if not queries:
            return []
        asked = self.asking.read(queries)
        passage = self.funnel.lead(asked.batch, asked.candidates, asked.k)
        answers = []
        for row, query in enumerate(queries):
            began, kept = time.perf_counter(), passage.list_of(row)
            told = self._why(asked.batch, passage, row, explain)
            stages = self.funnel.description(passage, row)
            if explain:
                stages["explain"] = {"seconds": round(time.perf_counter() - began, 6), **self._dropped(passage, row)}
            user_id = None if query.user_id is None else self.dataset.users.id(int(asked.users[row]))
            items = self._recommendations(kept, told, passage.places(row))
            answers.append(Answer(user_id, items, stages, draw=passage.draw(row)))
        return answers

    def search(self, queries: Sequence[Query]) -> list[ScoredItems]:
        """``recommend_many`` in item indices, for many queries: what takes time is encoding and search alone."""
        if not queries:
            return []
        asked = self.asking.read(queries)
        return self.funnel.lead(asked.batch, asked.candidates, asked.k).lists()

    def similar(self, item_id: OutsideId, k: int = 10) -> tuple[Recommendation, ...]:
        """Items whose vectors point the same way (cosine) and that are available now, best first, without the item itself.

        Raises:
            UnknownIdError: no such item.
            QueryError: k is not between 1 and the corpus.
        """
        scored = self.search_similar(np.array([self.item_row(item_id)]), Query(k=k))[0]
        return self._recommendations(scored)

    def search_similar(self, item_idx: NDArray[Any], query: Query) -> list[ScoredItems]:
        """``similar`` in item indices, for several items at once, under the filters and at the time of a query.

        Raises:
            QueryError: k is not between 1 and the corpus, or a filter cannot be used.
            ConditionError: the condition cannot be read.
        """
        self.asking.check_k(query.k)
        number = len(item_idx)
        itself = Ragged.from_lengths(np.asarray(item_idx, dtype=np.int32), np.ones(number, dtype=np.int64))
        nothing, asked = Ragged.empty(number), [query] * number
        allowed = self.admission.candidates(asked, times(asked), nothing, itself, keep_seen=True)
        return self.similarity_index.search(self.directions_of(np.asarray(item_idx)), query.k, allowed)

    def item_row(self, item_id: OutsideId) -> int:
        """Index of an item that is there.

        Raises:
            UnknownIdError: it never was, or was deleted.
        """
        row = self.dataset.items.row(item_id)
        if row in self.withdrawn:
            raise UnknownIdError(f"The item {item_id!r} was deleted. PUT /v1/items/{item_id} brings it back.")
        return row

    @cached_property
    def item_vectors(self) -> Vectors:
        """[N, D]."""
        items = whole(self.retriever.encode_items())
        return np.asarray(items) if isinstance(items, np.ndarray) else items

    @cached_property
    def similarity_index(self) -> Index:
        """By cosine."""
        return self._index_of(self.similarity_vectors)

    def vectors_of(self, item_idx: NDArray[Any]) -> Vectors:
        """Rows of ``item_vectors``."""
        return self.retriever.encode_items()[item_idx]

    def directions_of(self, item_idx: NDArray[Any]) -> Vectors:
        """Rows of ``similarity_vectors``."""
        return self.similarity_vectors[item_idx]

    @cached_property
    def similarity_vectors(self) -> Vectors:
        """[N, D] item vectors of length 1, without the bias, which says how popular an item is and not of what kind."""
        vectors = self.item_vectors
        return directions(vectors[:, :-1] if self.retriever.has_item_bias else vectors)

    def display(self, item_idx: NDArray[Any]) -> list[dict[str, Any]]:
        """Title and further columns of items, without what is missing."""
        if not self.dataset.display.num_columns:
            return [{} for _ in item_idx]
        rows = self._shown.take(np.asarray(item_idx, dtype=np.int64)).to_pylist()
        return [{name: _tidy(value) for name, value in row.items() if value is not None} for row in rows]

    @cached_property
    def _shown(self) -> pa.RecordBatch | pa.Table:
        """What is shown of each item."""
        vectors = [spec.name for spec in self.dataset.schema.side("item") if spec.kind == "vector"]
        return _whole(self.dataset.display.drop_columns(vectors))  # vectors are numbers nobody reads

    def history_rows(self, user_id: OutsideId) -> NDArray[np.int64]:
        """Rows of a known user in ``dataset.interactions``, oldest first."""
        offsets, row = self.dataset.interactions.offsets, self.dataset.users.row(user_id)
        return np.arange(offsets[row], offsets[row + 1])

    def _why(self, asked: QueryBatch, passage: Passage, row: int, explain: Explain) -> list[Why]:
        if not explain:
            return []
        one = asked.take(np.array([row]))
        return why(self.dataset, self.funnel, one, passage, row, in_full=explain == "full")

    def _dropped(self, passage: Passage, row: int) -> dict[str, Any]:
        """Ids of what left the first k, by the stage that put others in its place."""
        dropped = {name: self.dataset.items.ids_of(items) for name, items in passage.dropped(row).items()}
        return {"dropped": dropped} if dropped else {}

    def _recommendations(
        self,
        scored: ScoredItems,
        told: Sequence[Why] = (),
        places: Mapping[str, NDArray[np.int64]] | None = None,
    ) -> tuple[Recommendation, ...]:
        ids, shown = self.dataset.items.ids_of(scored.item_idx), self.display(scored.item_idx)
        stages, made = (places or {}).items(), []
        for i, one in enumerate(told or [Why()] * len(scored)):
            passed = {name: int(place[i]) for name, place in stages}
            score = float(scored.score[i])
            made.append(
                Recommendation(ids[i], score, i + 1, one.reasons, shown[i], passed, one.attributions, one.moves)
            )
        return tuple(made)


def _whole(table: pa.Table) -> pa.RecordBatch | pa.Table:
    """In one piece where it can be: rows are then taken without looking for the piece they stand in."""
    pieces = table.combine_chunks().to_batches()
    return pieces[0] if len(pieces) == 1 else table


def _tidy(value: Any) -> Any:
    """1994.0 is shown as 1994."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
