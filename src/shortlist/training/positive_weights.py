"""What a positive weighs in the loss: by its value, such as a rating or the share watched, and by how late it came."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.data.recency import recency_weights
from shortlist.errors import DataError, SettingsError


def positive_weights(train: Interactions, value_power: float, recency: float) -> NDArray[np.float32] | None:
    """Both weights, multiplied.

    Args:
        train: what is learned from.
        value_power: see ``value_weights``.
        recency: see ``shortlist.data.recency``; 0: all alike. Where there are no times, the order of the source is the order.

    Returns:
        [n], one a row; what is no positive weighs 1. None: all weigh the same.

    Raises:
        SettingsError, DataError: see ``value_weights``.
    """
    weights = value_weights(train, value_power)
    if recency:
        weights = np.ones(len(train), dtype=np.float32) if weights is None else weights
        weights[train.liked] *= recency_weights(train.positives(), recency)
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
