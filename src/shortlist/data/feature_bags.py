"""What is known of items as bags of codes with weights: one number for each category, tag and number there is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import FeatureTable, NumberColumn, TagsColumn, VectorColumn
from shortlist.data.ragged import Ragged


def num_values(spec: FeatureSpec) -> int:
    """Vectors a feature of items needs: one for each code, or for each number and for its being missing."""
    return spec.width + 1 if spec.kind == "vector" else 2 if spec.kind == "number" else spec.num_codes


def feature_bags(
    num_items: int, specs: Sequence[FeatureSpec], features: FeatureTable
) -> tuple[tuple[Ragged, NDArray[np.float32]], int]:
    """For every item the codes of its feature values and their weights; and how many codes there are.

    A category weighs 1, each of n tags 1/n, a number what it is; training and serving take them by this one road.
    """
    codes, weights, first = Ragged.empty(num_items, np.int64), Ragged.empty(num_items, np.float32), 0
    ones = np.ones(num_items, dtype=np.int64)
    for spec in specs:
        column = features[spec.name]
        if isinstance(column, (NumberColumn, VectorColumn)):  # a code for each number, and one for its being missing
            numbers = column.values.reshape(num_items, -1)
            missing = np.isnan(numbers[:, :1])
            known = np.concatenate([np.where(missing, np.float32(0), numbers), missing.astype(np.float32)], axis=1)
            width = known.shape[1]
            mine, weight = Ragged.from_lengths(np.tile(np.arange(width), num_items), width * ones), known.ravel()
        else:
            mine = column.codes if isinstance(column, TagsColumn) else Ragged.from_lengths(column.codes, ones)
            weight = np.repeat(1 / np.maximum(mine.lengths, 1), mine.lengths).astype(np.float32)
        codes = codes.concat_rows(Ragged(mine.values.astype(np.int64) + first, mine.offsets))
        weights = weights.concat_rows(Ragged(weight, mine.offsets))
        first += num_values(spec)
    return (codes, weights.values), first
