"""EASE, the embarrassingly shallow autoencoder (Steck, WWW 2019).

The closed-form solution of min ‖X − XB‖² + λ‖B‖² with diag(B) = 0: with P = (XᵀX + λI)⁻¹, B_ij = −P_ij / P_jj off the
diagonal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged
from shortlist.models.item_item import ItemItem, taken_matrix
from shortlist.settings import EASESettings

_BLOCK = 2048  # rows or columns handled at once, so that no second matrix of the full size is made


class EASE(ItemItem):
    """Linear regression of every item on all others.

    It costs N² floats and about N³ operations for N items, or U³ where users U are fewer (see ``fit``).

    >>> log = Ragged.from_rows([[0, 1], [0, 1], [2, 3], [2, 3]])
    >>> ease = EASE.fit(log, 4, EASESettings(regularization=1))
    >>> from shortlist.data.queries import QueryBatch
    >>> scores = ease.encode_queries(QueryBatch(Ragged.from_rows([[0]]), Ragged.empty(1))) @ ease.encode_items().T
    >>> int(scores.argmax())
    1
    """

    @classmethod
    def fit(
        cls, train: Interactions | Ragged, num_items: int, settings: EASESettings, *, factored: bool | None = None
    ) -> EASE:
        """Solve the smaller of two systems, of items or of users.

        By Woodbury's identity λP = I − S with S = XᵀAX and A = (XXᵀ + λI)⁻¹, so that B_ij = S_ij / (1 − S_jj) off the
        diagonal.

        Args:
            train: positives of every user; a pair counts once.
            num_items: size of the corpus N.
            settings: the regularization λ.
            factored: keep S as its factors X and AX, [N, U] floats instead of [N, N]. Items outside the history score
                the same; those within it, whose own weight the zero diagonal leaves out, do not. None: where users are
                fewer than half the items.
        """
        taken = taken_matrix(train, num_items)
        num_users = taken.shape[0]
        if num_users * 2 < num_items if factored is None else factored:
            return cls("ease", *_factors(taken, settings.regularization))
        solve = _by_users if num_users < num_items else _by_items
        weights = solve(taken, settings.regularization)
        return cls("ease", weights.T)  # as rows in memory, B's are what a sparse history gathers


def _by_items(taken: Any, ridge: float) -> NDArray[np.float32]:
    weights = _inverse((taken.T @ taken).toarray(), ridge)
    own = weights.diagonal().copy()
    weights /= -own
    np.fill_diagonal(weights, 0)
    return weights


def _by_users(taken: Any, ridge: float) -> NDArray[np.float32]:
    by_item, inverse = taken.T.tocsr(), _inverse((taken @ taken.T).toarray(), ridge)
    num_items = by_item.shape[0]
    weights = np.empty((num_items, num_items), dtype=np.float32)
    for start in range(0, num_items, _BLOCK):
        solved = by_item[start : start + _BLOCK] @ inverse  # rows of (AX)ᵀ
        weights[start : start + _BLOCK] = (by_item @ np.ascontiguousarray(solved.T)).T  # S is symmetric
    own = weights.diagonal().copy()
    weights /= 1 - own
    np.fill_diagonal(weights, 0)
    return weights


def _factors(taken: Any, ridge: float) -> tuple[NDArray[np.float32], Any]:
    """Item vectors (AX)_j / (1 − S_jj) and, as vectors of the history, X's columns."""
    by_item = taken.T.tocsr()
    solved = by_item @ _inverse((taken @ taken.T).toarray(), ridge)
    own = np.asarray(by_item.multiply(solved).sum(axis=1)).ravel()
    solved /= (1 - own)[:, None]
    return solved.astype(np.float32), by_item


def _inverse(gram: NDArray[np.float32], ridge: float) -> NDArray[np.float32]:
    """(gram + ridge I)⁻¹ of a symmetric matrix, in its place."""
    from scipy.linalg import lapack

    gram[np.diag_indices_from(gram)] += ridge
    # LAPACK counts by columns: the lower triangle of the transposed view is the upper one of ours
    factor, failed = lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    assert not failed, "a Gram matrix with a positive number added to its diagonal is positive definite"
    inverse, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
    assert not failed
    symmetric: NDArray[np.float32] = inverse.T
    for start in range(0, len(symmetric), _BLOCK):
        stop = start + _BLOCK
        symmetric[stop:, start:stop] = symmetric[start:stop, stop:].T
        corner = symmetric[start:stop, start:stop]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
    return symmetric
