"""What came last says most about what comes next: weights by how late something was taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged


def recency_weights(rows: Ragged, recency: float) -> NDArray[np.float32]:
    """e^(recency · place), divided by its mean over the row; place: the share of the row's values that stand before.

    What a person is recommended is taken after all they took so far, and resembles the end of it more than the beginning. A
    vector learned from all of it alike stands in its middle; weighted, it stands nearer to the end. Koren, *Collaborative
    Filtering with Temporal Dynamics*, KDD 2009, lets a person's vector move for the same reason. Places and not times count: the
    weights of somebody who was away for a year stay as they were.

    Args:
        rows: what each person took, the earliest first.
        recency: 0: all alike; 2: the last of many weighs seven times the first.

    Returns:
        [T], one a value; a row's weights sum to its length.

    >>> np.round(recency_weights(Ragged.from_rows([[7, 8], [9]]), 2.0).astype(float), 2).tolist()
    [0.54, 1.46, 1.0]
    """
    row, lengths = rows.row_of_value, rows.lengths
    place = (np.arange(len(rows.values)) - rows.offsets[row]) / lengths[row]
    raised = np.exp(recency * place)
    mean = np.bincount(row, raised, minlength=len(rows)) / np.maximum(lengths, 1)
    weights: NDArray[np.float32] = (raised / mean[row]).astype(np.float32)
    return weights


def latest_in_rows(rows: Ragged, num_values: int) -> Ragged:
    """Each row's different values, in the order in which they stood there last; values are from 0 to ``num_values`` − 1.

    >>> latest_in_rows(Ragged.from_rows([[2, 0, 2, 1], []]), 3).row(0).tolist()
    [0, 2, 1]
    """
    pairs = rows.row_of_value * num_values + rows.values
    order = np.argsort(pairs, kind="stable")
    ordered = pairs[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True) if len(order) else np.empty(0, dtype=bool)
    kept = np.zeros(len(pairs), dtype=bool)
    kept[order[is_last]] = True
    return rows.where(kept)
