"""All settings: typed, frozen, documented field by field; read from TOML.

Unknown keys and wrong types are errors that name the key, what is allowed, and the nearest valid name.
``Settings`` → ``to_dict`` → ``Settings`` is the identity.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shortlist.data.sources import known_dataset
from shortlist.errors import SettingsError, did_you_mean

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Range:
    """Where ``shortlist tune`` looks for a setting: from ``low`` to ``high``, evenly or (``log``) by ratio."""

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{' by ratio' if self.log else ''}"


@dataclass(frozen=True)
class OneOf:
    """Likewise, among a few values."""

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return " or ".join(json.dumps(value) for value in self.values)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ColumnSettings(_Table):
    """Which column of the interactions (and of the feature tables) plays which part."""

    user_id: str = Field("user_id", description="column with the user's id, in interactions and users")
    item_id: str = Field("item_id", description="column with the item's id, in interactions and items")
    timestamp: str | None = Field(
        None,
        description="when it happened: seconds, milliseconds or ISO 8601; without it the order of the rows counts",
    )
    value: str | None = Field(
        None, description="a number such as a rating or a share watched; conditions call it 'value'"
    )
    title: str | None = Field(None, description="column of the item table that people read")


class FeedbackSettings(_Table):
    """What an interaction means."""

    liked: str | None = Field(
        None,
        description="condition that makes an interaction a positive (a target to predict); default: every interaction",
    )
    disliked: str | None = Field(
        None,
        description="condition that makes it a dislike: it then enters the history as a dislike and the item is never "
        "recommended again to this user; default: none",
    )


class DataSettings(_Table):
    """Where the tables are and how to read them."""

    dataset: str | None = Field(None, description="a data set Shortlist knows (`shortlist data list`) instead of files")
    interactions: str | None = Field(None, description="file with one row an interaction: CSV, TSV, Parquet; .gz too")
    users: str | None = Field(None, description="file with one row a user: its features")
    items: str | None = Field(None, description="file with one row an item: its title and features")
    columns: ColumnSettings = ColumnSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    repeats: Literal["first", "last", "all"] = Field(
        "first", description="which of several interactions of one user with one item to keep"
    )
    missing: Literal["error", "drop"] = Field(
        "error",
        description="a row without user, item, timestamp or (where a condition needs it) value: stop or drop it",
    )
    memory_limit: str = Field("1GB", description="most memory table preparation may use before it spills to disk")


class FeatureSettings(_Table):
    """One feature of a user, an item or the moment of the request."""

    kind: Literal["number", "category", "tags", "vector", "text"] = Field(
        description="number; category; tags (several at once); vector (given numbers, such as a text model's embedding); "
        "text (its words and pairs of words, hashed)"
    )
    column: str | None = Field(None, description="column it stands in; default: the feature's name")
    separator: str = Field("|", description="what stands between tags, or a vector's numbers, where the column is text")
    max_values: Positive = Field(10_000, description="keep this many of the most frequent values; the rest is 'unseen'")
    buckets: Annotated[int, Field(ge=0)] = Field(
        0,
        description="category, tags, text: hash values to so many codes instead of keeping a vocabulary: new values have a "
        "code at once, and some share one; text is always hashed (0: to max_values)",
    )
    transform: Literal["standard", "log", "quantile"] = Field(
        "standard",
        description="number, before it is standardised: as it is; sign · log(1 + |x|), for counts and prices; or its place "
        "among the training values, for anything skewed",
    )


class FeaturesSettings(_Table):
    """Features by side: ``[features.user.age]``, ``[features.item.genres]``, ``[features.context.hour]``."""

    user: dict[str, FeatureSettings] = {}
    item: dict[str, FeatureSettings] = {}
    context: dict[str, FeatureSettings] = {}


class SplitSettings(_Table):
    """Which interactions are learned from, which are selected on, which are the test."""

    method: Literal["last_out", "by_time", "by_user", "random", "files"] = Field(
        "last_out",
        description="last_out: each user's last positive is the test, the one before is for validation; by_time: one cut "
        "on the global clock; by_user: held-out users are asked with part of their own history; random: shares of all "
        "rows; files: the parts are given",
    )
    seen: Literal["remove", "keep"] = Field(
        "remove", description="whether what a user already has leaves the candidates"
    )
    valid_fraction: Fraction = Field(
        0.1, description="share for validation (by_time and random: of rows, by_user: of users)"
    )
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="share for the test, likewise")
    query_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.8, description="by_user: share of a held-out user's history that is the question"
    )
    stratify: Literal["none", "user"] = Field(
        "none",
        description="random: shares of all rows, or of every user's rows (the same for validation cut from files)",
    )
    train: str | None = Field(None, description="files: interactions to learn from")
    valid: str | None = Field(None, description="files: interactions for validation; default: cut from train")
    test: str | None = Field(None, description="files: interactions of the test")
    negatives: str | None = Field(
        None,
        description="files: items given to be ranked with each user's targets (columns user and item); adds sampled "
        "figures beside the full-corpus ones, and a warning: sampled metrics do not keep the order of models",
    )
    validation: Literal["random", "last_out"] = Field(
        "random", description="files: how validation is cut from train: a random share, or each user's last positive"
    )
    later_history: Literal["refuse", "allow"] = Field(
        "refuse", description="files: whether a user's history may hold what happened after the user's targets"
    )


class PopularitySettings(_Table):
    """Everyone gets what most people took."""

    model: Literal["popularity"] = "popularity"


class RecentPopularitySettings(_Table):
    """What most people took lately: an interaction's weight halves with its age."""

    model: Literal["recent_popularity"] = "recent_popularity"
    half_life_days: Annotated[float, Field(gt=0), Range(0.05, 2000, log=True)] = Field(
        30.0, description="days before the end of the training data after which an interaction counts half"
    )


class ItemKNNSettings(_Table):
    """Items like those of the history, by cosine of their sets of users (Sarwar et al. 2001)."""

    model: Literal["item_knn"] = "item_knn"
    neighbours: Annotated[int, Field(gt=0), Range(5, 1000, log=True)] = Field(
        100, description="most similar items kept for each item"
    )
    shrinkage: Annotated[float, Field(ge=0), Range(0, 200)] = Field(
        10.0, description="added to the similarity's denominator, so that a few common users do not make a neighbour"
    )
    exponent: Annotated[float, Field(ge=0, le=1), Range(0.2, 0.8)] = Field(
        0.5, description="of both items' counts in the denominator: 0.5 is the cosine, less favours the popular"
    )


class EASESettings(_Table):
    """Embarrassingly shallow autoencoder: the closed-form item-item regression (Steck 2019)."""

    model: Literal["ease"] = "ease"
    regularization: Annotated[float, Field(gt=0), Range(5, 5000, log=True)] = Field(
        300.0, description="λ added to the diagonal of the Gram matrix"
    )


class MFSettings(_Table):
    """Matrix factorization by implicit alternating least squares (Rendle et al. 2022)."""

    model: Literal["mf"] = "mf"
    embedding_dim: Annotated[Positive, OneOf((32, 64, 128, 256))] = Field(
        64, description="length of the user and item vectors"
    )
    iterations: Annotated[Positive, Range(4, 24)] = Field(16, description="alternations: all users, then all items")
    regularization: Annotated[float, Field(gt=0), Range(0.0003, 0.03, log=True)] = Field(
        0.003, description="λ; scaled by each row's frequency"
    )
    regularization_exponent: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="ν: λ_u = λ (|I_u| + α0 |I|)^ν; 1 is frequency-scaled, 0 the same for everyone"
    )
    unobserved_weight: Annotated[float, Field(gt=0), Range(0.01, 3, log=True)] = Field(
        0.1, description="α0: weight of a pair nobody observed"
    )
    init_scale: Annotated[float, Field(gt=0)] = Field(
        0.1, description="σ of the starting vectors, divided by √embedding_dim"
    )


class SoftmaxDNNSettings(_Table):
    """Softmax deep neural network over history and features (Covington et al. 2016)."""

    model: Literal["softmax_dnn"] = "softmax_dnn"
    embedding_dim: Annotated[Positive, OneOf((32, 64, 128))] = Field(
        64, description="length of the query and item vectors"
    )
    hidden_dims: Annotated[tuple[Positive, ...], OneOf(((64,), (128,), (256,), (256, 128)))] = Field(
        (128,), description="widths of the hidden ReLU layers, first to last"
    )
    history: Literal["none", "mean"] = Field("mean", description="how the history becomes a vector")
    history_windows: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        (100, 10, 1),
        description="the network sees one history vector each over this many of the most recent items",
    )
    item_features: bool = Field(
        True, description="item vectors are the sum of a free vector and a projection of the item's features"
    )
    target_window: Annotated[Positive, OneOf((1, 3, 5, 10, 20))] = Field(
        5, description="how many of the next items make one normalised multi-hot target"
    )
    loss: Literal["full_softmax"] = Field("full_softmax", description="cross-entropy over the whole corpus")
    similarity: Literal["dot"] = Field("dot", description="how query and item vectors are compared")
    popularity_debiasing: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="share of each item's learned bias, which is mostly its popularity, that is left out of scores"
    )
    dropout: Annotated[Fraction, Range(0, 0.6)] = Field(0.3, description="share of hidden units dropped while training")
    history_dropout: Annotated[Fraction, Range(0, 0.7)] = Field(
        0.5, description="share of history items dropped while training"
    )


BaselineSettings = PopularitySettings | RecentPopularitySettings | ItemKNNSettings | EASESettings | MFSettings
RetrieverSettings = BaselineSettings | SoftmaxDNNSettings


class IndexSettings(_Table):
    """How the nearest items are found."""

    kind: Literal["exact"] = Field("exact", description="exact: every item is scored")


class TrainingSettings(_Table):
    """How a network is trained."""

    epochs: Positive = Field(60, description="at most this many passes over the training positives")
    batch_size: Annotated[Positive, OneOf((128, 256, 512, 1024))] = Field(256, description="queries a step")
    learning_rate: Annotated[float, Field(gt=0), Range(0.0005, 0.02, log=True)] = Field(
        0.003, description="AdamW's step size"
    )
    weight_decay: Annotated[float, Field(ge=0), Range(0, 0.3)] = Field(
        0.0, description="AdamW's decoupled weight decay"
    )
    average: Fraction = Field(
        0.99,
        description="decay of the moving average of the weights, which is what is validated and kept; 0: none",
    )
    patience: Positive = Field(10, description="stop after this many epochs without a better validation figure")
    refit: bool = Field(
        True,
        description="after selection fit anew on training and validation part, for the selected number of epochs",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where the network is trained")


class EvaluationSettings(_Table):
    """What is measured."""

    k: tuple[Positive, ...] = Field((10, 20, 100), description="list lengths at which metrics are reported")
    baselines: tuple[Literal["popularity", "recent_popularity", "item_knn", "ease", "mf"], ...] = Field(
        ("popularity", "recent_popularity", "item_knn", "ease", "mf"), description="rows that stand beside the model"
    )
    baseline_trials: Positive = Field(8, description="most settings of each baseline tried on validation for its row")
    baseline_minutes: Annotated[float, Field(gt=0)] = Field(
        10.0, description="no further setting of a baseline is tried after this long; its row says how many were"
    )
    baseline_max_items: Positive = Field(
        20_000,
        description="ease and item_knn keep a matrix of items by items: with a larger corpus they are left out, with a note",
    )
    select_on: Literal["ndcg@10", "recall@20"] = Field(
        "ndcg@10", description="validation figure that selects epochs and settings"
    )


class Settings(_Table):
    """A whole run, as in the TOML file.

    >>> Settings.from_dict({"data": {"dataset": "ml-latest-small"}}).retriever.model
    'softmax_dnn'
    """

    seed: Annotated[int, Field(ge=0)] = 0
    data: DataSettings = DataSettings()
    features: FeaturesSettings = FeaturesSettings()
    split: SplitSettings = SplitSettings()
    retriever: RetrieverSettings = Field(SoftmaxDNNSettings(), discriminator="model")
    index: IndexSettings = IndexSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

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
        file = Path(path)
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(
                f"Cannot read the settings file {file}: {error.strerror}. Give the path of a TOML file."
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} is not valid TOML: {error}.") from None
        for override in overrides:
            _apply_override(values, override)
        return cls.from_dict(_resolve_paths(values, file.parent))

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``from_dict`` takes."""
        return self.model_dump(mode="json")


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
        # pydantic puts the chosen union member's tag into the path: retriever.softmax_dnn.epochs
        tags = {get_args(m.model_fields["model"].annotation)[0] for m in get_args(RetrieverSettings)}
        location = [str(part) for i, part in enumerate(problem["loc"]) if not (i == 1 and part in tags)]
        key = ".".join(location)
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown setting {key!r}; {did_you_mean(location[-1], _allowed(location[:-1], values))}")
        elif problem["type"] == "union_tag_invalid":
            lines.append(f"{key}.model: {problem['ctx']['tag']!r} is not available; allowed: {', '.join(sorted(tags))}")
        else:
            lines.append(f"{key}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}")
    return "Settings: " + "; ".join(lines) + ". `shortlist train --help-settings` documents every setting."


def _allowed(location: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    table: Any = Settings
    for i, part in enumerate(location):
        if i == 0 and part == "retriever":
            name = values.get("retriever", {}).get("model", "softmax_dnn")
            table = next(
                m for m in get_args(RetrieverSettings) if get_args(m.model_fields["model"].annotation)[0] == name
            )
        elif table is FeaturesSettings and part in FeaturesSettings.model_fields:
            return list(FeatureSettings.model_fields) if len(location) > i + 1 else []
        else:
            table = table.model_fields[part].annotation
    return list(table.model_fields)
