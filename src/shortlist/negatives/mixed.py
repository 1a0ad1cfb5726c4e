"""The other rows' positives, and some of the whole corpus."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.negatives.base import Negatives
from shortlist.negatives.in_batch import InBatch
from shortlist.negatives.uniform import Uniform


class Mixed:
    """In-batch negatives plus uniform ones (Yang et al. 2020, Mixed negative sampling for two-tower neural networks).

    What never is a positive never is an in-batch negative, so a model may place it anywhere, also on top. S uniform
    items beside the B of the batch are drawn from the mixture q_i = B/(B+S) · count_i/Σ count + S/(B+S) · 1/N, and
    each item's log q is that of the mixture, whichever part it came from.

    Args:
        counts: [N] how often each item is the positive of a training example.
        num_uniform: S ≥ 0.

    >>> mixed = Mixed(np.array([1, 3, 0, 0]), num_uniform=2)
    >>> drawn = mixed.shared(np.array([1, 1]), np.random.default_rng(0))
    >>> drawn.item_idx.shape, drawn.item_idx[:2].tolist(), np.exp(drawn.log_q[:2]).tolist()  # 2/4 · 3/4 + 2/4 · 1/4
    ((4,), [1, 1], [0.5, 0.5])

    What it does not do: leave out; see :class:`InBatch`.
    """

    def __init__(self, counts: NDArray[Any], num_uniform: int) -> None:
        counts = np.asarray(counts)
        self._in_batch, self._uniform = InBatch(counts), Uniform(len(counts))
        self._frequency, self._num_uniform = counts / counts.sum(), num_uniform

    def shared(self, positive_idx: NDArray[Any], rng: np.random.Generator) -> Negatives:
        """[B + S]: the batch's positives, then uniform items.

        Raises:
            ValueError: a positive that was never counted.
        """
        batch = self._in_batch.shared(positive_idx).item_idx
        item_idx = np.concatenate([batch, self._uniform.shared(self._num_uniform, rng).item_idx])
        share = len(batch) / max(len(item_idx), 1)
        q = share * self._frequency[item_idx] + (1 - share) / len(self._frequency)
        return Negatives(item_idx, np.log(q).astype(np.float32))
