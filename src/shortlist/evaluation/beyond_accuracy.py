"""Beyond accuracy: what the lists are like, whether or not they hit. Plain functions of lists and counts.

A list is a row of item indices [Q, K], best first, −1 where fewer than K items were allowed; ``k`` looks at the first k
places. Every function but ``coverage`` and ``gini``, which judge all lists together, gives one value a query, NaN where
the list (or what it is compared with) is empty. Tie rule of all: lists are the ones that are served, of equal scores
the lower item index first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, distinct
from shortlist.evaluation.metrics import PerQuery

Lists = NDArray[np.int32]
_SMOOTHING = (
    0.01  # Steck 2018: share of the history's distribution mixed into the list's, so that no logarithm is infinite
)


def coverage(lists: Lists, k: int, num_items: int) -> float:
    """Share of the corpus that stands in at least one list (Ge, Delgado-Battenfeld, Jannach, RecSys 2010).

    >>> coverage(np.array([[0, 1], [0, 2]], np.int32), 2, 4)
    0.75
    """
    shown = lists[:, :k]
    return len(distinct(shown[shown >= 0])) / num_items


def gini(lists: Lists, k: int, num_items: int) -> float:
    """Inequality of exposure: 0 where every item stands in equally many lists, towards 1 where one stands in all.

    Σ_i (2i − N − 1) n_(i) / (N Σ n) over the ascending numbers of lists n_(i) an item stands in (Gini 1912; Fleder and
    Hosanagar 2009).

    >>> gini(np.array([[0], [1]], np.int32), 1, 2), gini(np.array([[0], [0]], np.int32), 1, 2)
    (0.0, 0.5)
    """
    shown = lists[:, :k]
    exposures = np.sort(np.bincount(shown[shown >= 0], minlength=num_items)).astype(np.float64)
    if not exposures.sum():
        return float("nan")
    weights = 2 * np.arange(1, num_items + 1) - num_items - 1
    return float((weights * exposures).sum() / (num_items * exposures.sum()))


def popularity(lists: Lists, k: int, share: NDArray[np.float64]) -> PerQuery:
    """Mean share of the training users who took the list's items.

    The average recommendation popularity of Yin et al., VLDB 2012.

    Args:
        lists: [Q, K].
        k: places looked at.
        share: [N] share of the training users who took the item.

    >>> popularity(np.array([[0, 1]], np.int32), 2, np.array([0.5, 0.1])).tolist()
    [0.3]
    """
    return _mean_over_list(lists[:, :k], share)


def popularity_lift(lists: Lists, k: int, share: NDArray[np.float64], history: Ragged) -> PerQuery:
    """How much more popular the list is than what the person took: mean share in the list / in the history − 1.

    Abdollahpouri et al., RecSys 2020 (per person here, where they take groups). 0: as popular as their own taste; 1:
    twice.
    """
    own = np.bincount(history.row_of_value, weights=share[history.values], minlength=len(history))
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = popularity(lists, k, share) / (own / history.lengths) - 1
    return np.where((history.lengths > 0) & (own > 0), lift, np.nan)


def novelty(lists: Lists, k: int, share: NDArray[np.float64], num_users: int) -> PerQuery:
    """Mean self-information of the list's items, −log2(share of the training users who took the item), in bits.

    Zhou et al., PNAS 2010; Vargas and Castells, RecSys 2011. An item nobody took counts as if half a user had.

    >>> novelty(np.array([[0, 1]], np.int32), 2, np.array([0.5, 0.25]), 8).tolist()
    [1.5]
    """
    return _mean_over_list(lists[:, :k], -np.log2(np.maximum(share, 0.5 / max(num_users, 1))))


def intra_list_diversity(lists: Lists, k: int, tags: Any) -> PerQuery:
    """Mean distance of all pairs in the list: 1 − cosine of their tags (Ziegler et al., WWW 2005; Smyth, McClave 2001).

    Args:
        lists: [Q, K].
        k: places looked at; a list of one item gives NaN.
        tags: sparse [N, G], item by tag; an item without tags is at distance 1 from all.
    """
    norms = np.sqrt(np.asarray((tags * tags).sum(axis=1), dtype=np.float64)).ravel()
    unit = tags.multiply(1 / np.maximum(norms, 1e-12)[:, None]).tocsr()
    of_list, own = _summed(lists[:, :k], unit), _summed_values(lists[:, :k], (norms > 0).astype(np.float64))
    # Σ over ordered pairs of cosines = ‖Σ v‖² − Σ ‖v‖²: no pair is looked at
    n = (lists[:, :k] >= 0).sum(axis=1)
    pairs = n * (n - 1)
    return np.where(pairs > 0, 1 - ((of_list**2).sum(axis=1) - own) / np.maximum(pairs, 1), np.nan)


def miscalibration(lists: Lists, k: int, tags: Any, history: Ragged) -> PerQuery:
    """How far the list's mixture of tags is from the history's: KL(p ‖ 0.99 q + 0.01 p) in nats (Steck, RecSys 2018).

    p is the mean over the history of each item's tags, every item with total weight 1, q the same over the list. 0 is
    calibrated.

    Args:
        lists: [Q, K].
        k: places looked at.
        tags: sparse [N, G], item by tag.
        history: what each query's person took.
    """
    totals = np.maximum(np.asarray(tags.sum(axis=1), dtype=np.float64).ravel(), 1e-12)
    shares = tags.multiply(1 / totals[:, None]).tocsr()
    taken = _indicator(history.values, history.row_of_value, len(history), tags.shape[0])
    p, q = _normalised((taken @ shares).toarray()), _normalised(_summed(lists[:, :k], shares))
    mixed = (1 - _SMOOTHING) * q + _SMOOTHING * p
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / mixed), 0.0)
    return np.where((p.sum(axis=1) > 0) & (q.sum(axis=1) > 0), terms.sum(axis=1), np.nan)


def serendipity(ranks: Ragged, obvious: Ragged, k: int) -> PerQuery:
    """Share of the first k that is wanted and not obvious: targets the list has and the most popular k have not.

    |T ∩ first k, without the first k by popularity| / k (Ge, Delgado-Battenfeld, Jannach, RecSys 2010).

    Args:
        ranks: of the targets under the model.
        obvious: of the same targets under popularity.
        k: places looked at.

    >>> serendipity(Ragged.from_rows([[1, 2]]), Ragged.from_rows([[40, 1]]), 10).tolist()
    [0.1]
    """
    surprising = (ranks.values <= k) & (obvious.values > k)
    found = np.bincount(ranks.row_of_value, weights=surprising, minlength=len(ranks))
    return np.where(ranks.lengths > 0, found / k, np.nan)


DEFINITIONS: Mapping[str, str] = {
    "coverage": "share of the corpus that stands in at least one query's first {k}",
    "gini": "inequality of the items' exposure in the first {k}: 0 all equal, 1 one item everywhere; lower is more even",
    "popularity": "mean share of training users who took the items of the first {k}; mean over queries",
    "popularity_lift": "popularity of the first {k} over that of the query's own history, minus 1; mean over queries",
    "novelty": "mean −log2 of the share of training users who took the items of the first {k}, in bits; mean over queries",
    "diversity": "mean distance (1 − cosine of tags) between the items of the first {k}; mean over queries",
    "miscalibration": "KL divergence of the tags of the first {k} from those of the history, in nats; lower is better",
    "serendipity": "share of the first {k} places that hold a target popularity's first {k} lack; mean over queries",
}


def _mean_over_list(lists: Lists, values: NDArray[np.float64]) -> PerQuery:
    n = (lists >= 0).sum(axis=1)
    return np.where(n > 0, _summed_values(lists, values) / np.maximum(n, 1), np.nan)


def _summed_values(lists: Lists, values: NDArray[np.float64]) -> PerQuery:
    summed: PerQuery = np.where(lists >= 0, values[lists], 0.0).sum(axis=1)
    return summed


def _summed(lists: Lists, rows: Any) -> NDArray[np.float64]:
    """[Q, G]: sums of the listed items' rows of a sparse [N, G]."""
    query, place = np.nonzero(lists >= 0)
    summed: NDArray[np.float64] = (_indicator(lists[query, place], query, len(lists), rows.shape[0]) @ rows).toarray()
    return summed


def _indicator(items: NDArray[Any], rows: NDArray[np.int64], num_rows: int, num_items: int) -> Any:
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(items)), (rows, items)), shape=(num_rows, num_items))


def _normalised(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-12)
    return shares
