"""Item-based nearest neighbours (Sarwar, Karypis, Konstan, Riedl, WWW 2001), over sets of users.

Somebody who took a thousand items ties half a million pairs of them together, somebody who took five ties ten. A user's
voice may be divided by a power of what they took (Karypis, CIKM 2001, who normalises the rows of users likewise); with
a power of 1, no shrinkage and no limit of neighbours, this is one step out and back on the graph of users and items, the
linear filter of GF-CF (Shen et al., *How Powerful is Graph Convolution for Recommendation?*, CIKM 2021).
"""

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

    A common user w counts |I_w|^(−user_exponent), by default 1.

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
            settings: neighbours, shrinkage and both exponents.
        """
        from scipy.sparse import vstack

        taken = taken_matrix(train, num_items)
        by_item, voices = taken.T.tocsr(), taken
        if settings.user_exponent:
            taken_by_user = np.diff(taken.indptr)  # nobody without an item is among them
            voices = taken.copy()
            voices.data /= np.repeat(taken_by_user**settings.user_exponent, taken_by_user).astype(np.float32)
        powers = np.maximum(np.diff(by_item.indptr), 1).astype(np.float32) ** settings.exponent
        size = max(1, _BLOCK_CELLS // num_items)
        blocks = []
        for start in range(0, num_items, size):
            common = (by_item[start : start + size] @ voices).toarray()
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
