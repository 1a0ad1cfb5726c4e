"""Targets that lend part of their weight to the items most like them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged, is_among
from shortlist.models.item_knn import ItemKNN
from shortlist.settings import ItemKNNSettings

# the neighbours that taught most on Gowalla's validation part (docs/LOG.md)
_LIKENESS = {"shrinkage": 0.0, "exponent": 0.2, "user_exponent": 0.5}


class TargetSmoothing:
    """Of each target's weight a share goes to its nearest items, in proportion to how near they are.

    What a user took says that they might as well have taken its like: label smoothing (Szegedy et al., CVPR 2016), not even over
    the corpus but along the graph of items. So a model with few numbers for an item learns what item-kNN knows. UltraGCN (Mao et
    al., CIKM 2021) teaches the same pairs by a loss of their own.

    Args:
        train: what may be learned from.
        num_items: size of the corpus N.
        share: of each target's weight, from 0 to 1.
        neighbours: nearest items of each, at most.

    >>> smoothing = TargetSmoothing(Ragged.from_rows([[0, 1], [0, 1], [2]]), num_items=3, share=0.25, neighbours=5)
    >>> rows, items, weights = smoothing.spread(Ragged.from_rows([[0], [2]]), np.array([1, 1], np.float32))
    >>> rows.tolist(), items.tolist(), weights.tolist()  # 1 is like 0; nothing is like 2
    ([0, 1, 0], [0, 2, 1], [0.75, 1.0, 0.25])
    """

    def __init__(self, train: Interactions | Ragged, num_items: int, share: float, neighbours: int) -> None:
        settings = ItemKNNSettings.model_validate({"neighbours": neighbours, **_LIKENESS})
        near: Any = ItemKNN.fit(train, num_items, settings).encode_items()  # a sparse array, which is untyped
        near.sort_indices()
        self.num_items = num_items
        self.near = Ragged(near.indices.astype(np.int64), near.indptr.astype(np.int64))
        totals = np.bincount(self.near.row_of_value, weights=near.data, minlength=num_items)
        shares = share * np.asarray(near.data) / totals[self.near.row_of_value]
        self.shares = Ragged(shares.astype(np.float32), self.near.offsets)

    def spread(
        self, targets: Ragged, weights: NDArray[np.float32], forbidden: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """The targets' rows, items and weights, and after them those of their neighbours; their sum is as before.

        Args:
            targets: items of B queries.
            weights: [T] of the targets.
            forbidden: positions b·N + i that cannot be targets of query b: neighbours there get nothing.
        """
        near, shares = self.near.take(targets.values), self.shares.take(targets.values).values
        of_target = near.row_of_value
        rows, items = targets.row_of_value[of_target], near.values
        lent = shares * weights[of_target]
        if forbidden is not None:
            kept = ~is_among(rows * self.num_items + items, forbidden)
            rows, items, lent, of_target = rows[kept], items[kept], lent[kept], of_target[kept]
        own = weights - np.bincount(of_target, weights=lent, minlength=len(weights)).astype(np.float32)
        return (
            np.concatenate([targets.row_of_value, rows]),
            np.concatenate([targets.values.astype(np.int64), items]),
            np.concatenate([own, lent]),
        )
