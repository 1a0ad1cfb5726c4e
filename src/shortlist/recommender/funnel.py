"""The funnel: encode → retrieve under filters → rank → re-rank. Each stage leaves its lists and seconds behind."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.base import Ranker, Retriever
from shortlist.recommender.passage import Passage, Stage, first_of, places_of
from shortlist.recommender.sources import Source, merged
from shortlist.reranking import Exploration, Reranker, Rules, Slate
from shortlist.retrieval import Candidates, Index, ScoredItems, Vectors
from shortlist.retrieval.filters import pack
from shortlist.settings import CANDIDATES


class Funnel:
    """Leads queries through the stages.

    Args:
        retriever: encodes queries.
        index: of its items.
        ranker: orders what the retriever found; None: it stays as found.
        rerankers: shape the list, in this order.
        candidates: how many items retrieval gives to a ranker or re-rankers; fewer than k never.
        sources: give their quotas of the candidates, the retriever the rest.
    """

    def __init__(
        self,
        retriever: Retriever,
        index: Index,
        ranker: Ranker | None = None,
        rerankers: Sequence[Reranker] = (),
        candidates: int = CANDIDATES,
        sources: Sequence[Source] = (),
    ) -> None:
        self.retriever, self.index, self.ranker = retriever, index, ranker
        self.rerankers, self.candidates, self.sources = tuple(rerankers), candidates, tuple(sources)
        rules = [one for one in self.rerankers if isinstance(one, Rules) and one.strength > 0]
        self._pinned = np.concatenate([np.empty(0, np.int32), *(one.pinned for one in rules)]).astype(np.int32)
        blocked = np.concatenate([np.empty(0, np.int32), *(one.blocked for one in rules)]).astype(np.int32)
        admitted = np.ones((1, len(index)), dtype=bool)
        admitted[0, blocked] = False
        self._admitted = pack(admitted) if len(blocked) else None

    def lead(self, queries: QueryBatch, allowed: Candidates, k: NDArray[np.int64]) -> Passage:
        """Answer B queries.

        Args:
            queries: who asks.
            allowed: what may come back to each.
            k: [B] items wanted.
        """
        return self.reshape(queries, self.found(queries, allowed, k, wide=bool(self.rerankers)), self.rerankers)

    def found(self, queries: QueryBatch, allowed: Candidates, k: NDArray[np.int64], *, wide: bool = True) -> Passage:
        """``lead`` as far as the ranker.

        Args:
            queries, allowed, k: see ``lead``.
            wide: whether there are more candidates than k, for what comes after.
        """
        started = time.perf_counter()
        vectors = self.retriever.encode_queries(queries)
        encoded = time.perf_counter()
        wanted = np.maximum(k, self.candidates) if wide or self.ranker is not None else k
        if self._admitted is not None:  # what is blocked makes room for others
            none = Ragged.empty(len(queries))
            allowed &= Candidates(none, bitmaps=self._admitted, bitmap=np.zeros(len(queries), dtype=np.int64))
        found = self.index.search(vectors, int(wanted.max()), allowed)
        # each its own number, so that the company of other queries changes nothing
        found = [first_of(one, int(n)) for one, n in zip(found, wanted, strict=True)]
        own = [_timed(self.retriever.name, encoded, found), *self._from_sources(queries, allowed, wanted)]
        if len(own) > 1:
            quotas = [source.quota for source in self.sources]
            shares = [max(1, self.candidates - sum(quotas)), *quotas]
            found = merged([source.lists for source in own], shares, wanted)
        if len(self._pinned):
            found = self._with_pinned(vectors, allowed, found)
        stages = [_timed("retrieval", encoded, found)]
        if self.ranker is not None:
            began = time.perf_counter()
            stages.append(_timed("ranker", began, _ranked(self.ranker, queries, stages[-1].lists)))
        return Passage(tuple(stages), k, encoded - started, tuple(own) if len(own) > 1 else ())

    def reshape(self, queries: QueryBatch, passage: Passage, rerankers: Sequence[Reranker]) -> Passage:
        """The same lists led on through re-rankers, in place of the funnel's own.

        Args:
            queries: who asks.
            passage: as the retriever and the ranker left it; what came after them is dropped.
            rerankers: in order.
        """
        stages = list(passage.stages[: 1 if self.ranker is None else 2])
        slates = _slates(queries, stages[-1].lists, self._pinned) if rerankers else []
        for reranker in rerankers:
            began = time.perf_counter()
            logits = _logits(reranker, slates)
            slates = [reranker.rerank(slate, int(n)) for slate, n in zip(slates, passage.k, strict=True)]
            lists = [ScoredItems(slate.item_idx, slate.score, reranker.name) for slate in slates]
            stages.append(replace(_timed(reranker.name, began, lists), logits=logits))
        return replace(passage, stages=tuple(stages))

    def _from_sources(self, queries: QueryBatch, allowed: Candidates, wanted: NDArray[np.int64]) -> list[Stage]:
        """What the further sources give to each query."""
        stages = []
        for source in self.sources:
            began = time.perf_counter()
            found = source.search(queries, int(wanted.max()), allowed)
            lists = [first_of(one, int(n)) for one, n in zip(found, wanted, strict=True)]
            stages.append(_timed(source.name, began, lists))
        return stages

    def _with_pinned(self, vectors: Vectors, allowed: Candidates, found: list[ScoredItems]) -> list[ScoredItems]:
        """Lists with the pinned items that are allowed and that the retriever did not find, behind the others."""
        pinned = Candidates.only(Ragged.from_rows([self._pinned] * len(found)))
        extended = []
        for own, more in zip(found, self.index.search(vectors, len(self._pinned), allowed & pinned), strict=True):
            new = ~np.isin(more.item_idx, own.item_idx)
            # of several sources merged, scores are those of places
            scores = np.minimum(more.score[new], own.score.min(initial=np.inf))
            items = np.concatenate([own.item_idx, more.item_idx[new]])
            extended.append(ScoredItems(items, np.concatenate([own.score, scores]).astype(np.float32), own.source))
        return extended

    def description(self, passage: Passage, query: int) -> dict[str, dict[str, Any]]:
        """What the stages did for one query, in plain values; seconds are those of the whole batch."""
        retrieval, *further = passage.stages
        found = retrieval.lists[query]
        kept = len(found)
        described: dict[str, dict[str, Any]] = {
            "encode": {"model": self.retriever.name, "seconds": round(passage.encode_seconds, 6)},
            "retrieve": {"corpus": len(self.index), "seconds": round(retrieval.seconds, 6), "candidates": kept},
        }
        if passage.sources:
            places = {
                source.name: places_of(source.lists[query].item_idx, found.item_idx) for source in passage.sources
            }
            described["retrieve"]["sources"] = {name: int(np.count_nonzero(one)) for name, one in places.items()}
        if self.ranker is not None:
            ranked, *further = further
            described["rank"] = {"model": self.ranker.name, "candidates": kept, "seconds": round(ranked.seconds, 6)}
        if further:
            steps, given = [], kept
            for reranker, stage in zip(self.rerankers, further, strict=True):
                left = len(stage.lists[query])
                one = {"step": reranker.name, "strength": reranker.strength, "in": given, "out": left}
                steps.append({**one, "seconds": round(stage.seconds, 6)})
                given = left
            total = round(sum(stage.seconds for stage in further), 6)
            described["rerank"] = {"seconds": total, "steps": steps}
        return described


def _ranked(ranker: Ranker, queries: QueryBatch, found: list[ScoredItems]) -> list[ScoredItems]:
    """The candidates in the ranker's order; of equal scores the retriever's."""
    items = Ragged.from_rows([one.item_idx for one in found])
    retrieved = Ragged.from_rows([one.score for one in found], np.float32).values
    scores = Ragged(ranker.score(queries, items, retrieved), items.offsets)
    ranked = []
    for row, one in enumerate(found):
        order = np.argsort(-scores.row(row), kind="stable")
        ranked.append(ScoredItems(one.item_idx[order], scores.row(row)[order], ranker.name))
    return ranked


def _logits(reranker: Reranker, slates: list[Slate]) -> list[NDArray[np.float64]] | None:
    """By what a step draws; None: it draws nothing."""
    if not isinstance(reranker, Exploration):
        return None
    found = [logits for slate in slates if (logits := reranker.logits(slate)) is not None]
    return found if len(found) == len(slates) else None


def _slates(queries: QueryBatch, found: list[ScoredItems], pinned: NDArray[np.int32]) -> list[Slate]:
    """Lists with what re-rankers may know of who asks."""
    times = np.full(len(queries), np.nan) if queries.time is None else queries.time
    slates = []
    for row, one in enumerate(found):
        slate = Slate.of(
            one.item_idx,
            one.score,
            liked=queries.liked.row(row),
            disliked=queries.disliked.row(row),
            time=float(times[row]),
        )
        brought = np.isin(one.item_idx, pinned) if len(pinned) else np.zeros(0, dtype=bool)
        if brought.any() and not brought.all():  # far below the others, they would stretch the scale of all
            floor = slate.relevance[~brought].min()
            slate = replace(slate, relevance=np.maximum(slate.relevance, floor))
        slates.append(slate)
    return slates


def _timed(name: str, began: float, lists: list[ScoredItems]) -> Stage:
    return Stage(name, lists, time.perf_counter() - began)
