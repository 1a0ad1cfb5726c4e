"""Matrix factorization by implicit alternating least squares (iALS).

Rendle, Krichene, Zhang, Koren: *Revisiting the Performance of iALS on Item Recommendation Benchmarks*, RecSys 2022;
after Hu, Koren, Volinsky 2008. With S the observed pairs, it minimises

    Σ_{(u,i) ∈ S} c_ui (1 − ⟨w_u, h_i⟩)²  +  α0 Σ_{u,i} ⟨w_u, h_i⟩²  +  Σ_u λ_u ‖w_u‖²  +  Σ_i λ_i ‖h_i‖²

with frequency-scaled regularization λ_u = λ (|I_u| + α0 |I|)^ν, λ_i = λ (|U_i| + α0 |U|)^ν. The weights c are 1, or greater for
what a person took late (``recency``, see ``shortlist.data.recency``). A user is never looked up:
a query's vector is the best answer to its history (fold-in), which for a training user is the row of W.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged, distinct_in_rows
from shortlist.data.recency import latest_in_rows, recency_weights
from shortlist.settings import MFSettings

_STEPS = 3  # of conjugate gradients a half-iteration; more gain nothing, because each starts from the last
_FOLD_IN_CELLS = 400_000  # floats of a batch, gathered or of its systems: 1.6 MB, which a core's cache holds


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
        eigenvalues, self._rotation = np.linalg.eigh(self._base)
        self._eigenvalues = np.maximum(eigenvalues, 0)  # rounding can make a zero negative

    @classmethod
    def fit(
        cls,
        train: Interactions | Ragged,
        num_items: int,
        settings: MFSettings,
        seed: int = 0,
        after_iteration: Callable[[], None] | None = None,
        initial: NDArray[np.float32] | None = None,
    ) -> MatrixFactorization:
        """Alternate between users and items.

        Args:
            train: positives of every user; a pair counts once however often it happened.
            num_items: size of the corpus N.
            settings: see ``MFSettings``.
            seed: of the starting vectors.
            after_iteration: called after each, to watch the clock.
            initial: [N, d] item vectors to start from; rows of NaN start at random, as all do without it.
        """
        from shortlist.models.als_solver import improve_rows, rotate  # numba and PyTorch: only to fit

        positives = train.positives() if isinstance(train, Interactions) else train
        by_user, weights = _weighted(positives, num_items, settings)
        users = by_user.row_of_value
        order = np.argsort(by_user.values, kind="stable")
        by_item = Ragged.from_row_of_value(users[order].astype(np.int32), by_user.values[order], num_items)
        weights_by_item = weights[order]

        rng, dim = np.random.default_rng(seed), settings.embedding_dim
        scale = settings.init_scale / np.sqrt(dim)
        item_vectors = rng.normal(0, scale, (num_items, dim)).astype(np.float32)
        if initial is not None:
            known = ~np.isnan(initial[:, 0])
            item_vectors[known] = initial[known]
        user_vectors = np.zeros((len(positives), dim), dtype=np.float32)
        user_order, item_order = rng.permutation(len(positives)), rng.permutation(num_items)
        for _ in range(settings.iterations):
            for side, weight, rows, fixed, free in (
                (by_user, weights, user_order, item_vectors, user_vectors),
                (by_item, weights_by_item, item_order, user_vectors, item_vectors),
            ):
                diagonal = settings.unobserved_weight * rotate(fixed, free)
                ridge = _ridge(side.lengths, len(fixed), settings)
                improve_rows(side.offsets, side.values, weight, rows, fixed, diagonal, ridge, _STEPS, free)
            if after_iteration:
                after_iteration()
        return cls(item_vectors, settings)

    def encode_queries(self, queries: QueryBatch) -> NDArray[np.float32]:
        """[B, d]: the least-squares answer to each history; zero for an empty one."""
        return self.fold_in(queries.liked)

    def fold_in(self, histories: Ragged) -> NDArray[np.float32]:
        """Solve for the vectors of users with these positives, in batches of similar length.

        Args:
            histories: B rows of item indices, the earliest first; an item counts once.

        Returns:
            [B, d] float32.
        """
        num_items, dim = self.item_vectors.shape
        histories, weights = _weighted(histories, num_items, self.settings)
        roots = Ragged(np.sqrt(weights), histories.offsets)
        lengths, out = histories.lengths, np.zeros((len(histories), dim), dtype=np.float32)
        order = np.argsort(lengths, kind="stable")
        order = order[int(np.searchsorted(lengths[order], 1)) :]  # empty histories stay zero
        batch = np.cumsum(np.maximum(lengths[order], dim) * dim) // _FOLD_IN_CELLS
        batch += np.log2(lengths[order]).astype(np.int64)  # nobody is padded to twice the length
        # for many histories all items are rotated once, for few those that are in them
        rotated = self.item_vectors @ self._rotation if len(histories.values) > num_items else None
        for rows in np.split(order, np.flatnonzero(np.diff(batch)) + 1) if len(order) else []:
            longest = int(lengths[rows[-1]])
            items, root = histories.take(rows).padded(longest, fill=-1), roots.take(rows).padded(longest, fill=0)
            is_short = items.shape[1] < dim
            taken = (rotated if is_short and rotated is not None else self.item_vectors)[items]  # [b, L, d]
            if self.settings.recency:
                taken *= root[:, :, None]  # 0 past the end of a history
            else:
                taken[items < 0] = 0
            ridge = _ridge(lengths[rows], num_items, self.settings)[:, None]
            if is_short:
                out[rows] = self._solve_short(taken if rotated is not None else taken @ self._rotation, root, ridge)
            else:
                out[rows] = self._solve(taken, root, ridge)
        return out

    def _solve(
        self, taken: NDArray[np.float32], root: NDArray[np.float32], ridge: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(VᵀV + α0 HᵀH + λ I)⁻¹ Vᵀr for each V of ``taken`` [b, L, d]: a system of d equations.

        Row j of V is √c_j v_j, r_j = √c_j (``root`` [b, L]).
        """
        left = taken.transpose(0, 2, 1) @ taken + self._base
        diagonal = np.arange(left.shape[1])
        left[:, diagonal, diagonal] += ridge
        answer: NDArray[np.float32] = np.linalg.solve(left, (root[:, None, :] @ taken)[:, 0, :, None])[:, :, 0]
        return answer

    def _solve_short(
        self, rotated: NDArray[np.float32], root: NDArray[np.float32], ridge: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The same by a system of only L equations: with D = α0 HᵀH + λ I it is D⁻¹ Vᵀ (V D⁻¹ Vᵀ + I)⁻¹ r.

        V comes rotated into the eigenvectors of HᵀH, where D is a diagonal; it is halved between the two sides: S = V D^(−½).
        """
        scale = 1 / np.sqrt(self._eigenvalues + ridge)  # [b, d]
        scaled = rotated * scale[:, None, :]
        left, diagonal = scaled @ scaled.transpose(0, 2, 1), np.arange(rotated.shape[1])
        left[:, diagonal, diagonal] += 1
        weights = np.linalg.solve(left, root[:, :, None])
        answer: NDArray[np.float32] = ((scaled * weights).sum(axis=1) * scale) @ self._rotation.T
        return answer

    def history_shares(self, queries: QueryBatch) -> tuple[Ragged, NDArray[np.float32]]:
        """See ``Retriever``: of the vector A⁻¹ Σ_j c_j v_j item j has A⁻¹ c_j v_j (Hu, Koren, Volinsky 2008, section 5).

        A holds the whole history, so that this is what an item adds beside the others, not what it would add alone.
        """
        num_items, dim = self.item_vectors.shape
        once, weights = _weighted(queries.liked, num_items, self.settings)
        ridge, out = _ridge(once.lengths, num_items, self.settings), np.empty((len(once.values), dim), dtype=np.float32)
        for row in range(len(once)):
            taken = self.item_vectors[once.row(row)].astype(np.float64)
            weighted = taken * weights[once.offsets[row] : once.offsets[row + 1], None]
            left = taken.T @ weighted + self._base + ridge[row] * np.eye(dim)
            out[once.offsets[row] : once.offsets[row + 1]] = np.linalg.solve(left, weighted.T).T
        return once, out

    def encode_items(self) -> NDArray[np.float32]:
        """H [N, d]."""
        return self.item_vectors

    def config(self) -> dict[str, Any]:
        """What a saved retriever needs beside the item vectors."""
        return {"query_encoder": "fold_in", "settings": self.settings.model_dump(mode="json")}


def _weighted(histories: Ragged, num_items: int, settings: MFSettings) -> tuple[Ragged, NDArray[np.float32]]:
    """Each history's different items, and their weights c."""
    if not settings.recency:  # then their order says nothing
        once = distinct_in_rows(histories, num_items)
        return once, np.ones(len(once.values), dtype=np.float32)
    once = latest_in_rows(histories, num_items)
    return once, recency_weights(once, settings.recency)


def _ridge(lengths: NDArray[np.int64], num_other: int, settings: MFSettings) -> NDArray[np.float32]:
    frequency = lengths + settings.unobserved_weight * num_other
    return (settings.regularization * frequency**settings.regularization_exponent).astype(np.float32)
