"""``[data]``, ``[features]`` and ``[split]``: what is read, what it means, and which part of it is the test."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from shortlist.settings.table import Fraction, Positive, Table

Kind = Literal["number", "category", "tags", "vector", "text", "id"]
Computed = Literal["hour", "weekday", "since_last", "history_count"]


class ColumnSettings(Table):
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
    available_from: str | None = Field(
        None,
        description="column of the item table: a time, read like timestamp, before which the item is not recommended; "
        "where it is empty, and by default: none",
    )
    available_until: str | None = Field(
        None, description="column of the item table: a time from which on the item is no longer recommended, likewise"
    )


class FeedbackSettings(Table):
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


class DataSettings(Table):
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
    memory_limit: str = Field("512MB", description="most memory table preparation may use before it spills to disk")


class FeatureSettings(Table):
    """One feature of a user, an item or the moment of the request."""

    kind: Literal[Kind, Computed] = Field(
        description="number; category; tags (several at once); vector (given numbers, such as a text model's embedding); "
        "text (its words and pairs of words, hashed). Of a user, and without a column: id, a free vector for everyone seen in "
        "training, which is added to the query's; who comes later has none (items have item_ids). Of context, computed and "
        "without a column: hour of the day and weekday of the request (UTC); since_last, the log of the time since the last item "
        "of the history (missing where that has no time or there is none); history_count, the log of how many items it has. A "
        "window of targets has its first one's time: retriever.target_window = 1 suits these best"
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

    @property
    def computed(self) -> Computed | None:
        """What is computed from the moment of the request; None: it stands in a column."""
        return self.kind if self.kind not in get_args(Kind) else None  # type: ignore[return-value]

    @model_validator(mode="after")
    def _column_of_what_is_computed(self) -> Self:
        if (self.computed or self.kind == "id") and self.column:
            what = "the user's own id" if self.kind == "id" else "computed from the moment of the request"
            raise ValueError(
                f'kind = "{self.kind}" is {what} and stands in no column; leave column = "{self.column}" out, or '
                'take kind = "category" or "number" for what stands there'
            )
        return self


class FeaturesSettings(Table):
    """Features by side: ``[features.user.age]``, ``[features.item.genres]``, ``[features.context.hour]``."""

    user: dict[str, FeatureSettings] = Field(default_factory=dict)
    item: dict[str, FeatureSettings] = Field(default_factory=dict)
    context: dict[str, FeatureSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _on_its_side(self) -> Self:
        for side in ("item", "context"):
            for name, one in getattr(self, side).items():
                if one.kind == "id":
                    raise ValueError(
                        f'{side}.{name}: kind = "id" is of users: set it under [features.user.{name}]; items have free vectors '
                        "by themselves (two_tower: item_ids)"
                    )
        for side in ("user", "item"):
            for name, one in getattr(self, side).items():
                if one.computed:
                    raise ValueError(
                        f'{side}.{name}: kind = "{one.kind}" is known at the moment of the request alone; set it under '
                        f"[features.context.{name}]"
                    )
        return self


class SplitSettings(Table):
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
    history: Literal["strictly_before", "in_order"] = Field(
        "strictly_before",
        description="last_out, by_user, and what is learned from: whether what shares a target's moment and stands before it is "
        "history. Live, a page of ratings stored in one second is not known before it; published figures mostly count it",
    )
    valid_fraction: Fraction = Field(
        0.1, description="share for validation (by_time and random: of rows, by_user: of users)"
    )
    valid_queries: Positive = Field(
        50_000,
        description="most queries for validation: of more people so many are drawn, for each epoch asks all of them",
    )
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="share for the test, likewise")
    query_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.8, description="by_user: share of a held-out user's history that is the question"
    )
    query_part: Literal["first", "random"] = Field(
        "first",
        description="by_user: whether the question is the first part of that history, or a random one (Liang et al. 2018), which "
        "holds what happened after targets",
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
    validation: Literal["random", "latest", "last_out"] = Field(
        "random",
        description="files: how validation is cut from train: a random share, the latest share of every user's rows, or each "
        "user's last positive. Take what the test is: a random share of the past tells little about what comes next",
    )
    later_history: Literal["refuse", "allow"] = Field(
        "refuse", description="files: whether a user's history may hold what happened after the user's targets"
    )
