"""How queries went through the funnel: what each stage left, and what it lifted and dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shortlist.recommender.attribution import Move
from shortlist.retrieval import ScoredItems


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage's answers to B queries.

    Args:
        name: ``retrieval``, ``ranker``, or the step of a re-ranker.
        lists: as the stage left them.
        seconds: that it took for all of them.
        logits: of a draw, one [n] a query along the list of the stage before; None: the stage draws nothing.
    """

    name: str
    lists: list[ScoredItems]
    seconds: float
    logits: list[NDArray[np.float64]] | None = None


@dataclass(frozen=True, eq=False)
class Draw:
    """How a page was drawn: from candidates with these logits, in the Plackett-Luce model.

    Args:
        item_idx: [n] the candidates.
        logits: [n].
        order: [k] which candidate stands at each place.
    """

    item_idx: NDArray[np.int32]
    logits: NDArray[np.float64]
    order: NDArray[np.int64]


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
        return first_of(self.stages[-1].lists[query], int(self.k[query]))

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
        return {name: places_of(stage.lists[query].item_idx, final) for name, stage in named}

    def moves(self, query: int) -> list[tuple[Move, ...]]:
        """What every stage did with each item of one answer, in order; of further sources ``places`` tells."""
        final, told = self.list_of(query).item_idx, []
        for name, stage in self._named():
            found = stage.lists[query]
            place = places_of(found.item_idx, final)
            score = np.append(found.score, np.float32(np.nan))[place - 1]  # place 0: the last, which is unknown
            told.append((name, place.tolist(), score.tolist()))
        return [
            tuple(_moves([(name, place[item], score[item]) for name, place, score in told]))
            for item in range(len(final))
        ]

    def dropped(self, query: int) -> dict[str, NDArray[np.int32]]:
        """Items that stood in the first k before a stage and no longer after it, by stage."""
        k, lists = int(self.k[query]), [(name, stage.lists[query].item_idx) for name, stage in self._named()]
        return {name: before[:k][~np.isin(before[:k], after[:k])] for (_, before), (name, after) in pairwise(lists)}

    def draw(self, query: int) -> Draw | None:
        """How one answer was drawn; None: nothing was, or not by the last stage, so that nobody knows how likely it was."""
        last = self.stages[-1]
        if last.logits is None:
            return None
        candidates = self.stages[-2].lists[query].item_idx
        order = places_of(candidates, self.list_of(query).item_idx) - 1
        return Draw(candidates, last.logits[query], order)

    def names(self) -> list[str]:
        """Of the stages; a step that comes again is numbered."""
        names: list[str] = []
        for stage in self.stages:
            again = sum(one.name == stage.name for one in self.stages[: len(names)])
            names.append(f"{stage.name} {again + 1}" if again else stage.name)
        return names

    def _named(self) -> list[tuple[str, Stage]]:
        return list(zip(self.names(), self.stages, strict=True))


def _moves(told: list[tuple[str, int, float]]) -> Iterator[Move]:
    """Of one item, from each stage's name, place and score."""
    before = 0
    for name, place, score in told:
        yield Move(name, place, before - place if before and place else None, score if place else None)
        before = place


def first_of(found: ScoredItems, k: int) -> ScoredItems:
    """The best k of a list."""
    return ScoredItems(found.item_idx[:k], found.score[:k], found.source)


def places_of(items: NDArray[np.int32], wanted: NDArray[np.int32]) -> NDArray[np.int64]:
    """[k] place of each wanted item among the items, from 1; 0 where it is not among them."""
    if not len(items):
        return np.zeros(len(wanted), dtype=np.int64)
    order = np.argsort(items, kind="stable")
    place = np.minimum(np.searchsorted(items[order], wanted), len(items) - 1)
    return np.where(items[order][place] == wanted, order[place] + 1, 0)
