"""What one list is like, beside how it was made: for people who shape it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.errors import SettingsError
from shortlist.evaluation import beyond_accuracy
from shortlist.evaluation.background import item_tags
from shortlist.evaluation.stages import mean_age
from shortlist.recommender.item_facts import ItemFacts
from shortlist.recommender.recommender import Recommender

DEFINITIONS: Mapping[str, str] = {
    "score": "mean score of the last model: how well the items fit by the models alone",
    "diversity": "mean distance (1 − cosine of tags) between the items of the list",
    "kinds": "how many different tags the items of the list have",
    "miscalibration": "KL divergence of the list's tags from those of the person's history, in nats; 0: in proportion",
    "popularity": "mean share of the people in the data who took the list's items",
    "tail": "share of the list that is not of the head: the fewest items that have 80 % of all positives",
    "age": "mean days since the list's items came",
}


class ListFigures:
    """Measures lists of one recommender's items; counted from all its interactions, once.

    Args:
        recommender: whose items they are.
    """

    def __init__(self, recommender: Recommender) -> None:
        dataset = recommender.dataset
        self._facts = ItemFacts("rerank", dataset, dataset.interactions)
        counts, positives = self._facts.counts(), dataset.interactions.positives()
        self._share = counts / max(int((positives.lengths > 0).sum()), 1)
        self._tags, self._is_tail = item_tags(dataset), self._facts.is_tail()
        self._came: dict[str | None, NDArray[np.float64] | None] = {}

    def of(
        self,
        item_idx: NDArray[np.int32],
        scores: NDArray[np.float64],
        history: NDArray[np.int32],
        time: float,
        date: str | None = None,
    ) -> dict[str, float]:
        """The figures of ``DEFINITIONS`` that the data allow; none of an empty list.

        Args:
            item_idx: [k] the list, best first.
            scores: [k].
            history: item indices of what the person liked.
            time: of the question, milliseconds since 1970.
            date: item feature that says when an item came; None: see ``FreshnessSettings.date``.
        """
        if not len(item_idx):
            return {}
        lists, k, past = item_idx[None].astype(np.int32), len(item_idx), Ragged.from_rows([history])
        found = {
            "score": float(scores.mean()),
            "popularity": float(beyond_accuracy.popularity(lists, k, self._share)[0]),
            "tail": float(self._is_tail[item_idx].mean()),
        }
        if self._tags is not None:
            found["diversity"] = float(beyond_accuracy.intra_list_diversity(lists, k, self._tags)[0])
            found["kinds"] = float(np.count_nonzero(self._tags[item_idx].sum(axis=0)))
            found["miscalibration"] = float(beyond_accuracy.miscalibration(lists, k, self._tags, past)[0])
        came = self._times(date)
        if came is not None:
            found["age"] = float(mean_age(lists, k, came, np.array([time]))[0])
        return {name: found[name] for name in DEFINITIONS if np.isfinite(found.get(name, np.nan))}

    def _times(self, date: str | None) -> NDArray[np.float64] | None:
        if date not in self._came:
            try:
                self._came[date] = self._facts.times(date)
            except SettingsError:
                self._came[date] = None
        return self._came[date]
