"""Something sensible where the model cannot answer: what is popular lately, under the same filters."""

from __future__ import annotations

from typing import Any

from shortlist.models.popularity import Popularity
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.settings import RecentPopularitySettings, Settings

NAME = "recent_popularity"


def fallback_for(recommender: Recommender) -> Recommender:
    """A recommender of the same catalogue and people that needs neither an encoder, a ranker nor anything after it.

    It takes the artifact's ``recent_popularity`` where the run had it as a baseline, else counts here; where interactions
    have no time, it is plain popularity.
    """
    served = recommender.baselines.get(NAME)
    if served is None:
        dataset, settings = recommender.dataset, RecentPopularitySettings()
        if dataset.has_time:
            counted = Popularity.fit_recent(dataset.interactions, dataset.num_items, settings)
        else:
            counted = Popularity.fit(dataset.interactions, dataset.num_items)
        folder = recommender.retriever.folder
        served = ServedRetriever(
            folder,
            counted.name,
            counted.encode_items(),
            counted.encode_queries,
            has_item_bias=False,
            history_shares=counted.history_shares,
        )
    plain: dict[str, Any] = {name: () for name in ("source", "rerank") if name in Settings.model_fields}
    return Recommender(recommender.dataset, served, recommender.settings.model_copy(update=plain))
