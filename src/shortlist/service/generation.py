"""One artifact with all that a service needs of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shortlist.events import EventStore
from shortlist.events.items import ItemChange
from shortlist.experiments.serving import recommenders
from shortlist.experiments.settings import ExperimentSettings
from shortlist.recommender import Recommender
from shortlist.recommender.extended import ExtendedRecommender
from shortlist.recommender.live import LiveRecommender
from shortlist.recommender.live_items import LiveItems
from shortlist.recommender.popularity_bands import PopularityBands
from shortlist.service.catalogue import Catalogue


@dataclass(frozen=True)
class Generation:
    """One artifact, ready to answer. A request takes it once, and keeps it to its end."""

    live: LiveRecommender
    catalogue: Catalogue
    items: LiveItems
    report: bytes
    bands: PopularityBands
    arms: Mapping[str, tuple[LiveRecommender, LiveItems]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        recommender: Recommender,
        store: EventStore | None,
        timeout: float | None,
        experiment: ExperimentSettings | None = None,
    ) -> Generation:
        """Prepare everything."""
        report = json.dumps({} if recommender.report is None else recommender.report.to_dict()).encode()
        live = LiveRecommender(recommender, store, timeout)
        arms = {} if experiment is None else recommenders(experiment, recommender)
        return cls(
            live,
            Catalogue(recommender),
            LiveItems(recommender),
            report,
            PopularityBands(recommender.dataset),
            {name: (LiveRecommender(one, store, timeout), LiveItems(one)) for name, one in arms.items()},
        )

    def with_items(self, changes: Sequence[ItemChange]) -> Generation:
        """The artifact with items that came, changed or went since; everything else is shared."""
        live = _with_items(self.live, self.items, changes)
        # an arm's artifact may have an item that this one has not
        arms = {name: (_with_items(one, items, changes), items) for name, (one, items) in self.arms.items()}
        catalogue = self.catalogue if live is self.live else self.catalogue.over(live.recommender)
        return replace(self, live=live, catalogue=catalogue, arms=arms)

    @property
    def recommender(self) -> Recommender:
        """Without events."""
        return self.live.recommender


def _with_items(live: LiveRecommender, items: LiveItems, changes: Sequence[ItemChange]) -> LiveRecommender:
    recommender = items.over(changes)
    if not isinstance(recommender, ExtendedRecommender):
        return live
    return live.over(recommender, ExtendedRecommender(live.fallback, recommender.patch, towered=False))
