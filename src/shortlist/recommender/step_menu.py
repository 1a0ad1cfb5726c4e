"""Which re-ranking steps an artifact's data allow, and what can be set of each: what a page of sliders is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import numpy as np
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from shortlist.data.moments import DAY_MS
from shortlist.errors import SettingsError
from shortlist.recommender.item_facts import ItemFacts
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.rerankers import rerankers_of
from shortlist.settings import RerankSettings
from shortlist.settings.reranking import days

MOST_VALUES = 200  # of a feature that are listed
# by step and setting: of which kinds the features are that fit
_FEATURES: Mapping[tuple[str, str], Sequence[str]] = {
    ("freshness", "date"): ("number", "category"),
    ("diversity", "feature"): ("tags", "category", "vector"),
    ("calibration", "feature"): ("tags", "category"),
    ("exposure", "groups"): ("category",),
    ("rules", "groups"): ("tags", "category"),
}
HALF_LIVES = ("1h", "12h", "1d", "7d", "30d", "90d", "1y", "5y", "10y")
_LEFT_OUT = {"step", "strength", "candidates", "block", "pin", "items", "seed", "period", "significance"}


def step_menu(recommender: Recommender) -> list[dict[str, Any]]:
    """Every kind of step, in the order of their documentation.

    Returns:
        of each ``step``, ``about``, ``strength`` (its default), ``settings`` (name, kind, default, options, description, and
        ``suggested`` where these data ask for another value), and ``unavailable``: why the data do not allow it with its
        defaults, or None.
    """
    return [_described(recommender, kind) for kind in get_args(RerankSettings)]


def _described(recommender: Recommender, kind: type[Any]) -> dict[str, Any]:
    fields: Mapping[str, FieldInfo] = kind.model_fields
    step = str(fields["step"].default)
    settings = [_setting(recommender, step, name, field) for name, field in fields.items() if name not in _LEFT_OUT]
    return {
        "step": step,
        "about": str(kind.__doc__),
        "strength": fields["strength"].default,
        "settings": [one for one in settings if one["kind"] != "feature" or one["options"]],
        "unavailable": _why_not(recommender, kind),
    }


def _setting(recommender: Recommender, step: str, name: str, field: FieldInfo) -> dict[str, Any]:
    specs = [one for one in recommender.dataset.schema.side("item") if not one.buckets or one.kind == "vector"]
    found: dict[str, Any] = {"name": name, "default": field.default, "description": field.description}
    if (step, name) in _FEATURES:
        return {**found, "kind": "feature", "options": [one.name for one in specs if one.kind in _FEATURES[step, name]]}
    if name == "protected":
        values = {one.name: list(one.values[:MOST_VALUES]) for one in specs if one.kind == "category"}
        return {**found, "kind": "values", "of": "groups", "options": values}
    if get_origin(field.annotation) is Literal:
        return {**found, "kind": "choice", "options": list(get_args(field.annotation))}
    if name == "half_life":
        return {**found, "kind": "duration", "options": list(HALF_LIVES), "suggested": _half_life(recommender)}
    kinds = {"where": "condition", "share": "share", "at_most": "count"}
    return {**found, "kind": kinds.get(name, "number")}


def _half_life(recommender: Recommender) -> str | None:
    """A half-life with which an item of the older half of the catalogue counts less, and not next to nothing."""
    try:
        came = ItemFacts("rerank", recommender.dataset, recommender.dataset.interactions).times(None)
    except SettingsError:
        return None
    known = came[np.isfinite(came)]
    if not len(known):
        return None
    spread = float(np.quantile(known, 0.75) - np.quantile(known, 0.25)) / DAY_MS
    return min(HALF_LIVES, key=lambda one: abs(np.log(days(one) / max(spread / 2, 1e-3))))


def _why_not(recommender: Recommender, kind: type[Any]) -> str | None:
    try:
        step = kind()
    except ValidationError:
        return None  # it has to be told something first
    try:
        rerankers_of([step], recommender.dataset, lambda: recommender.similarity_vectors)
    except SettingsError as error:
        return str(error).removeprefix("rerank.0.")
    return None
