"""Settings → a network with its starting weights, and what it is trained by."""

from __future__ import annotations

import numpy as np
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.features import CategoryColumn
from shortlist.data.interactions import Interactions
from shortlist.encoders.feature_encoder import module_key
from shortlist.models.network import NetworkRetriever
from shortlist.models.softmax_dnn import SoftmaxDNN
from shortlist.models.two_tower import TwoTower
from shortlist.settings import BATCH_SIZE, NetworkSettings, Settings, SoftmaxDNNSettings, TwoTowerSettings
from shortlist.training.batches import BagExamples, Examples, TrainingExamples
from shortlist.training.objective import SoftmaxObjective
from shortlist.training.positive_weights import positive_weights
from shortlist.training.sampled_objective import SampledObjective
from shortlist.training.sequences import TrainingSequences
from shortlist.training.target_smoothing import TargetSmoothing

_LARGE = 20_000  # items from which on the softmax of all of them, and updating their vectors, is most of a step
_NEGATIVES = 1024


def for_corpus(settings: Settings, num_items: int) -> Settings:
    """The settings with what they leave to the size of the corpus decided: the loss, and the batch size."""
    chosen, training = settings.retriever, settings.training
    if not isinstance(chosen, NetworkSettings):
        return settings
    if training.batch_size is None:
        training = training.model_copy(update={"batch_size": 1024 if num_items > _LARGE else BATCH_SIZE})
    return settings.model_copy(update={"retriever": with_loss(chosen, num_items), "training": training})


def with_loss(chosen: NetworkSettings, num_items: int) -> NetworkSettings:
    """The settings with ``loss = "auto"`` decided.

    On a log of news clicks in-batch negatives mixed with uniform ones and corrected by log q were as good as the softmax over the
    corpus, in a third of its time an epoch (docs/LOG.md). Bags and transformers keep the full softmax: so they were measured.
    """
    if chosen.loss != "auto":
        return chosen
    is_sampled = chosen.target == "next" and chosen.history != "transformer" and not chosen.target_smoothing
    if num_items > _LARGE and is_sampled:
        return chosen.model_copy(update={"loss": "in_batch", "num_negatives": _NEGATIVES})
    return chosen.model_copy(update={"loss": "full_softmax"})


def objective_of(
    model: NetworkRetriever, dataset: Dataset, train: Interactions, chosen: NetworkSettings, settings: Settings
) -> SoftmaxObjective | SampledObjective:
    """Batches and loss, as the settings say."""
    chosen = with_loss(chosen, dataset.num_items)
    examples = _examples(dataset, train, chosen, in_order=settings.split.history == "in_order")
    remove_seen = settings.split.seen == "remove"
    if chosen.loss == "full_softmax":
        whole = chosen.target == "multi_hot" and chosen.target_share == 1
        smoothing = None
        if chosen.target_smoothing:
            smoothing = TargetSmoothing(train, dataset.num_items, chosen.target_smoothing, chosen.target_neighbours)
        return SoftmaxObjective(
            model,
            examples,
            remove_seen=remove_seen,
            target_weight=chosen.target_weight,
            targets_apart=whole,
            smoothing=smoothing,
        )
    counts = np.bincount(train.item_idx[train.liked], minlength=dataset.num_items)
    return SampledObjective(model, examples, chosen, counts, remove_seen=remove_seen)


def _examples(dataset: Dataset, train: Interactions, chosen: NetworkSettings, *, in_order: bool) -> Examples:
    weights = positive_weights(train, chosen.value_power, chosen.target_recency)
    if chosen.target == "multi_hot":
        return BagExamples(dataset, train, chosen.target_share, weights)
    if chosen.history == "transformer":
        longest = max(chosen.history_windows)
        return TrainingSequences(dataset, train, longest, in_order=in_order, positive_weights=weights)
    return TrainingExamples(dataset, train, chosen.target_window, in_order=in_order, positive_weights=weights)


def untrained(dataset: Dataset, train: Interactions, chosen: NetworkSettings) -> NetworkRetriever:
    """A network with its starting weights."""
    counts = np.bincount(train.item_idx[train.liked], minlength=dataset.num_items)
    taken = train.positives() if chosen.item_graph else None
    given = (counts, dataset.schema.side("item"), dataset.item_features, taken)
    model: NetworkRetriever
    if isinstance(chosen, SoftmaxDNNSettings):
        model = SoftmaxDNN(dataset.num_items, dataset.schema.query, chosen, *given)
    else:
        assert isinstance(chosen, TwoTowerSettings)
        model = TwoTower(dataset.num_items, dataset.schema.query, chosen, *given)
    _without_strangers(model, dataset, train)
    return model


def _without_strangers(model: NetworkRetriever, dataset: Dataset, train: Interactions) -> None:
    """Who is not in the training part has no vector of their own: it would stay as it was drawn."""
    users = np.unique(train.user_idx[train.liked])
    for name in model.query.ids:
        column = dataset.user_features[name]
        assert isinstance(column, CategoryColumn)
        table = model.query.people[module_key(name)]
        assert isinstance(table, torch.nn.Embedding)
        strangers = np.setdiff1d(np.arange(table.num_embeddings), column.codes[users])
        with torch.no_grad():
            table.weight[torch.from_numpy(strangers)] = 0
