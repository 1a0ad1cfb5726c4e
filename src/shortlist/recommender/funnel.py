"""The funnel: encode → retrieve under filters → rank → re-rank. Each stage leaves its lists and seconds behind."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.base import Ranker, Retriever
from shortlist.recommender.sources import Source, merged
from shortlist.reranking.base import Reranker, Slate
from shortlist.retrieval import Candidates, Index, ScoredItems
from shortlist.settings import CANDIDATES


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage's answers to B queries.

    Args:
        name: ``retrieval``, ``ranker``, or the step of a re-ranker.
        lists: as the stage left them.
        seconds: that it took for all of them.
    """

    name: str
    lists: list[ScoredItems]
    seconds: float


@dataclass(frozen=True, eq=False)
class Passage:
    """How B queries went through the funnel.

    Args:
        stages: those that made or changed lists, in order; retrieval first.
        k: [B] items wanted.
        encode_seconds: for the vectors of all queries.
        sources: what retrieval was merged from, where there are several; the retriever's own list first.
    """

    stages: tuple[Stage, ...]
    k: NDArray[np.int64]
    encode_seconds: float
    sources: tuple[Stage, ...] = ()

    def list_of(self, query: int) -> ScoredItems:
        """What one query gets: at most k items, best first."""
        return _first(self.stages[-1].lists[query], int(self.k[query]))

    def lists(self) -> list[ScoredItems]:
        """What each query gets."""
        return [self.list_of(query) for query in range(len(self.k))]

    def places(self, query: int) -> dict[str, NDArray[np.int64]]:
        """Where the items of one answer stood (1 is first) after each stage; nothing where the retriever is alone.

        A place that falls from stage to stage was lifted. Items a rule brought in have 0 before it, and of several sources
        those that did not give an item.
        """
        if len(self.stages) == 1 and not self.sources:
            return {}
        final = self.list_of(query).item_idx
        named = [*((source.name, source) for source in self.sources), *self._named()]
        return {name: _places(stage.lists[query].item_idx, final) for name, stage in named}

    def dropped(self, query: int) -> dict[str, NDArray[np.int32]]:
        """Items that stood in the first k before a stage and no longer after it, by stage."""
        k, lists = int(self.k[query]), [(name, stage.lists[query].item_idx) for name, stage in self._named()]
        return {name: before[:k][~np.isin(before[:k], after[:k])] for (_, before), (name, after) in pairwise(lists)}

    def _named(self) -> list[tuple[str, Stage]]:
        """Stages under their names; a step that comes again is numbered."""
        names: list[str] = []
        for stage in self.stages:
            again = sum(one.name == stage.name for one in self.stages[: len(names)])
            names.append(f"{stage.name} {again + 1}" if again else stage.name)
        return list(zip(names, self.stages, strict=True))


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

    def lead(self, queries: QueryBatch, allowed: Candidates, k: NDArray[np.int64]) -> Passage:
        """Answer B queries.

        Args:
            queries: who asks.
            allowed: what may come back to each.
            k: [B] items wanted.
        """
        started = time.perf_counter()
        vectors = self.retriever.encode_queries(queries)
        encoded = time.perf_counter()
        wanted = np.maximum(k, self.candidates) if self.ranker is not None or self.rerankers else k
        found = self.index.search(vectors, int(wanted.max()), allowed)
        # each its own number, so that the company of other queries changes nothing
        found = [_first(one, int(n)) for one, n in zip(found, wanted, strict=True)]
        own = [_timed(self.retriever.name, encoded, found), *self._from_sources(queries, allowed, wanted)]
        if len(own) > 1:
            quotas = [source.quota for source in self.sources]
            shares = [max(1, self.candidates - sum(quotas)), *quotas]
            found = merged([source.lists for source in own], shares, wanted)
        stages = [_timed("retrieval", encoded, found)]
        if self.ranker is not None:
            began = time.perf_counter()
            stages.append(_timed("ranker", began, _ranked(self.ranker, queries, stages[-1].lists)))
        slates = _slates(queries, stages[-1].lists) if self.rerankers else []
        for reranker in self.rerankers:
            began = time.perf_counter()
            slates = [reranker.rerank(slate, int(n)) for slate, n in zip(slates, k, strict=True)]
            lists = [ScoredItems(slate.item_idx, slate.score, reranker.name) for slate in slates]
            stages.append(_timed(reranker.name, began, lists))
        return Passage(tuple(stages), k, encoded - started, tuple(own) if len(own) > 1 else ())

    def _from_sources(self, queries: QueryBatch, allowed: Candidates, wanted: NDArray[np.int64]) -> list[Stage]:
        """What the further sources give to each query."""
        stages = []
        for source in self.sources:
            began = time.perf_counter()
            found = source.search(queries, int(wanted.max()), allowed)
            lists = [_first(one, int(n)) for one, n in zip(found, wanted, strict=True)]
            stages.append(_timed(source.name, began, lists))
        return stages

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
            places = {source.name: _places(source.lists[query].item_idx, found.item_idx) for source in passage.sources}
            described["retrieve"]["sources"] = {name: int(np.count_nonzero(one)) for name, one in places.items()}
        if self.ranker is not None:
            ranked, *further = further
            described["rank"] = {"model": self.ranker.name, "candidates": kept, "seconds": round(ranked.seconds, 6)}
        if self.rerankers:
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
    scores = Ragged(ranker.score(queries, items), items.offsets)
    ranked = []
    for row, one in enumerate(found):
        order = np.argsort(-scores.row(row), kind="stable")
        ranked.append(ScoredItems(one.item_idx[order], scores.row(row)[order], ranker.name))
    return ranked


def _slates(queries: QueryBatch, found: list[ScoredItems]) -> list[Slate]:
    """Lists with what re-rankers may know of who asks."""
    times = np.full(len(queries), np.nan) if queries.time is None else queries.time
    return [
        Slate.of(
            one.item_idx,
            one.score,
            liked=queries.liked.row(row),
            disliked=queries.disliked.row(row),
            time=float(times[row]),
        )
        for row, one in enumerate(found)
    ]


def _timed(name: str, began: float, lists: list[ScoredItems]) -> Stage:
    return Stage(name, lists, time.perf_counter() - began)


def _first(found: ScoredItems, k: int) -> ScoredItems:
    return ScoredItems(found.item_idx[:k], found.score[:k], found.source)


def _places(items: NDArray[np.int32], wanted: NDArray[np.int32]) -> NDArray[np.int64]:
    """[k] place of each wanted item among the items, from 1; 0 where it is not among them."""
    if not len(items):
        return np.zeros(len(wanted), dtype=np.int64)
    order = np.argsort(items, kind="stable")
    place = np.minimum(np.searchsorted(items[order], wanted), len(items) - 1)
    return np.where(items[order][place] == wanted, order[place] + 1, 0)
