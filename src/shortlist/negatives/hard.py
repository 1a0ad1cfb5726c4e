"""Those the model still gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, is_among
from shortlist.negatives.base import Negatives, Sampler


def hardest(pool: Negatives, scores: NDArray[Any], num_negatives: int) -> Negatives:
    """Of a larger pool, each row's highest-scored (Zhang et al. 2013, dynamic negative sampling).

    Most random negatives are far below the positive and teach nothing; the best of a hundred is not.

    Args:
        pool: [B, P], per query and without its own items.
        scores: [B, P] by the model as it is now.
        num_negatives: K ≤ P.

    Returns:
        [B, K], highest first; an item the pool holds twice counts once while there are others. Its log q is *the
        pool's*, so what is corrected for is how the pool was drawn, not that the hardest were chosen from it: that is
        what they are chosen for, and its probability has no closed form.

    Raises:
        ValueError: fewer in the pool than asked for; scores of another shape.

    >>> pool = Negatives(np.array([[4, 2, 4, 7]]), np.zeros((1, 4)))
    >>> hardest(pool, np.array([[0.9, 0.1, 0.9, 0.5]]), 3).item_idx.tolist()
    [[4, 7, 2]]
    """
    if scores.shape != pool.item_idx.shape:
        raise ValueError(f"scores are {list(scores.shape)} and the pool {list(pool.item_idx.shape)}; one score an item")
    if num_negatives > scores.shape[1]:
        raise ValueError(f"{num_negatives} negatives of a pool of {scores.shape[1]}; draw a larger pool")
    scores = np.where(_repeated(pool.item_idx), -np.inf, scores)
    return pool.columns(np.argsort(-scores, axis=1, kind="stable")[:, :num_negatives])


class HardCache:
    """Hard negatives kept from step to step, so that few scores find many of them (Zhang et al. 2019, NSCaching).

    Each query keeps the ``size`` hardest of what it has met. :meth:`refresh` draws new ones beside them, scores all
    and keeps the best; :meth:`per_query` draws from what is kept. A query that was never refreshed draws from the pool.
    Call ``refresh`` every few batches: the longer it is left, the older the scores behind the choice.

    Args:
        pool: what is met; ``Uniform`` in the paper.
        num_queries: U.
        size: kept of each query; memory is 12 bytes for each.
        pool_size: drawn anew at a refresh.

    >>> rng, own = np.random.default_rng(0), Ragged.from_rows([[9]])
    >>> from shortlist.negatives import Uniform
    >>> cache = HardCache(Uniform(10), num_queries=1, size=2, pool_size=100)
    >>> cache.refresh(np.array([0]), own, lambda item_idx: item_idx.astype(float), rng)
    >>> np.unique(cache.per_query(np.array([0]), own, 50, rng).item_idx).tolist()
    [7, 8]

    What it does not do: tell a hard negative from an item the user would like. A small ``pool_size`` keeps that rare.
    """

    def __init__(self, pool: Sampler, num_queries: int, size: int, pool_size: int) -> None:
        self.pool, self.size, self.pool_size = pool, size, pool_size
        self._item_idx = np.zeros((num_queries, size), dtype=np.int64)
        self._log_q = np.zeros((num_queries, size), dtype=np.float32)
        self._filled = np.zeros(num_queries, dtype=bool)

    def refresh(
        self,
        queries: NDArray[Any],
        own: Ragged,
        score: Callable[[NDArray[np.int64]], NDArray[Any]],
        rng: np.random.Generator,
    ) -> None:
        """Look for harder ones.

        Args:
            queries: [B] rows of the queries, each once.
            own: their B rows of own items.
            score: item rows [B, P] → scores [B, P].
            rng: draws.
        """
        met = self.pool.per_query(own, self.size + self.pool_size, rng)
        columns = np.broadcast_to(np.arange(self.size), (len(queries), self.size))
        met = self._put_kept(met, queries, own, columns)
        kept = hardest(met, score(met.item_idx), self.size)
        self._item_idx[queries], self._log_q[queries], self._filled[queries] = kept.item_idx, kept.log_q, True

    def per_query(self, queries: NDArray[Any], own: Ragged, num_negatives: int, rng: np.random.Generator) -> Negatives:
        """[B, S] of what each query keeps, with replacement; log q is that of the pool they were met in.

        Args:
            queries: [B] rows of the queries.
            own: their B rows of own items; what is kept, but owned by now, is replaced from the pool.
            num_negatives: S.
            rng: draws.
        """
        fresh = self.pool.per_query(own, num_negatives, rng)
        return self._put_kept(fresh, queries, own, rng.integers(self.size, size=fresh.item_idx.shape))

    def _put_kept(self, fresh: Negatives, queries: NDArray[Any], own: Ragged, columns: NDArray[np.int64]) -> Negatives:
        """The kept ones of these columns in the first places; fresh ones stay where there is none to put."""
        kept = Negatives(self._item_idx[queries], self._log_q[queries]).columns(columns)
        put = self._filled[queries][:, None] & ~_is_own(own, kept.item_idx)
        width = columns.shape[1]
        item_idx, log_q = fresh.item_idx.copy(), fresh.log_q.copy()
        item_idx[:, :width][put] = kept.item_idx[put]
        log_q[:, :width][put] = kept.log_q[put]
        return Negatives(item_idx, log_q)


def _is_own(own: Ragged, item_idx: NDArray[np.int64]) -> NDArray[np.bool_]:
    spacing = max(int(item_idx.max(initial=0)), int(own.values.max(initial=0))) + 1
    pairs = np.arange(len(own))[:, None] * spacing + item_idx
    return is_among(pairs.ravel(), own.row_of_value * spacing + own.values).reshape(pairs.shape)


def _repeated(item_idx: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True where the row has the item further left too."""
    order = np.argsort(item_idx, axis=1, kind="stable")
    ordered = np.take_along_axis(item_idx, order, axis=1)
    repeated = np.zeros(item_idx.shape, dtype=bool)
    np.put_along_axis(repeated, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return repeated
