"""``[ranker]``: one class a model that orders what the retriever found."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shortlist.settings.table import Fraction, OneOf, Positive, Range, Table


class NCFSettings(Table):
    """Neural collaborative filtering (He et al. 2017): users and items by their ids, compared by a network."""

    model: Literal["gmf", "mlp", "neumf"] = "neumf"
    candidates: Positive = Field(200, description="so many of the retriever's best are ranked anew")
    embedding_dim: Annotated[Positive, OneOf((8, 16, 32, 64))] = Field(
        64, description="width of gmf's vectors and of the tower's last layer"
    )
    tower_layers: Annotated[Positive, OneOf((1, 2, 3))] = Field(
        2, description="mlp, neumf: layers of the tower, each half as wide as the one before"
    )
    num_negatives: Annotated[Positive, Range(1, 8)] = Field(
        8, description="items the user has not, drawn anew each epoch beside every positive"
    )
    pretrained: bool = Field(
        False, description="neumf: gmf and mlp are trained alone first, then joined and trained on with plain SGD"
    )
    alpha: Annotated[float, Field(gt=0, lt=1)] = Field(0.5, description="pretrained: share of gmf in what is joined")
    epochs: Positive = Field(10, description="at most this many passes over the positives")
    batch_size: Positive | None = Field(
        None, description="positives a step; default: a 240th of an epoch, from 64 to 4,096"
    )
    learning_rate: Annotated[float, Field(gt=0), Range(0.0005, 0.02, log=True)] = Field(
        0.01, description="AdamW's step size"
    )
    sgd_learning_rate: Annotated[float, Field(gt=0)] = Field(1.0, description="pretrained: step size of the plain SGD")
    regularization: Annotated[float, Field(ge=0), Range(0.0001, 0.1, log=True)] = Field(
        0.035, description="λ: a sample costs λ / 2 times the squared lengths of its vectors more"
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="the learning rate stays, or falls from epoch to epoch along half a cosine"
    )
    weight_decay: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="AdamW's decoupled decay, of the tower's and the last layer's weights; default: 0.1, and 0 for gmf",
    )
    average: Fraction = Field(
        0.99, description="decay of the moving average of the weights, which is what is kept; 0: none"
    )
    patience: Positive = Field(5, description="stop after this many epochs without a better validation figure")

    @model_validator(mode="after")
    def _has_halves(self) -> Self:
        if self.pretrained and self.model != "neumf":
            raise ValueError(
                f'pretrained = true joins gmf and mlp, and model = "{self.model}" is one of them; set "neumf"'
            )
        return self


class LogisticMFSettings(Table):
    """Matrix factorization by logistic loss and plain SGD (Rendle et al. 2020): users and items by their ids."""

    model: Literal["logistic_mf"] = "logistic_mf"
    candidates: Positive = Field(200, description="so many of the retriever's best are ranked anew")
    embedding_dim: Annotated[Positive, OneOf((32, 64, 128, 192))] = Field(64, description="width of the vectors")
    num_negatives: Annotated[Positive, Range(1, 8)] = Field(
        8, description="items drawn anew each epoch beside every positive"
    )
    negatives: Literal["uniform", "unobserved"] = Field(
        "uniform",
        description="what they are drawn from: all items alike, now and then one the user has taken, as published; or only those "
        "the user has not taken",
    )
    epochs: Positive = Field(64, description="at most this many passes over the positives")
    learning_rate: Annotated[float, Field(gt=0), Range(0.001, 0.05, log=True)] = Field(
        0.004, description="step size; every sample takes a step of its own"
    )
    regularization: Annotated[float, Field(ge=0), Range(0.0005, 0.05, log=True)] = Field(
        0.005, description="λ: a sample costs λ / 2 times the squared lengths of its vectors more"
    )
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="the learning rate stays, or falls from epoch to epoch along half a cosine"
    )
    init_scale: Annotated[float, Field(gt=0)] = Field(0.1, description="σ of the starting vectors")
    patience: Positive = Field(10, description="stop after this many epochs without a better validation figure")


class RankerTargets(Table):
    """Exponents of what a feature ranker foretells: score = p(liked)^liked · (1 − p(disliked))^disliked · value^value."""

    liked: Annotated[float, Field(gt=0)] = Field(1.0, description="exponent of the probability of a positive")
    disliked: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="of the probability that what is taken is not disliked; none: it is not foretold, 0: not in the score",
    )
    value: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="likewise of the value (a rating, the share watched) of what is taken, on its way from 1 % to 99 %",
    )


class FeatureRankerSettings(Table):
    """What the rankers have in common that learn from the candidates a retriever really returned."""

    candidates: Positive = Field(200, description="so many of the retriever's best are ranked anew")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2,
        description="newest part of the training log (by_time: on the clock, else of each user's positives) that the ranker "
        "learns from; what finds its candidates is fitted on the older rest",
    )
    folds: Positive = Field(
        1,
        description="so many cuts, each behind the last and with a newer part as large: the ranker learns from several periods; "
        "each needs a retriever of its own",
    )
    target_window: Positive = Field(5, description="the next so many positives are the targets of one query")
    newcomers: Fraction = Field(
        0.1,
        description="share of those queries asked with the last few items of their history alone, or none: the newest part of a "
        "log has too few people who have just come",
    )
    max_queries: Positive = Field(30_000, description="at most so many queries to learn from, drawn at random")
    num_negatives: Positive = Field(
        30, description="candidates a query learns from in a step beside those it took, drawn anew each time"
    )
    max_valid: Positive = Field(
        3_000, description="at most so many validation queries select and calibrate, drawn at random"
    )
    max_history: Positive = Field(50, description="most recent liked items that candidates are compared with")


class DeepCrossSettings(FeatureRankerSettings):
    """Deep & cross network (Wang et al. 2021) with the candidate's attention over the history (Zhou et al. 2018)."""

    model: Literal["deep_cross"] = "deep_cross"
    targets: RankerTargets = Field(RankerTargets(), description="what is foretold, and how the score is made of it")
    embedding_dim: Annotated[Positive, OneOf((8, 16, 32))] = Field(16, description="length of the item vectors")
    feature_dim: Positive = Field(8, description="length of the vector of a query's category or tag")
    cross_layers: Annotated[int, Field(ge=0), Range(1, 3)] = Field(
        2, description="x_{l+1} = x_0 ∘ (U Vᵀ x_l + b) + x_l"
    )
    cross_rank: Positive = Field(16, description="columns of U and V")
    hidden_dims: Annotated[tuple[Positive, ...], OneOf(((32,), (64, 32), (128, 64)))] = Field(
        (64, 32), description="widths of the ReLU layers beside the cross layers"
    )
    item_ids: bool = Field(True, description="whether an item has a free vector beside those of its features")
    loss: Annotated[Literal["softmax", "logistic"], OneOf(("softmax", "logistic"))] = Field(
        "softmax", description="of liked: over the candidates of a query together, or each by itself"
    )
    dropout: Annotated[Fraction, Range(0, 0.4)] = Field(0.1, description="share of hidden units dropped while training")
    epochs: Positive = Field(10, description="at most this many passes over the queries")
    batch_size: Positive = Field(128, description="queries a step")
    learning_rate: Annotated[float, Field(gt=0), Range(0.0003, 0.01, log=True)] = Field(
        0.002, description="AdamW's step size"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.01, description="AdamW's decoupled weight decay")
    average: Fraction = Field(
        0.99, description="decay of the moving average of the weights, which is what is kept; 0: none"
    )
    patience: Positive = Field(2, description="stop after this many epochs without a better validation figure")


class BoostedTreesSettings(FeatureRankerSettings):
    """Gradient-boosted trees (LightGBM; Ke et al. 2017) over features made by hand; needs ``pip install shortlist[trees]``."""

    model: Literal["boosted_trees"] = "boosted_trees"
    objective: Annotated[Literal["lambdarank", "binary"], OneOf(("lambdarank", "binary"))] = Field(
        "lambdarank", description="gradients of ndcg (Burges 2010), or logistic loss"
    )
    trees: Positive = Field(300, description="at most this many")
    leaves: Annotated[Positive, OneOf((7, 15, 31, 63))] = Field(15, description="of a tree")
    min_leaf: Annotated[Positive, Range(20, 1000, log=True)] = Field(200, description="least candidates in a leaf")
    learning_rate: Annotated[float, Field(gt=0), Range(0.02, 0.3, log=True)] = Field(
        0.05, description="weight of a tree"
    )
    regularization: Annotated[float, Field(ge=0)] = Field(1.0, description="L2 penalty of a leaf's value")
    patience: Positive = Field(30, description="stop after this many trees without a better validation figure")


RankerSettings = NCFSettings | LogisticMFSettings | DeepCrossSettings | BoostedTreesSettings
