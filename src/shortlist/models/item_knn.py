"""Item-based nearest neighbours (Sarwar, Karypis, Konstan, Riedl, WWW 2001), over sets of users."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged
from shortlist.models.item_item import ItemItem, taken_matrix
from shortlist.retrieval.selection import top
from shortlist.settings import ItemKNNSettings

_BLOCK_CELLS = 8_000_000  # similarities held at once: 32 MB


class ItemKNN(ItemItem):
    """similarity(i, j) = |U_i ∩ U_j| / ((|U_i| |U_j|)^exponent + shrinkage); each item keeps its nearest neighbours.

    >>> log = Ragged.from_rows([[0, 1], [0, 1], [2, 3], [2, 3]])
    >>> knn = ItemKNN.fit(log, 4, ItemKNNSettings(shrinkage=0))
    >>> knn.encode_items().toarray().round(2).tolist()[0]
    [0.0, 1.0, 0.0, 0.0]
    """

    @classmethod
    def fit(cls, train: Interactions | Ragged, num_items: int, settings: ItemKNNSettings) -> ItemKNN:
        """Count common users, a block of items at a time.

        Args:
            train: positives of every user; a pair counts once.
            num_items: size of the corpus N.
            settings: neighbours, shrinkage, exponent.
        """
        from scipy.sparse import vstack

        taken = taken_matrix(train, num_items)
        by_item = taken.T.tocsr()
        powers = np.maximum(np.diff(by_item.indptr), 1).astype(np.float32) ** settings.exponent
        size = max(1, _BLOCK_CELLS // num_items)
        blocks = []
        for start in range(0, num_items, size):
            common = (by_item[start : start + size] @ taken).toarray()
            common /= powers[start : start + size, None] * powers + np.float32(settings.shrinkage)
            rows = np.arange(len(common))
            common[rows, start + rows] = 0  # nobody is their own neighbour
            blocks.append(_strongest(common, settings.neighbours))
        return cls("item_knn", vstack(blocks, format="csr"))


def _strongest(similarities: NDArray[np.float32], keep: int) -> Any:
    """Sparse rows with the ``keep`` largest positive values of each; of equal ones the lower column stays."""
    from scipy.sparse import csr_array

    columns, values = top(similarities, min(keep, similarities.shape[1]))
    kept = values > 0
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return csr_array((values[kept], columns[kept], offsets), shape=similarities.shape)
