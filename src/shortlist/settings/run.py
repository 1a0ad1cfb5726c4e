"""A whole run, as in the TOML file: read, checked, and explained where it is wrong."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, get_args

from pydantic import Field, ValidationError, model_validator

from shortlist.data.sources import known_dataset
from shortlist.errors import SettingsError, did_you_mean
from shortlist.settings.data import DataSettings, FeatureSettings, FeaturesSettings, SplitSettings
from shortlist.settings.events import EventSettings
from shortlist.settings.models import CANDIDATES, RetrieverSettings, SourceSettings
from shortlist.settings.networks import TRANSFORMER_NETWORK, SoftmaxDNNSettings
from shortlist.settings.rankers import NCFSettings, RankerSettings
from shortlist.settings.reranking import AnyStep, RerankSettings
from shortlist.settings.table import Table
from shortlist.settings.training import TRANSFORMER_TRAINING, EvaluationSettings, IndexSettings, TrainingSettings


class Settings(Table):
    """A whole run, as in the TOML file.

    >>> Settings.from_dict({"data": {"dataset": "ml-latest-small"}}).retriever.model
    'softmax_dnn'
    """

    seed: Annotated[int, Field(ge=0)] = 0
    data: DataSettings = DataSettings()
    features: FeaturesSettings = FeaturesSettings()
    split: SplitSettings = SplitSettings()
    retriever: RetrieverSettings = Field(SoftmaxDNNSettings(), discriminator="model")
    source: tuple[SourceSettings, ...] = ()
    ranker: Annotated[RankerSettings, Field(discriminator="model")] | None = None
    index: IndexSettings = IndexSettings()
    rerank: tuple[AnyStep, ...] = ()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    events: EventSettings = EventSettings()

    @model_validator(mode="after")
    def _sources_fit(self) -> Self:
        models = [source.model for source in self.source]
        for one in models:
            if models.count(one) > 1:
                raise ValueError(f'[[source]] model = "{one}" stands there twice; give it one quota')
            if one == self.retriever.model:
                raise ValueError(f'[[source]] model = "{one}" is the [retriever] itself; leave it out')
            if one != "similar_to_last" and one not in self.evaluation.baselines:
                raise ValueError(
                    f'[[source]] model = "{one}" is fitted as a baseline; add it to [evaluation] baselines, which are '
                    f"{', '.join(self.evaluation.baselines) or 'none'}"
                )
        total = sum(source.quota for source in self.source)
        if total >= CANDIDATES:
            raise ValueError(
                f"the quotas of [[source]] sum to {total} of {CANDIDATES} candidates; leave some to the retriever"
            )
        return self

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Check plain values.

        Raises:
            SettingsError: names the key, what was expected, what came, and the nearest valid name.
        """
        values = _with_known_dataset(values)
        retriever = values.get("retriever", {})
        if isinstance(retriever, Mapping) and "model" not in retriever:
            values = {**values, "retriever": {"model": SoftmaxDNNSettings().model, **retriever}}
        ranker = values.get("ranker")
        if isinstance(ranker, Mapping) and "model" not in ranker:
            values = {**values, "ranker": {"model": NCFSettings().model, **ranker}}
        values = _with_transformer(values)
        try:
            # JSON mode: a TOML array may become a tuple, an integer a float, but "3" never a number
            return cls.model_validate_json(json.dumps(values))
        except ValidationError as error:
            raise SettingsError(_explain(error, values)) from None

    @classmethod
    def from_toml(cls, path: str | Path, overrides: Sequence[str] = ()) -> Settings:
        """Read a TOML file; paths in it are relative to the file.

        Args:
            path: the file.
            overrides: ``section.key=value`` strings, value in TOML (a bare word is text).
        """
        return cls.from_dict(_read(Path(path), overrides))

    def overlaid(self, path: str | Path | None, overrides: Sequence[str] = ()) -> Settings:
        """These settings with those of a TOML file, if one is given, and then the overrides over them.

        Another source of the data, or another model, takes nothing from the one that was. Paths are relative to the
        file, or without one to where the program runs.

        >>> Settings(seed=3).overlaid(None, ["training.epochs=2"]).training.epochs
        2
        """
        values = _resolve_paths(_overridden({}, overrides), Path()) if path is None else _read(Path(path), overrides)
        base, given = self.to_dict(), values.get("data", {})
        if isinstance(given, Mapping) and given.get("dataset", base["data"]["dataset"]) != base["data"]["dataset"]:
            base["data"] |= {"interactions": None, "users": None, "items": None, "columns": {}}
        elif isinstance(given, Mapping) and "interactions" in given:
            base["data"]["dataset"] = None
        retriever = values.get("retriever", {})
        if isinstance(retriever, Mapping) and retriever.get("model", self.retriever.model) != self.retriever.model:
            base["retriever"] = {}
        ranker, mine = values.get("ranker"), None if self.ranker is None else self.ranker.model
        if isinstance(ranker, Mapping) and ranker.get("model", mine) != mine:
            base["ranker"] = {}
        return Settings.from_dict(_over(base, values))

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``from_dict`` takes."""
        return self.model_dump(mode="json")


def _read(file: Path, overrides: Sequence[str]) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"Cannot read the settings file {file}: {error.strerror}. Give the path of a TOML file."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}.") from None
    return _resolve_paths(_overridden(values, overrides), file.parent)


def _over(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Tables side by side, values in the place of values; what was there first keeps its place."""
    merged = dict(base)
    for key, value in values.items():
        below = base.get(key)
        merged[key] = _over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _overridden(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    for override in overrides:
        _apply_override(values, override)
    return values


def _with_known_dataset(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put what is known of ``data.dataset`` beneath the given settings: columns and split one by one, features side by side."""
    data, features, split = values.get("data"), values.get("features", {}), values.get("split", {})
    if not isinstance(data, Mapping) or not isinstance(data.get("dataset"), str):
        return values
    known, columns = known_dataset(data["dataset"]).settings, data.get("columns", {})
    if not all(isinstance(table, Mapping) for table in (columns, features, split)):
        return values
    data = {**data, "columns": {**known.get("data", {}).get("columns", {}), **columns}}
    features = {**known.get("features", {}), **features}
    return {**values, "data": data, "features": features, "split": {**known.get("split", {}), **split}}


def _with_transformer(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put a transformer's defaults beneath the given settings: it is trained otherwise than a mean of the history."""
    retriever, training = values.get("retriever"), values.get("training", {})
    if (
        not isinstance(retriever, Mapping)
        or retriever.get("history") != "transformer"
        or not isinstance(training, Mapping)
    ):
        return values
    tied = {"tied": True} if retriever["model"] == "softmax_dnn" else {}
    retriever = {**TRANSFORMER_NETWORK, **tied, **retriever}
    return {**values, "retriever": retriever, "training": {**TRANSFORMER_TRAINING, **training}}


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise SettingsError(f"--set takes section.key=value, got {override!r}; for example --set training.epochs=5.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, name = key.strip().split(".")
    table = values
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise SettingsError(f"--set {override}: {section!r} is a value, not a table of settings.")
    table[name] = value


def _resolve_paths(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    for section, keys in (
        ("data", ("interactions", "users", "items")),
        ("split", ("train", "valid", "test", "negatives")),
    ):
        table = values.get(section)
        if not isinstance(table, dict):
            continue
        for key in keys:
            if isinstance(table.get(key), str):
                table[key] = str((folder / Path(table[key]).expanduser()).resolve())
    return values


def _explain(error: ValidationError, values: Mapping[str, Any]) -> str:
    lines = []
    for problem in error.errors():
        location = _location(problem["loc"])
        key = ".".join(location)
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown setting {key!r}; {did_you_mean(location[-1], _allowed(location[:-1], values))}")
        elif problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
            tag = _UNIONS[location[0]][1]
            given = repr(problem["ctx"]["tag"]) + " is not available" if "tag" in problem["ctx"] else "is missing"
            lines.append(f"{key}.{tag}: {given}; allowed: {', '.join(sorted(_members(location[0])))}")
        elif not location:  # of the settings as a whole, which nobody wants to read again
            lines.append(problem["msg"].removeprefix("Value error, "))
        else:
            lines.append(f"{key}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}")
    return "Settings: " + "; ".join(lines) + ". `shortlist train --help-settings` documents every setting."


def _location(loc: Sequence[str | int]) -> list[str]:
    """The path of a setting as it is written; pydantic puts the chosen union member's tag into it: retriever.mf.epochs."""
    path = [str(part) for part in loc]
    if path and path[0] in _UNIONS:
        place, known = _UNIONS[path[0]][0], _members(path[0])
        path = [part for i, part in enumerate(path) if not (i == place and part in known)]
    return path


_UNIONS: Mapping[str, tuple[int, str, Any]] = {  # place of the tag in pydantic's path, its name, the classes
    "retriever": (1, "model", RetrieverSettings),
    "ranker": (1, "model", RankerSettings),
    "rerank": (2, "step", RerankSettings),
}


def _members(section: str) -> dict[str, Any]:
    """The classes of a section by their tags; some have several."""
    _, tag, union = _UNIONS[section]
    return {str(name): one for one in get_args(union) for name in get_args(one.model_fields[tag].annotation)}


def _allowed(location: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    table: Any = Settings
    for i, part in enumerate(location):
        if i == 0 and part == "rerank":
            return list(_members(part)[values["rerank"][int(location[1])]["step"]].model_fields)
        if i == 0 and part in _UNIONS:
            table = _members(part)[values[part]["model"]]
        elif table is FeaturesSettings and part in FeaturesSettings.model_fields:
            return list(FeatureSettings.model_fields) if len(location) > i + 1 else []
        elif part.isdigit():  # one of several tables of a kind
            table = get_args(table)[0]
        else:
            annotation = table.model_fields[part].annotation
            table = get_args(annotation)[0] if type(None) in get_args(annotation) else annotation
    return list(table.model_fields)
