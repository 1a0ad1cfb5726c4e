"""The other rows' positives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.negatives.base import Negatives, check_items


class InBatch:
    """The positives of a batch as each other's negatives: nothing is drawn that is not encoded anyway.

    A batch of examples in random order holds item i as often as the examples do, so q_i = count_i / Σ count.

    Args:
        counts: [N] how often each item is the positive of a training example.

    >>> np.exp(InBatch(np.array([1, 3])).shared(np.array([1, 0, 1])).log_q).tolist()
    [0.75, 0.25, 0.75]

    What it does not do: leave out. A row's own positive stands among them (``losses.accidental_hits`` finds it), and so
    may what it has already (``losses.owned``).
    """

    def __init__(self, counts: NDArray[Any]) -> None:
        self._counts = np.asarray(counts)
        self._log_total = np.log(self._counts.sum())

    def shared(self, positive_idx: NDArray[Any]) -> Negatives:
        """The batch's positives [B] with their log q.

        Raises:
            ValueError: a positive that was never counted: its log q would be −inf, and the loss infinite.
        """
        check_items(positive_idx, len(self._counts), "positive_idx")
        counts = self._counts[positive_idx]
        if not (counts > 0).all():
            raise ValueError(
                f"item {positive_idx[counts <= 0][0]} is a positive, but has count 0; count the items over the very"
                " examples that are trained on"
            )
        return Negatives(
            np.asarray(positive_idx, dtype=np.int64), (np.log(counts) - self._log_total).astype(np.float32)
        )
