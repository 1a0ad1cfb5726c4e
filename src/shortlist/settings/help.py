"""What ``shortlist train --help-settings`` prints: every setting with its default and meaning, read from the classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel

from shortlist.settings import (
    BoostedTreesSettings,
    ColumnSettings,
    DataSettings,
    DeepCrossSettings,
    EvaluationSettings,
    EventSettings,
    FeatureSettings,
    FeedbackSettings,
    IndexSettings,
    LogisticMFSettings,
    NCFSettings,
    OneOf,
    Range,
    RankerTargets,
    RerankSettings,
    RetrieverSettings,
    SourceSettings,
    SplitSettings,
    TrainingSettings,
)


def documentation() -> Iterator[tuple[str, str, str, str]]:
    """Yield (section, key, default, meaning) of every setting, in order."""
    sections: list[tuple[str, type[BaseModel]]] = [
        ("data", DataSettings),
        ("data.columns", ColumnSettings),
        ("data.feedback", FeedbackSettings),
        ("features.SIDE.NAME", FeatureSettings),
        ("split", SplitSettings),
        *((f'retriever (model = "{m.model_fields["model"].default}")', m) for m in get_args(RetrieverSettings)),
        ("[source]", SourceSettings),
        ('ranker (model = "gmf" | "mlp" | "neumf")', NCFSettings),
        ('ranker (model = "logistic_mf")', LogisticMFSettings),
        ('ranker (model = "deep_cross")', DeepCrossSettings),
        ("ranker.targets (of deep_cross)", RankerTargets),
        ('ranker (model = "boosted_trees")', BoostedTreesSettings),
        ("index", IndexSettings),
        *((f'rerank (step = "{m.model_fields["step"].default}"', m) for m in get_args(RerankSettings)),
        ("training", TrainingSettings),
        ("evaluation", EvaluationSettings),
        ("events", EventSettings),
    ]
    yield "", "seed", "0", "one seed for the split, the starting weights and the order of the batches"
    for section, table in sections:
        for key, field in table.model_fields.items():
            if (key in ("model", "step") and not field.is_required()) or (
                isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
            ):
                continue
            default = "required" if field.is_required() else json.dumps(field.default)
            kind = field.annotation
            choices = [repr(c) for c in get_args(kind)] if "Literal" in str(kind) and "float" not in str(kind) else []
            extra = f" ({' | '.join(choices)})" if choices and all("'" in c for c in choices) else ""
            tuned = "".join(f"; tuned over {one}" for one in field.metadata if isinstance(one, (Range, OneOf)))
            yield section, key, default, (field.description or "") + extra + tuned
