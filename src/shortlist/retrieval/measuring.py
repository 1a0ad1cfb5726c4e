"""Recall, latency and rate of an index, beside exact search."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.retrieval.ann import AnnIndex
from shortlist.retrieval.base import Index, ScoredItems
from shortlist.retrieval.filters import Candidates

_TIMED, _BATCHES = 64, 3
_MASKS = 8  # of each kind
_TIE = 1e-5  # of a score: where two differ by less, either may stand at the end of a list


@dataclass(frozen=True, eq=False)
class Asked:
    """Queries with what may come back to each.

    Args:
        vectors: [B, D].
        candidates: of B queries.
    """

    vectors: NDArray[np.float32]
    candidates: Candidates

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: NDArray[Any]) -> Asked:
        """Some of them."""
        return Asked(self.vectors[rows], self.candidates.take(rows))

    def first(self, n: int) -> Asked:
        """At most n of them."""
        return self.take(np.arange(min(n, len(self))))

    def under(self, masks: NDArray[np.bool_]) -> Asked:
        """Each under one of the masks [M, N], too."""
        return Asked(self.vectors, self.candidates & Candidates.shared(masks, np.arange(len(self)) % len(masks)))

    def known(self, exact: Index, k: int) -> Known:
        """With their true answers."""
        return Known(self, k, exact.search(self.vectors, k, self.candidates))


@dataclass(frozen=True, eq=False)
class Known:
    """Queries with their true lists of k."""

    asked: Asked
    k: int
    truth: Sequence[ScoredItems]

    def recalls(self, index: Index) -> NDArray[np.float64]:
        """[B]."""
        return recalls(index.search(self.asked.vectors, self.k, self.asked.candidates), self.truth)


def recalls(found: Sequence[ScoredItems], truth: Sequence[ScoredItems]) -> NDArray[np.float64]:
    """[B] share of what exact search finds; an item that scores as much as the last one of it counts.

    >>> lists = [([3, 1], [5, 2]), ([3, 2], [5, 4])]
    >>> one, other = (ScoredItems(np.array(items, np.int32), np.array(scores, np.float32)) for items, scores in lists)
    >>> recalls([one], [other]).tolist()
    [0.5]
    """
    last = [one.score[-1] - _TIE * abs(one.score[-1]) if len(one) else np.inf for one in truth]
    hits = [int((one.score >= least).sum()) for one, least in zip(found, last, strict=True)]
    return np.array([min(hit, len(one)) / max(1, len(one)) for hit, one in zip(hits, truth, strict=True)])


def measured(index: AnnIndex, asked: Asked, k: int) -> dict[str, Any]:
    """Recall of long and short lists, and milliseconds of single queries, with exact search in the same run."""
    known = asked.known(index.exact, k)
    short = Known(asked, min(10, k), [ScoredItems(one.item_idx[:10], one.score[:10]) for one in known.truth])
    times = single_times({"ann": index, "exact": index.exact}, asked, k)
    return {
        "recall": round(float(known.recalls(index).mean()), 5),
        f"recall@{short.k}": round(float(short.recalls(index).mean()), 5),
        "queries": len(asked),
        "latency_ms": quantiles(times),
    }


def quantiles(times: Mapping[str, NDArray[np.float64]]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of each."""
    return {
        name: {"median": round(float(np.median(one)), 4), "p95": round(float(np.quantile(one, 0.95)), 4)}
        for name, one in times.items()
    }


def rates(index: AnnIndex, asked: Asked, k: int) -> dict[str, float]:
    """Queries a second, all asked at once, and the same of exact search."""
    seconds: dict[str, float] = {"ann": np.inf, "exact": np.inf}
    for _ in range(_BATCHES):
        for name, one in (("ann", index), ("exact", index.exact)):
            began = time.perf_counter()
            one.search(asked.vectors, k, asked.candidates)
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    return {name: round(len(asked) / one, 1) for name, one in seconds.items()}


def single_times(searches: Mapping[str, Index], asked: Asked, k: int) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of single queries, all searches in turn."""
    singles = [asked.take(np.array([row])) for row in range(min(_TIMED, len(asked)))]
    times: dict[str, list[float]] = {name: [] for name in searches}
    for one in singles[:5] + singles:
        for name, search in searches.items():
            began = time.perf_counter()
            search.search(one.vectors, k, one.candidates)
            times[name].append(1e3 * (time.perf_counter() - began))
    return {name: np.array(each[5:]) for name, each in times.items()}


def masks(items: NDArray[np.float32], share: float, rng: np.random.Generator) -> dict[str, NDArray[np.bool_]]:
    """Masks [M, N] by kind that keep a share of the items: random ones, and one side of random planes."""
    random = rng.random((_MASKS, len(items)))
    sides = (rng.normal(size=(_MASKS, items.shape[1])) * items.std(axis=0)).astype(np.float32) @ items.T
    by_kind = {"random": random, "side": sides}
    return {name: one < np.quantile(one, share, axis=1, keepdims=True) for name, one in by_kind.items()}
