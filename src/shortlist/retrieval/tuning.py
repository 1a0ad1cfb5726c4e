"""Choosing how far approximate search looks, by measuring recall against exact search on queries as they are really asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from shortlist.data.ragged import Ragged
from shortlist.retrieval.ann import AnnIndex
from shortlist.retrieval.base import Vectors
from shortlist.retrieval.clusters import STANDING_OUT, Clusters
from shortlist.retrieval.effort import Effort
from shortlist.retrieval.exact import ExactIndex
from shortlist.retrieval.filters import Candidates
from shortlist.retrieval.measuring import Asked, Known, masks, measured, quantiles, rates, single_times

_QUERIES = 512  # to choose with, and as many to report on
_FILTERED = 128  # of each half under each filter
_SHARES = (0.5, 0.1, 0.01)  # that filters keep: measured and reported
_SHORT = 10  # the recall of lists of so many is as asked, too
_GROWTH = 1.25  # from one effort that is tried to the next
_ERRORS = 2.0  # standard errors by which the recall of the choosing queries must be above what is asked


@dataclass(frozen=True, eq=False)
class Tuned:
    """What came of it.

    Args:
        index: that reaches the recall; None: exact search stays.
        facts: what was measured, in plain values.
        note: what was reached, or why exact search stays.
    """

    index: AnnIndex | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


def tune(
    item_vectors: Vectors,
    query_vectors: Vectors,
    candidates: Candidates,
    *,
    recall: float,
    k: int = 100,
    num_clusters: int | None = None,
    only_if_faster: bool = True,
    seed: int = 0,
) -> Tuned:
    """Build an index and find the least effort at which recall@k is as asked, with and without filters.

    Half of the queries choose, the other half is reported on; where it falls short, the effort grows until it does not.
    Filters are random ones, and ones that keep all items on one side of a plane: those may keep away what a query wants.
    Besides them, the same people are asked again as if they had seen their best items.

    Args:
        item_vectors: [N, D] float32.
        query_vectors: [B, D] of real queries; a thousand are enough.
        candidates: what may come back to each, as when they are asked.
        recall: share of the k best items that must be found, and of the 10 best in lists of 10, on average over queries.
        k: length of the lists.
        num_clusters: None: about 2 √N.
        only_if_faster: whether exact search stays where it answers single queries faster.
        seed: of clustering, of halves and of filters.

    Raises:
        ArtifactError: Faiss is not installed.
    """
    unfit = _unfit(item_vectors, query_vectors)
    if unfit:
        return Tuned(None, note=f"Index: exact search stays, for {unfit}.")
    items, k = np.asarray(item_vectors), min(k, len(item_vectors))
    order = np.random.default_rng(seed).permutation(len(query_vectors))[: 2 * _QUERIES]
    asked = Asked(np.ascontiguousarray(query_vectors), candidates)
    choosing, held_out = (asked.take(order[first::2]) for first in (0, 1))
    started = time.perf_counter()
    clusters = Clusters.build(items, num_clusters or 1 << max(0, round(np.log2(2 * np.sqrt(len(items))))), seed)
    seconds = round(time.perf_counter() - started, 2)
    facts: dict[str, Any] = {"asked_recall": recall, "k": k, "clusters": len(clusters), "build_seconds": seconds}

    trial = _Trial(AnnIndex(items, clusters, Effort(1)), k, recall)
    effort = trial.without_filter(choosing, held_out)
    if effort is None:
        return Tuned(None, facts, f"Index: exact search stays, for not even all clusters reach recall@{k} {recall}.")
    index = AnnIndex(items, clusters, effort)
    facts |= {**measured(index, held_out, k), "queries_per_second": rates(index, held_out, k)}
    mine, exact = (facts["latency_ms"][name]["median"] for name in ("ann", "exact"))
    times = f"{mine:.2f} ms a query, exact search {exact:.2f} ms"
    if only_if_faster and mine >= exact:
        return Tuned(None, facts, f"Index: exact search stays, for it is faster: recall@{k} {recall} takes {times}.")
    effort, filtered = trial.under_filters(replace(effort, by_cost=only_if_faster), choosing, held_out, seed)
    facts |= {"filters": filtered, "effort": effort.to_dict()}
    reached = f"recall@{k} {facts['recall']:.4f} on {len(held_out)} queries"
    return Tuned(AnnIndex(items, clusters, effort), facts, f"Index: {reached}, {times}.")


def _unfit(item_vectors: Vectors, query_vectors: Vectors) -> str:
    """Why these vectors cannot be clustered; empty: they can."""
    if not isinstance(item_vectors, np.ndarray) or not isinstance(query_vectors, np.ndarray):
        return "this model's vectors are sparse"
    if len(query_vectors) < 20:
        return f"there are {len(query_vectors)} queries to measure recall with, and it takes 20"
    if not np.isfinite(item_vectors).all() or not np.isfinite(query_vectors).all():
        return "some vectors are not finite"
    return ""


class _Trial:
    """Tries efforts on one clustering."""

    def __init__(self, index: AnnIndex, k: int, recall: float) -> None:
        self._index, self._k, self._recall = index, k, recall

    def without_filter(self, choosing: Asked, held_out: Asked) -> Effort | None:
        """The fewest clusters that do; None: none do."""
        most = len(self._index.clusters)
        numbers = sorted({round(_GROWTH**power) for power in range(60) if round(_GROWTH**power) <= most})
        efforts = [Effort(number, by_cost=False) for number in numbers]
        chosen = self._least(efforts, [choosing], [held_out])
        if chosen is None:
            return None
        depth = self._k + float(np.quantile(held_out.candidates.exceptions.lengths, 0.95))
        return replace(chosen, depth=depth)

    def under_filters(
        self, effort: Effort, choosing: Asked, held_out: Asked, seed: int
    ) -> tuple[Effort, list[dict[str, Any]]]:
        """How far to reach for the k-th best, and what came of it on the held-out queries."""
        rng, items = np.random.default_rng(seed + 1), self._index.item_vectors
        kinds = [(share, kind, mask) for share in _SHARES for kind, mask in masks(items, share, rng).items()]
        halves = [
            [
                *(half.first(_FILTERED).under(mask) for _, _, mask in kinds),
                self._long_seen(half.first(_FILTERED), effort),
            ]
            for half in (choosing, held_out)
        ]
        # chosen without exact search's help, so that the clock of this run has no part in it
        free = self._with_costs(replace(effort, by_cost=False), halves[1][0])
        efforts = [replace(free, reach=STANDING_OUT * _GROWTH**power) for power in range(-4, 12)]
        chosen = self._least(efforts, *halves) or efforts[-1]
        names = [*((share, kind) for share, kind, _ in kinds), (1.0, "long seen lists")]
        ann_ms: dict[float, float] = {}
        exact_ms: dict[float, float] = {}
        told: list[dict[str, Any]] = []
        for (share, kind), asked in zip(names, halves[1], strict=True):
            times = single_times({"ann": self._with(chosen), "exact": self._index.exact}, asked, self._k)
            told.append({"share": share, "kind": kind, "latency_ms": quantiles(times)})
            mine, other = (one["median"] for one in told[-1]["latency_ms"].values())
            ann_ms[share] = max(mine, ann_ms.get(share, 0))
            exact_ms[share] = min(other, exact_ms.get(share, np.inf))
        effort = replace(chosen, ann_ms=ann_ms, exact_ms=exact_ms, by_cost=effort.by_cost)
        for one, known in zip(told, [asked.known(self._index.exact, self._k) for asked in halves[1]], strict=True):
            one["recall"] = round(float(known.recalls(self._with(effort)).mean()), 5)
            one["in_use"] = "ann" if effort.begins(one["share"]) else "exact"
        return effort, told

    def _long_seen(self, asked: Asked, effort: Effort) -> Asked:
        """The same people, who have seen so many of their best items that the first clusters are not enough."""
        best = self._index.exact.search(asked.vectors, int(2 * effort.depth), asked.candidates)
        seen = Candidates(Ragged.from_rows([one.item_idx for one in best]))
        return Asked(asked.vectors, asked.candidates & seen)

    def _with_costs(self, effort: Effort, filtered: Asked) -> Effort:
        """Times of looking at the first clusters only, few and many of them, tell the costs."""
        share, clusters = _SHARES[0], self._index.clusters
        few = replace(effort, reach=-1e9, by_cost=False)
        many = replace(few, probes=min(8 * effort.probes, len(clusters)))
        items = [self._with(one).first_items(share) / 1000 for one in (few, many)]
        times = [self._median(self._with(one), filtered) for one in (few, many)]
        scan_ms = max(0.0, times[1] - times[0]) / max(1e-3, items[1] - items[0])
        deep_ms = max(0.0, times[0] - scan_ms * items[0])
        return replace(effort, deep_ms=round(float(deep_ms), 4), scan_ms=round(float(scan_ms), 6))

    def _least(self, efforts: list[Effort], choosing: list[Asked], held_out: list[Asked]) -> Effort | None:
        """The first of these, each more than the one before, that does on the choosing and then on the held-out queries."""
        known = self._known(choosing)

        def suffices(effort: Effort) -> bool:
            found = [one.recalls(self._with(effort)) for one in known]
            return all(one.mean() - _ERRORS * one.std() / np.sqrt(len(one)) >= self._recall for one in found)

        rest = efforts[_first_that(suffices, efforts) :]
        unseen = self._known(held_out)
        for effort in rest:
            if all(one.recalls(self._with(effort)).mean() >= self._recall for one in unseen):
                return effort
        return None

    def _known(self, asked: list[Asked]) -> list[Known]:
        """For long lists and for short ones: one cluster may hold too few for the first, and most of what the second want."""
        return [one.known(self._index.exact, k) for one in asked for k in {self._k, min(_SHORT, self._k)}]

    def _with(self, effort: Effort) -> AnnIndex:
        index = AnnIndex(self._index.item_vectors, self._index.clusters, effort)
        index.exact = self._index.exact  # laid out once
        return index

    def _median(self, index: AnnIndex | ExactIndex, asked: Asked) -> float:
        return round(float(np.median(single_times({"it": index}, asked, self._k)["it"])), 4)


def _first_that(holds: Callable[[Effort], bool], efforts: list[Effort]) -> int:
    """Where it begins to hold; their number where it never does."""
    low, high = 0, len(efforts)
    while low < high:
        middle = (low + high) // 2
        if holds(efforts[middle]):
            high = middle
        else:
            low = middle + 1
    return low
