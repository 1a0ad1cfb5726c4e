"""The documented ranges of settings as Optuna's distributions, and a trial's parameters as settings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from shortlist.settings import NetworkSettings, OneOf, Range, Settings


def search_space(settings: Settings) -> dict[str, BaseDistribution]:
    """Every setting with a documented range: of the model, and of the training where it is a network."""
    space: dict[str, BaseDistribution] = {}
    for section in ("retriever", "training") if isinstance(settings.retriever, NetworkSettings) else ("retriever",):
        table = getattr(settings, section)
        for key, field in type(table).model_fields.items():
            for one in field.metadata:
                if isinstance(one, (Range, OneOf)):
                    space[f"{section}.{key}"] = _distribution(one, getattr(table, key), is_int=field.annotation is int)
    return space


def _distribution(allowed: Range | OneOf, given: Any, *, is_int: bool) -> BaseDistribution:
    """As documented, and widened to the given value where that lies outside."""
    if isinstance(allowed, OneOf):
        choices = [json.dumps(value) for value in allowed.values]  # text: Optuna keeps no lists
        return CategoricalDistribution(list(dict.fromkeys([*choices, json.dumps(given)])))
    low, high = min(allowed.low, given), max(allowed.high, given)
    if is_int:
        return IntDistribution(math.ceil(low), math.floor(high), log=allowed.log)
    return FloatDistribution(low, high, log=allowed.log)


def encode(distribution: BaseDistribution, value: Any) -> Any:
    """A setting as Optuna keeps it: lists and words as JSON text."""
    if isinstance(distribution, CategoricalDistribution):
        return json.dumps(value)
    return float(value) if isinstance(distribution, FloatDistribution) else value


def decoded(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's parameters as settings."""
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in parameters.items()}


def value_of(settings: Settings, name: str) -> Any:
    """The setting of this ``section.key``."""
    section, key = name.split(".")
    return getattr(getattr(settings, section), key)


def with_parameters(settings: Settings, parameters: Mapping[str, Any]) -> Settings:
    """The settings with some put in by ``section.key``, checked as if read from a file."""
    values = settings.to_dict()
    for name, value in parameters.items():
        section, key = name.split(".")
        values[section][key] = value
    return Settings.from_dict(values)


def range_text(distribution: BaseDistribution) -> str:
    """As ``shortlist train --help-settings`` shows it."""
    if isinstance(distribution, CategoricalDistribution):
        return str(OneOf(tuple(json.loads(str(choice)) for choice in distribution.choices)))
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    return str(Range(distribution.low, distribution.high, distribution.log))
