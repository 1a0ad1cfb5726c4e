"""``[retriever]``: the deep ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shortlist.settings.table import Fraction, OneOf, Positive, Range, Table


class NetworkSettings(Table):
    """What the deep retrievers have in common."""

    embedding_dim: Annotated[Positive, OneOf((32, 64, 128))] = Field(
        64, description="length of the query and item vectors"
    )
    hidden_dims: Annotated[tuple[Positive, ...], OneOf(((64,), (128,), (256,), (256, 128)))] = Field(
        (128,), description="widths of the hidden ReLU layers, first to last"
    )
    history: Literal["none", "mean", "recency", "attention", "transformer"] = Field(
        "mean",
        description="how the history becomes a vector: means over windows; weighted by recency, at learned rates; pooled by "
        "attention, with means beside it; the state of a causal transformer (then other defaults of dropout, tied, "
        "history_windows and [training])",
    )
    history_blocks: Positive = Field(2, description="transformer: blocks of attention and hidden layer")
    history_heads: Positive = Field(
        1, description="transformer: attentions side by side; embedding_dim is shared among them in even parts"
    )
    history_positions: Literal["rotary", "learned"] = Field(
        "rotary",
        description="transformer: how far apart two items are turns the one against the other; or every place has a vector",
    )
    history_windows: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        (100, 10, 1),
        description="the network sees one history vector each over this many of the most recent items; a transformer reads the "
        "longest",
    )
    history_exponent: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5,
        description="means and recency: the sum of a window's n items is divided by n to this power; 1: the plain mean, less: a "
        "long history speaks louder than a short one",
    )
    history_damping: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="an item of the history weighs the number of its takers to the power of minus this"
    )
    history_alone: bool = Field(
        False,
        description="the query is the vector of the longest window's history and nothing else: no dislikes, no features, no "
        "hidden layers. For ids alone and few people, whom a network would learn by heart",
    )
    target_window: Annotated[Positive, OneOf((1, 3, 5, 10, 20))] = Field(
        5,
        description="how many of the next items make one normalised multi-hot target; with a transformer always the next",
    )
    target: Literal["next", "multi_hot"] = Field(
        "next",
        description="what is predicted: the next items after a history, in order of time; or a part of a person's items from the "
        "rest, in no order (a person is a bag of items)",
    )
    target_share: Annotated[float, Field(gt=0, le=1), Range(0.1, 0.7)] = Field(
        0.3,
        description="multi_hot: share of a person's items that is held out as the target, drawn anew each epoch; 1: all are "
        "target and query at once, and each is compared with what the person does not have",
    )
    item_graph: Annotated[int, Field(ge=0)] = Field(
        0, description="steps by which items' vectors are smoothed over the graph of who took what (LightGCN); 0: none"
    )
    target_weight: Literal["query", "item"] = Field(
        "query",
        description="what weighs the same in the loss: every query, however many items its target holds, or every item of a "
        "target, so that who took much counts for more",
    )
    target_recency: Annotated[float, Field(ge=0, le=20)] = Field(
        0.0,
        description="a positive weighs in the loss e to the power of this times the share of the person's positives that came "
        "before it: with 2 the last weighs seven times the first; 0: all alike",
    )
    target_smoothing: Fraction = Field(
        0.0,
        description="full_softmax: share of each target's weight that goes to the items nearest to it by item-kNN, in proportion "
        "to how near they are: who took one might as well have taken the other",
    )
    target_neighbours: Positive = Field(10, description="target_smoothing: so many of the nearest items")
    loss: Annotated[
        Literal["auto", "full_softmax", "sampled_softmax", "in_batch", "bce", "bpr", "bpr_max", "contrastive"],
        OneOf(("full_softmax", "sampled_softmax", "bce", "bpr")),
    ] = Field(
        "auto",
        description="cross-entropy over the whole corpus, over a sample, or over the batch's own targets; logistic; pairwise, "
        "against the mean or (bpr_max) the best of the negatives; cosine contrastive (two_tower with cosine similarity). "
        "auto: full_softmax; of more than 20,000 items in_batch with 1,024 uniform negatives, unless they are read by a "
        "transformer, or as bags",
    )
    negatives: Literal["uniform", "popularity"] = Field(
        "uniform",
        description="what negatives are drawn from: all items alike, or in proportion to a power of their counts",
    )
    negatives_power: Annotated[float, Field(ge=0)] = Field(
        0.75, description="popularity: that power; 1 draws items as often as they are taken"
    )
    hard_negatives: Literal["none", "pool", "cache"] = Field(
        "none",
        description="bce, bpr, bpr_max, contrastive: take them as they are drawn; of eight times as many the highest-scored; or "
        "from what was highest-scored for this person so far",
    )
    num_negatives: Annotated[int, Field(ge=0)] = Field(
        256,
        description="sampled_softmax, contrastive: shared by a batch; in_batch: uniform ones beside the batch's own (0: none); "
        "bce, bpr, bpr_max, and contrastive with hard_negatives: of each query",
    )
    log_q: bool = Field(
        True, description="whether sampled logits are corrected, by subtraction, for how often their item is drawn"
    )
    calibration: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="bce with uniform negatives, which are few and make it overconfident: 0 leaves it so, 1 makes its "
        "probabilities those of the whole corpus (t of gBCE, Petrov and Macdonald 2023)",
    )
    margin: Annotated[float, Field(ge=-1, le=1)] = Field(
        0.5, description="contrastive: a negative farther than this cosine costs nothing"
    )
    negative_weight: Annotated[float, Field(ge=0)] = Field(
        100.0, description="contrastive: weight of the negatives' mean beside the one positive"
    )
    value_power: Annotated[float, Field(ge=0, le=10)] = Field(
        0.0,
        description="weight of a positive in the loss: its value (a rating, the share watched) to this power; values must "
        "be greater than 0, a missing one weighs 1, the average; 0: all alike",
    )
    dropout: Annotated[Fraction, Range(0, 0.6)] = Field(0.3, description="share of hidden units dropped while training")
    history_dropout: Annotated[Fraction, Range(0, 0.7)] = Field(
        0.5, description="share of history items dropped while training"
    )

    @model_validator(mode="after")
    def _loss_fits(self) -> Self:
        if not self.num_negatives and self.loss not in ("auto", "full_softmax", "in_batch"):
            raise ValueError(
                f'num_negatives = 0 leaves loss = "{self.loss}" nothing to compare with; set num_negatives = 1 or more, or '
                'loss = "in_batch"'
            )
        if self.hard_negatives != "none" and self.loss not in ("bce", "bpr", "bpr_max", "contrastive"):
            raise ValueError(
                f'hard_negatives = "{self.hard_negatives}" are of each query, and loss = "{self.loss}" has none of its own; set '
                'loss = "bpr", "bpr_max", "bce" or "contrastive", or hard_negatives = "none"'
            )
        if self.calibration and (self.loss != "bce" or self.negatives != "uniform" or self.hard_negatives != "none"):
            raise ValueError(
                f"calibration = {self.calibration} undoes what uniform negatives do to the logistic loss; set "
                'loss = "bce", negatives = "uniform" and hard_negatives = "none", or calibration = 0'
            )
        return self

    @model_validator(mode="after")
    def _smoothing_fits(self) -> Self:
        if self.target_smoothing and self.loss not in ("auto", "full_softmax"):
            raise ValueError(
                f"target_smoothing = {self.target_smoothing} spreads a target over several items, which loss = "
                f'"{self.loss}" does not know; set loss = "full_softmax", or target_smoothing = 0'
            )
        return self

    @model_validator(mode="after")
    def _history_fits(self) -> Self:
        if self.history == "transformer" and self.target == "multi_hot":
            raise ValueError(
                'history = "transformer" reads items in their order, and target = "multi_hot" has none; set target = "next", '
                'or history = "mean"'
            )
        if self.history == "none" and self.history_alone:
            raise ValueError('history = "none" leaves nothing to history_alone = true; give a history, or false')
        if self.history == "transformer" and self.embedding_dim % (2 * self.history_heads):
            raise ValueError(
                f"history_heads = {self.history_heads} cannot share embedding_dim = {self.embedding_dim} in even parts; "
                f"give a multiple of {2 * self.history_heads}"
            )
        return self


class SoftmaxDNNSettings(NetworkSettings):
    """Softmax deep neural network over history and features (Covington et al. 2016)."""

    model: Literal["softmax_dnn"] = "softmax_dnn"
    item_features: bool = Field(
        True, description="item vectors are the sum of a free vector and a projection of the item's features"
    )
    tied: bool = Field(
        False, description="whether the history's item embeddings are the rows of V, or a table of their own"
    )
    similarity: Literal["dot"] = Field("dot", description="how query and item vectors are compared")
    popularity_debiasing: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="share of each item's learned bias, which is mostly its popularity, that is left out of scores"
    )


TRANSFORMER_NETWORK: Mapping[str, Any] = {"dropout": 0.2, "history_windows": (200,)}
"""Defaults of a network's settings where history = "transformer"; those of softmax_dnn are tied, too."""


class TwoTowerSettings(NetworkSettings):
    """Two towers, one for the query and one for the item (Yi et al. 2019): new items are scored by their features."""

    model: Literal["two_tower"] = "two_tower"
    item_ids: bool = Field(
        True,
        description="whether an item has a free vector beside its features; without, new items are scored like any other",
    )
    item_hidden_dims: tuple[Positive, ...] = Field(
        (128,), description="widths of the item tower's hidden layers; none: an item is its embedding"
    )
    tied: bool = Field(
        False, description="whether the history is made of the item tower's embeddings, or of a table of its own"
    )
    similarity: Annotated[Literal["dot", "cosine", "euclidean"], OneOf(("dot", "cosine", "euclidean"))] = Field(
        "dot", description="how query and item vectors are compared"
    )
    temperature: Annotated[float, Field(gt=0)] | None = Field(
        None, description="divides the training logits; default: 1, and 0.1 for cosine"
    )
    popularity_debiasing: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="share of log popularity that is added to the training logits and not to scores: what popularity "
        "explains, the towers need not",
    )
