"""``[index]``, ``[training]`` and ``[evaluation]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from shortlist.settings.table import Fraction, OneOf, Positive, Range, Table


class IndexSettings(Table):
    """How the nearest items are found."""

    kind: Literal["exact", "ann"] = Field(
        "exact",
        description="exact: the answer of scoring every item; ann: the most promising clusters of items (docs/search.md)",
    )
    recall: Annotated[float, Field(gt=0, le=1)] = Field(
        0.99,
        description="ann: tuned until recall@k and recall@10 against exact search, on validation queries, reach this",
    )
    k: Positive = Field(100, description="ann: length of the lists whose recall is measured")
    only_if_faster: bool = Field(
        True, description="ann: keep exact search, with a note, where it answers single queries faster"
    )


BATCH_SIZE = 256
"""Queries a step, where nothing is said and the corpus is not large."""


class TrainingSettings(Table):
    """How a network is trained."""

    epochs: Positive = Field(60, description="at most this many passes over the training positives")
    batch_size: Annotated[Positive | None, OneOf((128, 256, 512, 1024))] = Field(
        None,
        description="queries a step; with a transformer, positions of sequences. Default: 256; 1,024 where there are more than "
        "20,000 items, whose vectors take longer to update than to learn",
    )
    epoch_steps: Positive | None = Field(
        2000,
        description="most steps of an epoch: of a longer log each epoch draws so many anew, and validation comes after them",
    )
    learning_rate: Annotated[float, Field(gt=0), Range(0.0005, 0.02, log=True)] = Field(
        0.003, description="AdamW's step size"
    )
    weight_decay: Annotated[float, Field(ge=0), Range(0, 0.3)] = Field(
        0.0, description="AdamW's decoupled weight decay, of matrices and not of biases"
    )
    schedule: Literal["constant", "cosine"] = Field(
        "constant",
        description="the learning rate stays, or falls from epoch to epoch along half a cosine that ends with the last one",
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        0, description="steps over which the learning rate rises to its value"
    )
    beta2: Fraction = Field(0.999, description="AdamW's memory of the squared gradients")
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


TRANSFORMER_TRAINING: Mapping[str, Any] = {
    "batch_size": 2048,
    "learning_rate": 0.002,
    "warmup_steps": 200,
    "beta2": 0.98,
    "weight_decay": 0.01,
    "average": 0.997,
}
"""Defaults of ``[training]`` where history = "transformer": selected on validation of MovieLens 1M (docs/LOG.md)."""


class EvaluationSettings(Table):
    """What is measured."""

    k: tuple[Positive, ...] = Field((10, 20, 100), description="list lengths at which metrics are reported")
    baselines: tuple[Literal["popularity", "recent_popularity", "item_knn", "sequential_rules", "ease", "mf"], ...] = (
        Field(
            ("popularity", "recent_popularity", "item_knn", "sequential_rules", "ease", "mf"),
            description="rows that stand beside the model",
        )
    )
    baseline_trials: Positive = Field(8, description="most settings of each baseline tried on validation for its row")
    baseline_minutes: Annotated[float, Field(gt=0)] = Field(
        10.0, description="no further setting of a baseline is tried after this long; its row says how many were"
    )
    baseline_max_items: Positive = Field(
        20_000,
        description="ease and item_knn keep a matrix of items by items: with a larger corpus they are left out, with a note",
    )
    select_on: Literal["ndcg@10", "ndcg@100", "recall@20"] = Field(
        "ndcg@10", description="validation figure that selects epochs and settings"
    )
