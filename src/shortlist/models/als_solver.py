"""The inner loop of alternating least squares, compiled once and cached.

For every row r it improves u_r towards the solution of

    (Σ_{j ∈ I_r} v_j v_jᵀ  +  α0 VᵀV  +  λ_r I) u_r  =  Σ_{j ∈ I_r} v_j

by a few steps of conjugate gradients from where u_r stands (Takács, Pilászy, Tikk 2011). V comes rotated into the
eigenvectors of VᵀV, in which the dense part of the left side is a diagonal: a step costs 2 |I_r| d multiply-adds and
no d² at all, and the diagonal is the preconditioner. Dot products do not change under a rotation of both sides.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(parallel=True, fastmath=True, cache=True)
def improve_rows(
    offsets: NDArray[np.int64],
    columns: NDArray[np.int32],
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
        begin, end = offsets[row], offsets[row + 1]
        x = out[row]
        if begin == end:
            x[:] = 0
            continue
        residual, product = np.zeros(d, np.float32), np.empty(d, np.float32)
        precondition = diagonal + ridge[row]
        for j in range(d):
            product[j] = precondition[j] * x[j]
        # residual = Σ v − A x and the diagonal of A, in one pass over the observed
        for k in range(begin, end):
            v = vectors[columns[k]]
            dot = np.float32(0)
            for j in range(d):
                dot += v[j] * x[j]
            for j in range(d):
                residual[j] += (np.float32(1) - dot) * v[j]
                precondition[j] += v[j] * v[j]
        z, rho = np.empty(d, np.float32), np.float32(0)
        for j in range(d):
            residual[j] -= product[j]
            z[j] = residual[j] / precondition[j]
            rho += residual[j] * z[j]
        direction = z.copy()
        for _ in range(steps):
            if rho < 1e-12:
                break
            for j in range(d):
                product[j] = (diagonal[j] + ridge[row]) * direction[j]
            for k in range(begin, end):
                v = vectors[columns[k]]
                dot = np.float32(0)
                for j in range(d):
                    dot += v[j] * direction[j]
                for j in range(d):
                    product[j] += dot * v[j]
            curvature = np.float32(0)
            for j in range(d):
                curvature += direction[j] * product[j]
            length, old_rho = rho / curvature, rho
            rho = np.float32(0)
            for j in range(d):
                x[j] += length * direction[j]
                residual[j] -= length * product[j]
                z[j] = residual[j] / precondition[j]
                rho += residual[j] * z[j]
            for j in range(d):
                direction[j] = z[j] + (rho / old_rho) * direction[j]
