"""The two halves of a half-iteration of alternating least squares: a rotation, and a compiled loop over the rows.

For every row r it improves u_r towards the solution of

    (Σ_{j ∈ I_r} c_rj v_j v_jᵀ  +  α0 VᵀV  +  λ_r I) u_r  =  Σ_{j ∈ I_r} c_rj v_j

by a few steps of conjugate gradients from where u_r stands (Takács, Pilászy, Tikk 2011). V comes rotated into the
eigenvectors of VᵀV, in which the dense part of the left side is a diagonal: a step costs 2 |I_r| d multiply-adds and
no d² at all, and the diagonal is the preconditioner. Dot products do not change under a rotation of both sides.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numpy.typing import NDArray

_ROWS_AT_ONCE = 8192  # rotated in place: 8,192 × 256 floats are 8 MB beside the vectors


def rotate(fixed: NDArray[np.float32], free: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rotate both in place into the eigenvectors of VᵀV, V = ``fixed``; return its eigenvalues [d], none negative.

    With PyTorch and not NumPy: after each product the threads of NumPy's BLAS wait actively, for some 25 ms, on the
    cores which the rows need next. That took as long as the rows themselves.
    """
    v = torch.from_numpy(fixed)
    eigenvalues, rotation = torch.linalg.eigh(v.T @ v)
    for vectors in (v, torch.from_numpy(free)):
        for part in torch.split(vectors, _ROWS_AT_ONCE):
            part.copy_(part @ rotation)
    diagonal: NDArray[np.float32] = eigenvalues.clamp(min=0).numpy()
    return diagonal


@numba.njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def improve_rows(
    offsets: NDArray[np.int64],
    columns: NDArray[np.int32],
    weights: NDArray[np.float32],
    order: NDArray[np.int64],
    vectors: NDArray[np.float32],
    diagonal: NDArray[np.float32],
    ridge: NDArray[np.float32],
    steps: int,
    out: NDArray[np.float32],
) -> None:
    """Improve all rows of ``out`` in place.

    Args:
        offsets, columns: the observed pairs as compressed rows.
        weights: c of each pair.
        order: order of the rows; a random one shares out the long ones among threads.
        vectors: V [N, d], rotated so that VᵀV is diagonal.
        diagonal: α0 VᵀV's diagonal [d].
        ridge: λ_r [R].
        steps: of conjugate gradients.
        out: [R, d], rotated likewise.
    """
    d = vectors.shape[1]
    for position in numba.prange(len(order)):
        row = order[position]
        x, observed = out[row], columns[offsets[row] : offsets[row + 1]]
        weight = weights[offsets[row] : offsets[row + 1]]
        if len(observed) == 0:
            x[:] = 0
            continue
        dense = diagonal + ridge[row]
        residual, z, product = -dense * x, np.zeros(d, np.float32), np.empty(d, np.float32)
        _add_observed(vectors, observed, weight, x, 1, residual)
        direction, old_rho = np.zeros(d, np.float32), np.float32(1)
        for _ in range(steps):
            rho = np.float32(0)
            for j in range(d):
                z[j] = residual[j] / dense[j]
                rho += residual[j] * z[j]
            if rho < 1e-12:
                break
            for j in range(d):
                direction[j] = z[j] + (rho / old_rho) * direction[j]
                product[j] = -dense[j] * direction[j]
            _add_observed(vectors, observed, weight, direction, 0, product)  # now −A · direction
            curvature = np.float32(0)
            for j in range(d):
                curvature -= direction[j] * product[j]
            for j in range(d):
                x[j] += (rho / curvature) * direction[j]
                residual[j] += (rho / curvature) * product[j]
            old_rho = rho


@numba.njit(fastmath=True, error_model="numpy", cache=True, inline="always")
def _add_observed(
    vectors: NDArray[np.float32],
    observed: NDArray[np.int32],
    weight: NDArray[np.float32],
    x: NDArray[np.float32],
    target: float,
    out: NDArray[np.float32],
) -> None:
    """Add Σ_j c_j (target − ⟨v_j, x⟩) v_j over the observed; four at a time, so that x and out are loaded once for four."""
    d, last = len(x), len(observed) - 1
    for k in range(0, last + 1, 4):
        a, b = vectors[observed[k]], vectors[observed[min(k + 1, last)]]
        c, e = vectors[observed[min(k + 2, last)]], vectors[observed[min(k + 3, last)]]
        ta = tb = tc = te = np.float32(target)
        for j in range(d):
            ta -= a[j] * x[j]
            tb -= b[j] * x[j]
            tc -= c[j] * x[j]
            te -= e[j] * x[j]
        # past the end the last one stands in, and counts for nothing
        ta *= weight[k]
        tb *= weight[k + 1] if k + 1 <= last else np.float32(0)
        tc *= weight[k + 2] if k + 2 <= last else np.float32(0)
        te *= weight[k + 3] if k + 3 <= last else np.float32(0)
        for j in range(d):
            out[j] += ta * a[j] + tb * b[j] + tc * c[j] + te * e[j]
