"""Matrix factorization by implicit alternating least squares (iALS).

Rendle, Krichene, Zhang, Koren: *Revisiting the Performance of iALS on Item Recommendation Benchmarks*, RecSys 2022;
after Hu, Koren, Volinsky 2008. With S the observed pairs, it minimises

    Σ_{(u,i) ∈ S} (1 − ⟨w_u, h_i⟩)²  +  α0 Σ_{u,i} ⟨w_u, h_i⟩²  +  Σ_u λ_u ‖w_u‖²  +  Σ_i λ_i ‖h_i‖²

with frequency-scaled regularization λ_u = λ (|I_u| + α0 |I|)^ν, λ_i = λ (|U_i| + α0 |U|)^ν. A user is never looked up:
a query's vector is the best answer to its history (fold-in), which for a training user is the row of W.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged, distinct
from shortlist.settings import MFSettings

_STEPS = 3  # of conjugate gradients a half-iteration; more gain nothing, because each starts from the last
_FOLD_IN_CELLS = 200_000  # history cells gathered at once: 200,000 × 64 floats are 51 MB


class MatrixFactorization:
    """Item vectors and the fold-in that answers with them.

    Args:
        item_vectors: H [N, d] float32.
        settings: regularization and unobserved weight, which fold-in needs too.

    >>> log = Ragged.from_rows([[0, 1], [0, 1], [2, 3], [2, 3]])
    >>> mf = MatrixFactorization.fit(log, 4, MFSettings(embedding_dim=2, unobserved_weight=0.1))
    >>> query = mf.encode_queries(QueryBatch(Ragged.from_rows([[0]]), Ragged.empty(1)))
    >>> int((query @ mf.encode_items()[1:].T).argmax()) + 1
    1
    """

    name = "mf"
    has_item_bias = False

    def __init__(self, item_vectors: NDArray[np.float32], settings: MFSettings) -> None:
        self.item_vectors = np.ascontiguousarray(item_vectors, dtype=np.float32)
        self.settings = settings
        self._base = settings.unobserved_weight * (self.item_vectors.T @ self.item_vectors)

    @classmethod
    def fit(
        cls, train: Interactions | Ragged, num_items: int, settings: MFSettings, seed: int = 0
    ) -> MatrixFactorization:
        """Alternate between users and items.

        Args:
            train: positives of every user; a pair counts once however often it happened.
            num_items: size of the corpus N.
            settings: see ``MFSettings``.
            seed: of the starting vectors.
        """
        from shortlist.models.als_solver import improve_rows  # numba: only to fit

        positives = train.positives() if isinstance(train, Interactions) else train
        pairs = distinct(positives.row_of_value * num_items + positives.values)
        users, items = pairs // num_items, (pairs % num_items).astype(np.int32)
        by_user = Ragged.from_row_of_value(items, users, len(positives))
        order = np.argsort(items, kind="stable")
        by_item = Ragged.from_row_of_value(users[order].astype(np.int32), items[order], num_items)

        rng, dim = np.random.default_rng(seed), settings.embedding_dim
        scale = settings.init_scale / np.sqrt(dim)
        item_vectors = rng.normal(0, scale, (num_items, dim)).astype(np.float32)
        user_vectors = np.zeros((len(positives), dim), dtype=np.float32)
        user_order, item_order = rng.permutation(len(positives)), rng.permutation(num_items)
        for _ in range(settings.iterations):
            for side, order, fixed, free in (
                (by_user, user_order, item_vectors, user_vectors),
                (by_item, item_order, user_vectors, item_vectors),
            ):
                diagonal, rotation = np.linalg.eigh(settings.unobserved_weight * (fixed.T @ fixed))
                fixed[:], free[:] = fixed @ rotation, free @ rotation
                ridge = _ridge(side.lengths, len(fixed), settings)
                improve_rows(side.offsets, side.values, order, fixed, diagonal, ridge, _STEPS, free)
        return cls(item_vectors, settings)

    def encode_queries(self, queries: QueryBatch) -> NDArray[np.float32]:
        """[B, d]: the least-squares answer to each history; zero for an empty one."""
        return self.fold_in(queries.liked)

    def fold_in(self, histories: Ragged) -> NDArray[np.float32]:
        """Solve for the vectors of users with these positives, in batches of similar length.

        Args:
            histories: B rows of item indices; an item counts once.

        Returns:
            [B, d] float32.
        """
        num_items, dim = self.item_vectors.shape
        pairs = distinct(histories.row_of_value * num_items + histories.values)
        histories = Ragged.from_row_of_value(pairs % num_items, pairs // num_items, len(histories))
        lengths, out = histories.lengths, np.zeros((len(histories), dim), dtype=np.float32)
        padded_items = np.vstack([self.item_vectors, np.zeros((1, dim), dtype=np.float32)])
        ridge, order = _ridge(lengths, num_items, self.settings), np.argsort(lengths, kind="stable")
        start = int(np.searchsorted(lengths[order], 1))  # empty histories stay zero
        while start < len(order):
            longest_fit = max(1, _FOLD_IN_CELLS // max(int(lengths[order[start]]), dim))
            rows = order[start : start + longest_fit]
            while len(rows) > 1 and len(rows) * lengths[rows[-1]] > _FOLD_IN_CELLS:
                rows = rows[: len(rows) // 2]
            taken = padded_items[histories.take(rows).padded(int(lengths[rows[-1]]), fill=num_items)]  # [b, L, d]
            left = taken.transpose(0, 2, 1) @ taken + self._base
            left[:, np.arange(dim), np.arange(dim)] += ridge[rows, None]
            out[rows] = np.linalg.solve(left, taken.sum(axis=1)[:, :, None])[:, :, 0]
            start += len(rows)
        return out

    def encode_items(self) -> NDArray[np.float32]:
        """H [N, d]."""
        return self.item_vectors

    def config(self) -> dict[str, Any]:
        """What a saved retriever needs beside the item vectors."""
        return {"query_encoder": "fold_in", "settings": self.settings.model_dump(mode="json")}


def _ridge(lengths: NDArray[np.int64], num_other: int, settings: MFSettings) -> NDArray[np.float32]:
    frequency = lengths + settings.unobserved_weight * num_other
    return (settings.regularization * frequency**settings.regularization_exponent).astype(np.float32)
