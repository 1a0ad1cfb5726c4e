"""The frozen data set every later station takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shortlist.data.availability import Availability
from shortlist.data.feature_spec import Schema
from shortlist.data.features import FeatureTable
from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged
from shortlist.data.summary import DataSummary
from shortlist.data.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Dataset:
    """Vocabularies, interactions and features, aligned by index.

    Args:
        users, items: outside id ⇄ index.
        interactions: sorted by user, then time.
        schema: the features and how they are encoded.
        user_features, item_features: encoded columns, row ``i`` belongs to index ``i``.
        user_table: the users' features in plain form, row ``i`` belongs to user ``i``.
        display: item columns for people and for ``where`` conditions, row ``i`` belongs to item ``i``.
        has_time: whether interactions carry a time (else their order in the source counts).
        parts: [n] which of several given files a row came from, in their order; None for one file.
        summary: counts, and what was dropped.
        negatives: items given to be ranked with each user's test targets, one row a user; None: none are given.
        availability: from when until when each item is recommended; None: always.
        not_asked: [num_users] who has no query in validation and test, because models that went on from an artifact have
            learned what would be asked for; None: nobody.
        arrived: [N] when items came that no interaction dates, milliseconds since 1970, NaN where that is not known; None: of
            none it is.
    """

    users: Vocabulary
    items: Vocabulary
    interactions: Interactions
    schema: Schema
    user_features: FeatureTable
    item_features: FeatureTable
    user_table: pa.Table
    display: pa.Table
    has_time: bool
    parts: NDArray[np.int8] | None
    summary: DataSummary
    negatives: Ragged | None = None
    availability: Availability | None = None
    not_asked: NDArray[np.bool_] | None = None
    arrived: NDArray[np.float64] | None = None

    @property
    def num_users(self) -> int:
        """Users in the vocabulary."""
        return len(self.users)

    @property
    def num_items(self) -> int:
        """Items in the vocabulary: the corpus."""
        return len(self.items)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over ids and interactions: two runs on the same fingerprint saw the same data."""
        digest = hashlib.sha256()
        for vocabulary in (self.users, self.items):
            digest.update("\n".join(map(str, vocabulary.ids.to_pylist())).encode())
        log = self.interactions
        for column in (log.user_idx, log.item_idx, log.timestamp, log.liked, log.disliked):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()
