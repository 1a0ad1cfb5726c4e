"""``[retriever]``: one class a model; the deep ones are in ``networks``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shortlist.settings.networks import SoftmaxDNNSettings, TwoTowerSettings
from shortlist.settings.table import OneOf, Positive, Range, Table


class PopularitySettings(Table):
    """Everyone gets what most people took."""

    model: Literal["popularity"] = "popularity"


class RecentPopularitySettings(Table):
    """What most people took lately: an interaction's weight halves with its age."""

    model: Literal["recent_popularity"] = "recent_popularity"
    half_life_days: Annotated[float, Field(gt=0), Range(0.05, 2000, log=True)] = Field(
        30.0, description="days before the end of the training data after which an interaction counts half"
    )


class ItemKNNSettings(Table):
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
    user_exponent: Annotated[float, Field(ge=0), Range(0, 1.5)] = Field(
        0.0,
        description="a common user counts (number of items they took)^(-this): 0 all alike, 1 who took little says more",
    )


class SequentialRulesSettings(Table):
    """What follows what, by counts; asked by the last item alone (Kamehkhosh, Jannach, Ludewig 2017)."""

    model: Literal["sequential_rules"] = "sequential_rules"
    steps: Annotated[Positive, Range(1, 30, log=True)] = Field(
        10, description="an item counts as a follower of those up to so many places before it, 1 / distance each"
    )
    neighbours: Annotated[int, Field(gt=0), Range(20, 1000, log=True)] = Field(
        200, description="most frequent followers kept for each item"
    )


class EASESettings(Table):
    """Embarrassingly shallow autoencoder: the closed-form item-item regression (Steck 2019)."""

    model: Literal["ease"] = "ease"
    regularization: Annotated[float, Field(gt=0), Range(5, 5000, log=True)] = Field(
        300.0, description="λ added to the diagonal of the Gram matrix"
    )


class MFSettings(Table):
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
    recency: Annotated[float, Field(ge=0, le=20), Range(0, 8)] = Field(
        0.0,
        description="weight of an observed pair: e to the power of this times the share of the person's positives that came "
        "before it, with a mean of 1 a person; with 2 the last weighs seven times the first; 0: all alike",
    )
    init_scale: Annotated[float, Field(gt=0)] = Field(
        0.1, description="σ of the starting vectors, divided by √embedding_dim"
    )


BaselineSettings = (
    PopularitySettings
    | RecentPopularitySettings
    | ItemKNNSettings
    | SequentialRulesSettings
    | EASESettings
    | MFSettings
)
RetrieverSettings = BaselineSettings | SoftmaxDNNSettings | TwoTowerSettings


CANDIDATES = 200  # what retrieval gives to a ranker or re-rankers, where nothing else is said


class SourceSettings(Table):
    """``[[source]]``: candidates that come from elsewhere than the retriever."""

    model: Literal[
        "popularity", "recent_popularity", "item_knn", "sequential_rules", "ease", "mf", "similar_to_last"
    ] = Field(description="one of [evaluation] baselines, as it was selected there; or items like the one liked last")
    quota: Positive = Field(20, description="candidates it gives, of the 200 there are; the retriever gives the rest")
