"""What follows what: counts of pairs in their order, asked by the last item alone.

Kamehkhosh, Jannach, Ludewig: *A Comparison of Frequent Pattern Techniques and a Deep Learning Method for Session-Based
Recommendation*, RecTemp 2017. In sessions the next item depends on the last one far more than on anybody's taste, and networks
are often no better than these counts (Ludewig and Jannach 2018): hence they stand among the baselines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.models.item_item import ItemItem
from shortlist.settings import SequentialRulesSettings


class SequentialRules(ItemItem):
    """W[i, j] = Σ 1 / d over all times that somebody liked j as the d-th item after i, d ≤ ``steps``; the score is W[last, j].

    What came at the same moment is in no order, and counts nothing, unless the order of the rows is to be trusted. It knows
    neither people nor features.

    >>> users, items = np.array([0, 0, 0, 1, 1], np.int32), np.array([0, 1, 2, 0, 1], np.int32)
    >>> log = Interactions(users, items, np.arange(5), np.ones(5, bool), np.zeros(5, bool), num_users=2)
    >>> SequentialRules.fit(log, 3, SequentialRulesSettings(steps=2)).encode_items().toarray().tolist()
    [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.5, 1.0, 0.0]]
    """

    @classmethod
    def fit(
        cls, train: Interactions, num_items: int, settings: SequentialRulesSettings, *, in_order: bool = False
    ) -> SequentialRules:
        """Count pairs, one distance at a time.

        Args:
            train: with times, of every user in their order; likes count.
            num_items: size of the corpus N.
            settings: the longest distance, and how many followers each item keeps.
            in_order: whether rows of the same moment are in their order.
        """
        from scipy.sparse import csr_array

        user, item, time = train.user_idx[train.liked], train.item_idx[train.liked], train.timestamp[train.liked]
        follows: Any = csr_array((num_items, num_items), dtype=np.float32)
        for distance in range(1, settings.steps + 1):
            first, second = item[:-distance], item[distance:]
            later = in_order | (time[:-distance] < time[distance:])
            counts = (user[:-distance] == user[distance:]) & later & (first != second)
            weight = np.full(int(counts.sum()), 1 / distance, dtype=np.float32)
            # summed as it is made: the same pair a thousand times is one number
            follows = follows + csr_array((weight, (first[counts], second[counts])), shape=follows.shape)
        return cls("sequential_rules", _strongest(follows, settings.neighbours).T.tocsr(), last=1)


def _strongest(rows: Any, keep: int) -> Any:
    """The ``keep`` largest values of each sparse row; of equal ones the lower column stays."""
    from scipy.sparse import csr_array

    rows.sort_indices()
    row: NDArray[np.int64] = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    order = np.lexsort((rows.indices, -rows.data, row))
    place = np.arange(len(order)) - rows.indptr[row]
    kept = order[place < keep]
    return csr_array((rows.data[kept], (row[kept], rows.indices[kept])), shape=rows.shape)
