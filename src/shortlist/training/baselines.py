"""The rows a model stands beside: each baseline with the best of a few stated settings on validation.

A table without tuned baselines says little (Ferrari Dacrema, Cremonesi, Jannach, RecSys 2019), so they are in every
report, and the report says how much was tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.splitting import Split
from shortlist.errors import SettingsError
from shortlist.evaluation.evaluator import validation_figure
from shortlist.models.base import Retriever
from shortlist.models.ease import EASE
from shortlist.models.item_knn import ItemKNN
from shortlist.models.mf import MatrixFactorization
from shortlist.models.popularity import Popularity
from shortlist.models.sequential_rules import SequentialRules
from shortlist.settings import (
    BaselineSettings,
    EASESettings,
    ItemKNNSettings,
    MFSettings,
    PopularitySettings,
    RecentPopularitySettings,
    SequentialRulesSettings,
    Settings,
)

# Tried in this order, ``evaluation.baseline_trials`` of each. Where a search was made first, docs/LOG.md tells of it:
# mf's best were at the large end of embedding_dim and unobserved_weight, and with recency where what comes next is asked for.
TRIALS: Mapping[str, list[dict[str, Any]]] = {
    "popularity": [{}],
    "recent_popularity": [{"half_life_days": days} for days in (30, 365, 7, 1, 90, 2000, 0.25, 0.05)],
    "item_knn": [
        {"neighbours": neighbours, "shrinkage": shrinkage, "exponent": exponent}
        for neighbours, shrinkage, exponent in (
            (100, 10, 0.5),
            (30, 10, 0.5),
            (300, 10, 0.5),
            (100, 50, 0.5),
            (100, 10, 0.4),
            (1000, 10, 0.5),
            (100, 0, 0.5),
            (100, 10, 0.6),
        )
    ],
    "sequential_rules": [{"steps": steps} for steps in (10, 1, 3, 30)],
    "ease": [{"regularization": value} for value in (300, 100, 1000, 30, 500, 200, 2000, 10)],
    "mf": [
        {"embedding_dim": dim, "unobserved_weight": weight, "regularization": regularization, "recency": recency}
        for dim, weight, regularization, recency in (
            (128, 1.0, 0.003, 0.0),
            (128, 0.3, 0.01, 4.0),
            (128, 0.3, 0.003, 0.0),
            (128, 1.0, 0.01, 7.0),
            (64, 0.1, 0.003, 0.0),
            (128, 1.0, 0.01, 0.0),
            (128, 1.0, 0.003, 4.0),
            (64, 0.3, 0.01, 0.0),
        )
    ],
}
_BY_TIME = ("recent_popularity", "sequential_rules")
_ITEMS_BY_ITEMS = ("item_knn", "ease")
_ANY: TypeAdapter[BaselineSettings] = TypeAdapter(BaselineSettings)


@dataclass
class Baselines:
    """Fitted baselines, the settings selected for each, and sentences about those left out."""

    retrievers: dict[str, Retriever] = field(default_factory=dict)
    selected: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def fit_baselines(
    dataset: Dataset, split: Split, settings: Settings, say: Callable[[str], Any] = lambda _: None
) -> Baselines:
    """Fit every baseline of ``[evaluation] baselines`` but the model itself."""
    fitted = Baselines()
    for name in settings.evaluation.baselines:
        if name == settings.retriever.model:
            continue
        if reason := _cannot(name, dataset, settings):
            fitted.notes.append(f"The baseline {name} is left out: {reason}.")
            continue
        say(f"fitting the baseline {name}")
        fitted.retrievers[name], fitted.selected[name] = _fit_best(name, dataset, split, settings)
    return fitted


def check_sources(dataset: Dataset, settings: Settings) -> None:
    """Refuse a ``[[source]]`` that no baseline will stand for, before anything is trained.

    Raises:
        SettingsError: names it and why it cannot be fitted.
    """
    for source in settings.source:
        if reason := _cannot(source.model, dataset, settings):
            raise SettingsError(f'[[source]] model = "{source.model}" cannot be fitted: {reason}. Leave it out.')


def _cannot(name: str, dataset: Dataset, settings: Settings) -> str:
    if name in _BY_TIME and not dataset.has_time:
        return "the interactions have no time"
    most = settings.evaluation.baseline_max_items
    if name in _ITEMS_BY_ITEMS and dataset.num_items > most:
        return f"{dataset.num_items:,} items by as many weights ([evaluation] baseline_max_items is {most:,})"
    return ""


def _fit_best(name: str, dataset: Dataset, split: Split, settings: Settings) -> tuple[Retriever, dict[str, Any]]:
    """Select on validation, then fit on what the model is fitted on."""
    started, select_on = time.perf_counter(), settings.evaluation.select_on
    trials: list[tuple[float, BaselineSettings]] = []
    for trial in TRIALS[name][: settings.evaluation.baseline_trials]:
        if trials and time.perf_counter() - started > 60 * settings.evaluation.baseline_minutes:
            break
        chosen = _ANY.validate_python({"model": name, **trial})
        figure = 0.0
        if len(TRIALS[name]) > 1:
            candidate = fit_closed_form(chosen, split.train, dataset, settings)
            figure = validation_figure(candidate, split.valid, select_on)
        trials.append((figure, chosen))
    figure, best = max(trials, key=lambda one: one[0])
    last = split.train_and_valid if settings.training.refit else split.train
    retriever = fit_closed_form(best, last, dataset, settings)
    if len(TRIALS[name]) == 1:
        return retriever, {}
    tried = {"selected_on": f"validation {select_on}", "validation": figure, "trials": len(trials)}
    seconds = round(time.perf_counter() - started, 2)
    return retriever, {**best.model_dump(mode="json", exclude={"model"}), **tried, "seconds": seconds}


def fit_closed_form(chosen: BaselineSettings, train: Interactions, dataset: Dataset, settings: Settings) -> Retriever:
    """Fit one of the models that need no gradients.

    Raises:
        SettingsError: it goes by time, and the interactions have none.
    """
    num_items = dataset.num_items
    if chosen.model in _BY_TIME and not dataset.has_time:
        raise SettingsError(
            f'model = "{chosen.model}" goes by the time of each interaction, and these have none. Name its column as '
            'timestamp in [data.columns], or take "popularity" or "item_knn".'
        )
    if isinstance(chosen, PopularitySettings):
        return Popularity.fit(train, num_items)
    if isinstance(chosen, RecentPopularitySettings):
        return Popularity.fit_recent(train, num_items, chosen)
    if isinstance(chosen, ItemKNNSettings):
        return ItemKNN.fit(train, num_items, chosen)
    if isinstance(chosen, SequentialRulesSettings):
        return SequentialRules.fit(train, num_items, chosen, in_order=settings.split.history == "in_order")
    if isinstance(chosen, EASESettings):
        # factors leave out the zero diagonal, which matters only to items of the history
        return EASE.fit(train, num_items, chosen, factored=None if settings.split.seen == "remove" else False)
    assert isinstance(chosen, MFSettings)
    return MatrixFactorization.fit(train, num_items, chosen, settings.seed)
