"""What the training data says of items, for metrics beyond accuracy and for slices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.features import FIRST_VALUE, CategoryColumn, TagsColumn
from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout
from shortlist.evaluation.candidates import candidates_of
from shortlist.retrieval import ExactIndex


@dataclass(frozen=True, eq=False)
class Background:
    """Items as the training data knows them.

    Args:
        counts: [N] training positives of each item.
        num_users: training users with a positive.
        holdout: whose queries are asked.
        tags: sparse [N, G], 1 where an item has the tag (of its tag or category features); None where there are none.
    """

    counts: NDArray[np.int64]
    num_users: int
    holdout: Holdout
    tags: Any = None

    @classmethod
    def of(cls, dataset: Dataset, train: Interactions, holdout: Holdout) -> Background:
        """Count what models were fitted on."""
        positives = train.positives()
        counts = np.bincount(positives.values, minlength=dataset.num_items)
        return cls(counts, int((positives.lengths > 0).sum()), holdout, item_tags(dataset))

    @property
    def share(self) -> NDArray[np.float64]:
        """[N] share of the training users who took the item."""
        return self.counts / max(self.num_users, 1)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics beyond accuracy that these data allow."""
        about_tags = () if self.tags is None else ("diversity", "miscalibration")
        return ("popularity", "popularity_lift", "novelty", "serendipity", *about_tags)

    @cached_property
    def obvious_ranks(self) -> Ragged:
        """Ranks of the holdout's targets where everyone gets the most popular items."""
        index = ExactIndex(self.share[:, None].astype(np.float32))
        ones = np.ones((len(self.holdout), 1), np.float32)
        return index.ranks(ones, self.holdout.targets, candidates_of(self.holdout))


def item_tags(dataset: Dataset) -> Any:
    """Sparse [N, G], 1 where an item has a tag: tag features side by side; where there are none, category features."""
    from scipy.sparse import csr_array, hstack

    features, specs = dataset.item_features, [one for one in dataset.schema.side("item") if one.values]
    chosen = [one.name for one in specs if one.kind == "tags"] or [one.name for one in specs if one.kind == "category"]
    blocks = []
    for spec in specs:
        if spec.name not in chosen:
            continue
        column = features[spec.name]
        if isinstance(column, TagsColumn):
            codes, rows = column.codes.values, column.codes.row_of_value
        else:
            assert isinstance(column, CategoryColumn)
            codes, rows = column.codes, np.arange(len(column.codes))
        known = codes >= FIRST_VALUE
        entries = (np.ones(int(known.sum())), (rows[known], codes[known] - FIRST_VALUE))
        blocks.append(csr_array(entries, shape=(dataset.num_items, len(spec.values))))
    return hstack(blocks, format="csr") if blocks else None
