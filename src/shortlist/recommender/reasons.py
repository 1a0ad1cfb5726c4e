"""Explanations of one answer's items, in outside ids: whose score is the sum of what, and which stage moved the item."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.vocabulary import OutsideId
from shortlist.recommender.attribution import Attribution, Move, Reason
from shortlist.recommender.explanation import Explained, explain_ranker, explain_retriever
from shortlist.recommender.funnel import Funnel
from shortlist.recommender.passage import Passage, places_of

_STRONGEST = 3  # parts that are told where not all are


@dataclass(frozen=True)
class Why:
    """Of one item.

    Args:
        reasons: the liked items and features that raised the retriever's score most.
        attributions: of the retriever's score, of those of further sources that gave the item, and of the ranker's.
        moves: stage by stage.
    """

    reasons: tuple[Reason, ...] = ()
    attributions: tuple[Attribution, ...] = ()
    moves: tuple[Move, ...] = ()


def why(dataset: Dataset, funnel: Funnel, query: QueryBatch, passage: Passage, row: int, *, in_full: bool) -> list[Why]:
    """Why each item of one answer is there.

    Args:
        dataset: vocabularies and titles.
        funnel: that gave the answer.
        query: one, that asked.
        passage: of all queries asked together.
        row: which of them.
        in_full: with attributions and moves, not only reasons.
    """
    item_idx, specs = passage.list_of(row).item_idx, dataset.schema.query
    if not len(item_idx):
        return []
    retrieved = explain_retriever(funnel.retriever, query, item_idx, specs)
    reasons = _reasons(dataset, retrieved, _strongest(retrieved))
    if not in_full:
        return [Why(one) for one in reasons]
    attributions = [[one] for one in _attributions(dataset, "retrieval", retrieved)]
    for source, stage in zip(funnel.sources, passage.sources[1:], strict=True):
        given = np.flatnonzero(places_of(stage.lists[row].item_idx, item_idx))
        explained = explain_retriever(source.retriever, query, item_idx[given], specs) if len(given) else None
        for place, one in zip(given, _attributions(dataset, source.name, explained), strict=True):
            attributions[place].append(one)
    if funnel.ranker is not None:
        explained = explain_ranker(funnel.ranker, query, passage.stages[0].lists[row], item_idx, specs)
        for own, one in zip(attributions, _attributions(dataset, "ranker", explained), strict=explained is not None):
            own.append(one)
    told = zip(reasons, attributions, passage.moves(row), strict=True)
    return [Why(reason, tuple(attribution), moves) for reason, attribution, moves in told]


def _attributions(dataset: Dataset, stage: str, explained: Explained | None) -> list[Attribution]:
    """One an item; none where nothing was explained."""
    if explained is None:
        return []
    order = np.argsort(-np.abs(explained.contributions), axis=0, kind="stable")
    parts = _reasons(dataset, explained, Ragged.from_rows(order.T))
    numbers = zip(explained.score.tolist(), explained.baseline.tolist(), parts, strict=True)
    return [Attribution(stage, explained.model, *one) for one in numbers]


def _strongest(explained: Explained) -> Ragged:
    """Of each item the few liked items and features that raise its score most."""
    named = np.array([part.item >= 0 or part.kind in ("feature", "moment") for part in explained.parts], dtype=bool)
    raises = np.where(named[:, None], explained.contributions, 0)
    order = np.argsort(-raises, axis=0, kind="stable")[:_STRONGEST].T
    does = np.take_along_axis(raises.T, order, 1) > 0
    return Ragged.from_lengths(order[does], does.sum(axis=1))


def _reasons(dataset: Dataset, explained: Explained, chosen: Ragged) -> list[tuple[Reason, ...]]:
    """Of each of k items its chosen parts, in outside ids.

    Args:
        dataset: vocabularies and titles.
        explained: k items.
        chosen: k rows of places of parts.
    """
    rows = np.array([part.item for part in explained.parts], dtype=np.int64)
    needed = np.unique(chosen.values[rows[chosen.values] >= 0])
    told = zip(dataset.items.ids_of(rows[needed]), _titles(dataset, rows[needed]), strict=True)
    named: dict[int, tuple[OutsideId, str | None]] = dict(zip(needed.tolist(), told, strict=True))
    size = np.abs(explained.contributions).sum(axis=0)[chosen.row_of_value]
    amounts = explained.contributions[chosen.values, chosen.row_of_value]
    shares = (amounts / np.where(size > 0, size, 1)).round(6).tolist()
    made = []
    for n, amount, share in zip(chosen.values.tolist(), amounts.tolist(), shares, strict=True):
        part, (item_id, title) = explained.parts[n], named.get(n, (None, None))
        made.append(Reason(item_id, amount, title, part.kind, part.name or None, part.count, share))
    return [tuple(made[start:end]) for start, end in pairwise(chosen.offsets.tolist())]


def _titles(dataset: Dataset, item_idx: NDArray[np.int64]) -> list[str | None]:
    if "title" not in dataset.display.column_names:
        return [None] * len(item_idx)
    return [None if one is None else str(one) for one in dataset.display["title"].take(item_idx).to_pylist()]
