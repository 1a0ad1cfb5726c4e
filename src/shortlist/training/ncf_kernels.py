"""Compiled loops of the NCF gradient: what a product of matrices cannot do, one pass over the memory each.

P positives with C items each (the positive, then its negatives) are S = P · C samples, sample s = p · C + c. The loops hold no
lock, so that the pieces of a step run side by side.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@numba.njit(nogil=True, fastmath=True, error_model="numpy", cache=True)
def add_parts(user: NDArray[np.int64], item: NDArray[np.int64], users: Floats, items: Floats, out: Floats) -> None:
    """ReLU of sums: out [S, H] = ReLU(users[u] + items[i]).

    Args:
        user: [P] rows of ``users`` [U, H].
        item: [P, C] rows of ``items`` [N, H].
    """
    num_positives, num_items = item.shape
    width = users.shape[1]
    for p in range(num_positives):
        mine = users[user[p]]
        for c in range(num_items):
            theirs, row = items[item[p, c]], out[p * num_items + c]
            for j in range(width):
                row[j] = max(mine[j] + theirs[j], np.float32(0))


@numba.njit(nogil=True, fastmath=True, error_model="numpy", cache=True)
def add_parts_gradient(
    user: NDArray[np.int64], item: NDArray[np.int64], hidden: Floats, gradient: Floats, users: Floats, items: Floats
) -> None:
    """Add what the loss gains by ``users`` and ``items``, given what it gains by ``add_parts``' answer.

    Args:
        user, item: as there.
        hidden: [S, H] the answer.
        gradient: [S, H] by the answer.
        users: [U, H] to be added to.
        items: [N, H] to be added to.
    """
    num_positives, num_items = item.shape
    width = users.shape[1]
    for p in range(num_positives):
        mine = users[user[p]]
        for c in range(num_items):
            theirs, row, up = items[item[p, c]], hidden[p * num_items + c], gradient[p * num_items + c]
            for j in range(width):
                value = up[j] if row[j] > 0 else np.float32(0)
                theirs[j] += value
                mine[j] += value


@numba.njit(nogil=True, fastmath=True, error_model="numpy", cache=True)
def head(
    user: NDArray[np.int64],
    item: NDArray[np.int64],
    users: Floats,
    items: Floats,
    gmf_weight: Floats,
    hidden: Floats,
    mlp_weight: Floats,
    bias: Floats,
    scale: np.float32,
    users_gradient: Floats,
    items_gradient: Floats,
    gmf_gradient: Floats,
    mlp_gradient: Floats,
    bias_gradient: Floats,
) -> float:
    """The logistic loss of samples, times ``scale``, and all its gradients but those below the last layer.

    logit = Σ_j gmf_weight_j users[u]_j items[i]_j + Σ_j mlp_weight_j ReLU(hidden_j) + bias

    Args:
        user, item: [P] and [P, C] rows of the tables; column 0 is the positive.
        users, items: [U, F] and [N, F] of GMF.
        hidden: [S, H] the last layer before its ReLU; overwritten by the gradient with respect to it.
        gmf_weight, mlp_weight, bias: [F], [H], [1].
        users_gradient, items_gradient, gmf_gradient, mlp_gradient, bias_gradient: of their shapes, to be added to.
    """
    num_positives, num_items = item.shape
    factors, width = users.shape[1], hidden.shape[1]
    total, slope_sum = 0.0, 0.0
    for p in range(num_positives):
        mine, mine_gradient = users[user[p]], users_gradient[user[p]]
        for c in range(num_items):
            theirs, theirs_gradient, row = items[item[p, c]], items_gradient[item[p, c]], hidden[p * num_items + c]
            logit = bias[0]
            for j in range(factors):
                logit += gmf_weight[j] * mine[j] * theirs[j]
            for j in range(width):
                logit += mlp_weight[j] * max(row[j], np.float32(0))
            small = np.exp(-abs(logit))  # softplus(x) = max(x, 0) + log(1 + e^−|x|)
            share = np.float32(1) / (np.float32(1) + small)
            probability = share if logit > 0 else np.float32(1) - share
            if c == 0:
                slope = (probability - np.float32(1)) * scale
                total += max(-logit, np.float32(0)) + np.log1p(small)
            else:
                slope = probability * scale
                total += max(logit, np.float32(0)) + np.log1p(small)
            slope_sum += slope
            for j in range(factors):
                product = slope * mine[j]
                gmf_gradient[j] += product * theirs[j]
                mine_gradient[j] += slope * gmf_weight[j] * theirs[j]
                theirs_gradient[j] += product * gmf_weight[j]
            for j in range(width):
                value = row[j]
                mlp_gradient[j] += slope * max(value, np.float32(0))
                row[j] = slope * mlp_weight[j] if value > 0 else np.float32(0)
    bias_gradient[0] += slope_sum
    return float(total * scale)
