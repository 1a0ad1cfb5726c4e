"""A product with a sparse matrix that does not change, and its gradient."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def sparse_product(matrix: Tensor, transposed: Tensor, dense: Tensor) -> Tensor:
    """Matrix [R, C] · dense [C, D]; both sparse ones in compressed rows, as of ``compressed``.

    >>> pair = compressed(np.array([0, 1]), np.array([1, 1]), np.array([2.0, 3.0], np.float32), (2, 2))
    >>> sparse_product(*pair, torch.tensor([[1.0], [10.0]])).tolist()
    [[20.0], [30.0]]
    """
    return _Product.apply(matrix, transposed, dense)  # type: ignore[no-any-return, no-untyped-call]


class _Product(torch.autograd.Function):
    """The gradient needs the transpose, which PyTorch would make anew each time."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, dense: Tensor) -> Tensor:
        ctx.save_for_backward(transposed)
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, Tensor]:
        (transposed,) = ctx.saved_tensors
        return None, None, transposed @ gradient


def compressed(
    rows: NDArray[np.int64], columns: NDArray[np.int64], weights: NDArray[np.float32], shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """A sparse matrix and its transpose, both in compressed rows. Hashed values of an item that share a code are added up."""
    from scipy.sparse import coo_array

    found = []
    for matrix in (coo_array((weights, (rows, columns)), shape), coo_array((weights, (columns, rows)), shape[::-1])):
        in_rows = matrix.tocsr()
        in_rows.sum_duplicates()
        with warnings.catch_warnings():  # PyTorch says once that its compressed rows are new
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
            found.append(
                torch.sparse_csr_tensor(
                    torch.from_numpy(in_rows.indptr.astype(np.int64)),
                    torch.from_numpy(in_rows.indices.astype(np.int64)),
                    torch.from_numpy(in_rows.data),
                    size=in_rows.shape,
                    check_invariants=True,
                )
            )
    return found[0], found[1]
