"""The path judged stage by stage: recall of the candidates is the ceiling; what ranking adds; what re-ranking costs and buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.moments import DAY_MS
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout
from shortlist.evaluation import beyond_accuracy
from shortlist.evaluation.background import Background
from shortlist.evaluation.beyond_accuracy import Lists
from shortlist.evaluation.metrics import METRICS, PerQuery
from shortlist.evaluation.statistics import compare, figures

_CELLS = 4_000_000  # of a comparison of targets with lists
ACCURACY = ("ndcg", "recall")


@dataclass(frozen=True, eq=False)
class Pages:
    """Measures lists [Q, K] that a holdout's queries got, whatever made them.

    Args:
        holdout: queries and targets.
        background: what the training data says of items.
        num_items: size of the corpus.
        came: [N] when each item came, milliseconds since 1970, NaN where unknown; None: of none it is known.
    """

    holdout: Holdout
    background: Background
    num_items: int
    came: NDArray[np.float64] | None = None

    def per_query(self, lists: Lists, k: int) -> dict[str, PerQuery]:
        """Accuracy and what the first k are like, one value a query; NaN where it does not apply."""
        ranks, known, history = ranks_in(lists, self.holdout.targets), self.background, self.holdout.queries.liked
        found = {name: METRICS[name](ranks, k) for name in ACCURACY}
        if known.tags is not None:
            found["diversity"] = beyond_accuracy.intra_list_diversity(lists, k, known.tags)
            found["miscalibration"] = beyond_accuracy.miscalibration(lists, k, known.tags, history)
        found["popularity"] = beyond_accuracy.popularity(lists, k, known.share)
        found["novelty"] = beyond_accuracy.novelty(lists, k, known.share, known.num_users)
        if self.came is not None and self.holdout.queries.time is not None:
            found["age"] = mean_age(lists, k, self.came, self.holdout.queries.time)
        return found

    def of_all(self, lists: Lists, k: int) -> dict[str, float]:
        """Coverage and Gini, which judge all lists together."""
        return {
            "coverage": beyond_accuracy.coverage(lists, k, self.num_items),
            "gini": beyond_accuracy.gini(lists, k, self.num_items),
        }

    def means(self, lists: Lists, k: int) -> dict[str, float]:
        """Every figure, as one number."""
        per_query = {name: one[np.isfinite(one)] for name, one in self.per_query(lists, k).items()}
        means = {name: float(one.mean()) if len(one) else float("nan") for name, one in per_query.items()}
        return {**means, **self.of_all(lists, k)}


def stage_by_stage(
    pages: Pages, candidates: Lists, stages: Sequence[tuple[str, Lists]], k: int, seed: int = 0
) -> dict[str, Any]:
    """What each stage does to the first k.

    Args:
        pages: measures them.
        candidates: [Q, C] all that the retriever handed on.
        stages: name and lists [Q, K] of each, in order; the retriever's own first.
        k: places of the page.
        seed: of the bootstrap.

    Returns:
        ``k``, ``num_queries``, ``ceiling`` (number of candidates and their recall, above which no order of them can come) and
        ``stages``: of each its name, figures with intervals, and the paired ``difference`` in ndcg from the stage before.
    """
    depth = candidates.shape[1]
    ceiling = METRICS["recall"](ranks_in(candidates, pages.holdout.targets), depth)
    rows: list[dict[str, Any]] = []
    before: PerQuery | None = None
    for name, lists in stages:
        values = pages.per_query(lists, k)
        found = figures(np.stack(list(values.values()), axis=1), seed=seed)
        row: dict[str, Any] = {
            "stage": name,
            "figures": {
                **{f"{metric}@{k}": one.to_dict() for metric, one in zip(values, found, strict=True)},
                **{
                    f"{metric}@{k}": {"value": one, "low": one, "high": one}
                    for metric, one in pages.of_all(lists, k).items()
                },
            },
            "difference": None if before is None else compare(values["ndcg"], before, seed).to_dict(),
        }
        rows.append(row)
        before = values["ndcg"]
    return {
        "k": k,
        "num_queries": len(pages.holdout),
        "ceiling": {"candidates": depth, "recall": figures(ceiling[:, None], seed=seed)[0].to_dict()},
        "definition": definitions(k, next(iter(rows), {}).get("figures", {})),
        "stages": rows,
    }


def ranks_in(lists: Lists, targets: Ragged) -> Ragged:
    """Place of every target in its query's list [Q, K], from 1; K + 1 where it is not in it.

    >>> ranks_in(np.array([[4, 2, -1]], np.int32), Ragged.from_rows([[2, 9]])).values.tolist()
    [2, 4]
    """
    query, wanted = targets.row_of_value, targets.values
    ranks = np.full(len(wanted), lists.shape[1] + 1, dtype=np.int64)
    size = max(1, _CELLS // max(1, lists.shape[1]))
    for start in range(0, len(wanted), size):
        part = slice(start, start + size)
        is_it = lists[query[part]] == wanted[part, None]
        ranks[part] = np.where(is_it.any(axis=1), is_it.argmax(axis=1) + 1, ranks[part])
    return Ragged(ranks, targets.offsets)


def mean_age(lists: Lists, k: int, came: NDArray[np.float64], time: NDArray[np.float64]) -> PerQuery:
    """Mean days since the items of the first k came, at each query's time; what came later is 0 days old.

    Args:
        lists: [Q, K].
        k: places looked at.
        came: [N] milliseconds since 1970; NaN where unknown: left out.
        time: [Q] likewise.

    >>> mean_age(np.array([[0, 1, -1]], np.int32), 3, np.array([0.0, DAY_MS]), np.array([3.0 * DAY_MS])).tolist()
    [2.5]
    """
    shown = lists[:, :k]
    age = np.maximum((time[:, None] - came[shown]) / DAY_MS, 0.0)
    known = (shown >= 0) & np.isfinite(age)
    total, n = np.where(known, age, 0.0).sum(axis=1), known.sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def definitions(k: int, names: Mapping[str, Any]) -> dict[str, str]:
    """What the figures that stand in no other part of the report mean."""
    age = f"mean days since the items of the first {k} came, at the query's time; mean over queries"
    return {f"age@{k}": age} if f"age@{k}" in names else {}
