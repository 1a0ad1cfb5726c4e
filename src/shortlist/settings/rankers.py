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


RankerSettings = NCFSettings
