"""``[[rerank]]`` and a data set → the re-rankers: which feature holds groups, tags and dates, looked up and checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from shortlist.data.dataset import Dataset
from shortlist.data.features import VectorColumn
from shortlist.data.interactions import Interactions
from shortlist.data.moments import DAY_MS
from shortlist.errors import SettingsError, did_you_mean
from shortlist.recommender.item_facts import ItemFacts
from shortlist.reranking import (
    AmortisedExposure,
    Boost,
    Calibration,
    Diversity,
    Exploration,
    ExposureState,
    Freshness,
    MinimumShare,
    PopularityDamping,
    Reranker,
    Rules,
)
from shortlist.reranking.popularity import novelty_of
from shortlist.retrieval import Vectors
from shortlist.settings import (
    BoostSettings,
    CalibrationSettings,
    DampingSettings,
    DiversitySettings,
    ExplorationSettings,
    ExposureSettings,
    FreshnessSettings,
    RerankSettings,
    RulesSettings,
)
from shortlist.settings.reranking import days


def rerankers_of(
    steps: Sequence[RerankSettings],
    dataset: Dataset,
    vectors: Callable[[], Vectors] | None = None,
    log: Interactions | None = None,
) -> tuple[Reranker, ...]:
    """One re-ranker a step, in order.

    Args:
        steps: ``Settings.rerank``.
        dataset: the corpus and its features.
        vectors: gives [N, D] item vectors of length 1; None: they are not known yet, and only the settings are checked.
        log: what popularity and first interactions are counted from; None: all interactions.

    Raises:
        SettingsError: a step that does not fit the data; names the field.
        ConditionError: a condition that cannot be read or does not fit the columns.
    """
    return tuple(
        _Builder(f"rerank.{place}", dataset, vectors, dataset.interactions if log is None else log).build(step)
        for place, step in enumerate(steps)
    )


class _Builder:
    def __init__(self, place: str, dataset: Dataset, vectors: Callable[[], Vectors] | None, log: Interactions) -> None:
        self.place, self.dataset, self.vectors, self.log = place, dataset, vectors, log
        self.facts = ItemFacts(place, dataset, log)

    def build(self, step: RerankSettings) -> Reranker:
        if isinstance(step, RulesSettings):
            groups = None if step.groups is None else self.facts.codes("groups", step.groups)
            blocked, pinned = self.facts.rows("block", step.block), self.facts.rows("pin", step.pin)
            return Rules(step.strength, blocked, pinned, groups, step.at_most or 1)
        if isinstance(step, BoostSettings):
            return Boost(self.facts.boosted(step.items, step.where), step.strength)
        if isinstance(step, FreshnessSettings):
            return Freshness(self.facts.times(step.date), days(step.half_life), step.strength)
        if isinstance(step, DiversitySettings):
            return self._diversity(step)
        if isinstance(step, CalibrationSettings):
            return Calibration(self.facts.codes("feature", step.feature or self.facts.only_feature()), step.strength)
        if isinstance(step, ExposureSettings):
            return self._exposure(step)
        if isinstance(step, DampingSettings):
            positives = self.log.positives()
            return PopularityDamping(novelty_of(self.facts.counts(), int((positives.lengths > 0).sum())), step.strength)
        assert isinstance(step, ExplorationSettings)
        return Exploration(step.strength, step.temperature, step.seed, days(step.period) * DAY_MS)

    def _diversity(self, step: DiversitySettings) -> Diversity:
        if step.feature is None:
            vectors = None if self.vectors is None else self.vectors()
            if vectors is not None and (not isinstance(vectors, np.ndarray) or vectors.shape[1] < 2):
                raise SettingsError(
                    f"{self.place}.feature: the items of this retriever have no vectors that say what is alike; set an item "
                    f"feature{self.facts.among(('tags', 'category', 'vector'))}."
                )
            return Diversity(step.strength, step.method, vectors=vectors)
        spec = self.facts.spec("feature", step.feature, ("tags", "category", "vector"))
        column = self.dataset.item_features[spec.name]
        if isinstance(column, VectorColumn):
            return Diversity(step.strength, step.method, vectors=np.nan_to_num(column.values))
        return Diversity(step.strength, step.method, tags=self.facts.codes("feature", step.feature))

    def _exposure(self, step: ExposureSettings) -> Reranker:
        kinds = ("tags", "category") if step.method == "minimum_share" else ("category",)
        if step.groups is None:
            is_tail = self.facts.is_tail()
            if step.method == "amortised":
                return AmortisedExposure(is_tail.astype(np.int64), ExposureState.none(2), step.strength)
            return MinimumShare(is_tail, step.share, step.significance, step.strength)
        spec = self.facts.spec("groups", step.groups, kinds)
        codes = self.facts.codes("groups", step.groups)
        if step.method == "amortised":
            group = np.full(self.dataset.num_items, -1)
            group[codes.row_of_value] = codes.values
            return AmortisedExposure(group, ExposureState.none(len(spec.values)), step.strength)
        for value in step.protected:
            if value not in spec.values:
                raise SettingsError(
                    f"{self.place}.protected: no item's {spec.name} is {value!r}; {did_you_mean(value, spec.values)}."
                )
        wanted = [spec.values.index(value) for value in step.protected]
        protected = np.zeros(self.dataset.num_items, dtype=bool)
        protected[codes.row_of_value[np.isin(codes.values, wanted)]] = True
        return MinimumShare(protected, step.share, step.significance, step.strength)
