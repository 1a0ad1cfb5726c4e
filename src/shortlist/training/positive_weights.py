"""What a positive weighs in the loss: by its value, such as a rating or the share watched, and by how late it came."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.errors import DataError, SettingsError


def positive_weights(train: Interactions, value_power: float, recency: float) -> NDArray[np.float32] | None:
    """Both weights, multiplied.

    Args:
        train: what is learned from.
        value_power: see ``value_weights``.
        recency: see ``recency_weights``.

    Returns:
        [n], one a row; None: all weigh the same.

    Raises:
        SettingsError, DataError: see ``value_weights``.
    """
    by_value, by_recency = value_weights(train, value_power), recency_weights(train, recency)
    if by_value is None or by_recency is None:
        return by_recency if by_value is None else by_value
    return by_value * by_recency


def recency_weights(train: Interactions, recency: float) -> NDArray[np.float32] | None:
    """e^(recency · place), divided by its mean over the person's positives; place: the share of them that came before.

    What a person is recommended is taken after all they took so far, and resembles the end of it more than the beginning. A
    vector of one's own that is learned from all positives alike stands in their middle; weighted, it stands nearer to the end.
    Koren, *Collaborative Filtering with Temporal Dynamics*, KDD 2009, lets a person's vector move for the same reason. Where
    there are no times, the order of the source is the order.

    Args:
        train: what is learned from.
        recency: 0: all alike; 2: the last of many weighs seven times the first.

    Returns:
        [n], one a row; what is no positive weighs 1. None where the recency is 0.
    """
    if recency == 0:
        return None
    rows = np.flatnonzero(train.liked)
    users = train.user_idx[rows]
    counts = np.bincount(users, minlength=train.num_users)
    place = (np.arange(len(rows)) - (np.cumsum(counts) - counts)[users]) / counts[users]
    raised = np.exp(recency * place)
    mean = np.bincount(users, raised, minlength=train.num_users) / np.maximum(counts, 1)
    weights = np.ones(len(train), dtype=np.float32)
    weights[rows] = raised / mean[users]
    return weights


def value_weights(train: Interactions, power: float) -> NDArray[np.float32] | None:
    """value^power, divided by its mean over the positives: so they are 1 on average, and the learning rate keeps its meaning.

    Covington et al. 2016 weight watches by their time likewise. With a softmax it shifts probability towards what was
    valued: in a corpus of equally frequent items each gets its share of the summed weights.

    Args:
        train: what is learned from.
        power: 0: all alike; 1: in proportion to the value.

    Returns:
        [n], one a row; a positive without a value weighs 1. None where the power is 0.

    Raises:
        SettingsError: there are no values.
        DataError: a positive's value is 0 or less, or infinite.
    """
    if power == 0:
        return None
    if train.value is None:
        raise SettingsError(
            f"[retriever] value_power = {power:g} weights positives by their value, and the interactions have none: set "
            "[data.columns] value, or value_power = 0."
        )
    values = train.value.astype(np.float64)
    present = train.liked & ~np.isnan(values)
    bad = np.flatnonzero(present & ~((values > 0) & np.isfinite(values)))
    if len(bad):
        raise DataError(
            f"[retriever] value_power = {power:g} needs values greater than 0; {len(bad):,} of {int(present.sum()):,} "
            f"positives have another, such as {values[bad[0]]:g}. Take them out of the positives ([data.feedback] liked = "
            '"value > 0"), or set value_power = 0.'
        )
    weights = np.ones(len(train))
    if present.any():
        # by the largest first: a high power of a large number would be infinite
        raised = (values[present] / values[present].max()) ** power
        weights[present] = raised / raised.mean()
    return weights.astype(np.float32)
