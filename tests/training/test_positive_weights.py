from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.preparation import prepare
from shortlist.data.splitting import split
from shortlist.errors import DataError, SettingsError
from shortlist.models.network import NetworkRetriever
from shortlist.models.softmax_dnn import SoftmaxDNN
from shortlist.models.two_tower import TwoTower
from shortlist.settings import Settings, SoftmaxDNNSettings
from shortlist.training.batches import BagExamples, TrainingExamples
from shortlist.training.objective import SoftmaxObjective
from shortlist.training.positive_weights import positive_weights, value_weights
from shortlist.training.retrievers import fit_retriever
from shortlist.training.sampled_objective import SampledObjective

LOSSES = ["full_softmax", "sampled_softmax", "in_batch", "bce", "bpr"]


def log_of(values: list[float | None], liked: list[bool] | None = None) -> Interactions:
    n = len(values)
    return Interactions(
        user_idx=np.zeros(n, np.int32),
        item_idx=np.arange(n, dtype=np.int32),
        timestamp=np.arange(n),
        liked=np.array(liked or [True] * n),
        disliked=np.zeros(n, bool),
        num_users=1,
        value=np.array([np.nan if one is None else one for one in values], np.float32),
    )


def test_weights_are_powers_with_mean_one() -> None:
    weights = value_weights(log_of([1, 3, None, -1], [True, True, True, False]), 2.0)
    assert weights is not None
    np.testing.assert_allclose(
        weights, [0.2, 1.8, 1, 1]
    )  # 1 and 9 by their mean 5; what is no positive is not looked at
    assert value_weights(log_of([-1.0]), 0.0) is None
    steep = value_weights(log_of([1e30, 1.0]), 10.0)
    assert steep is not None
    assert steep.tolist() == [2, 0]


def test_late_positives_weigh_more_and_a_person_as_much_as_before() -> None:
    log = replace(
        log_of([1, 3, 5, 2, 2, 4], [True, False, True, True, True, True]),
        user_idx=np.array([0, 0, 0, 2, 2, 2], np.int32),
    )
    log = replace(log, num_users=3)
    late = positive_weights(log, 0.0, 2.0)
    assert late is not None
    first, last = np.exp(0), np.exp(2 / 2)  # a half of user 0's two positives came before the last
    np.testing.assert_allclose(late[[0, 2]], np.array([first, last]) * 2 / (first + last), rtol=1e-6)
    third = np.exp(2 * np.arange(3) / 3)
    np.testing.assert_allclose(late[3:], third * 3 / third.sum(), rtol=1e-6)
    assert late[1] == 1, "no positive"
    value = value_weights(log, 1.0)
    assert value is not None
    both = positive_weights(log, 1.0, 2.0)
    np.testing.assert_allclose(both, value * late, rtol=1e-6)  # type: ignore[arg-type]
    for given, expected in (((1.0, 0.0), value), ((0.0, 2.0), late)):
        np.testing.assert_array_equal(positive_weights(log, *given), expected)  # type: ignore[arg-type]
    assert positive_weights(log, 0.0, 0.0) is None


def test_a_vector_of_ones_own_follows_what_was_taken_last() -> None:
    """Everybody took items of one half of the corpus and then of the other."""
    rng = np.random.default_rng(0)
    halves = [(rng.permutation(20)[:11], 20 + rng.permutation(20)[:11]) for _ in range(60)]
    items = np.concatenate([np.concatenate(one if user % 2 else one[::-1]) for user, one in enumerate(halves)])
    own = {"features": {"user": {"user_id": {"kind": "id"}}}}
    table = pa.table({"user_id": np.repeat(np.arange(60), 22), "item_id": items})
    data = prepare(table, features=Settings.from_dict(own).features)
    bags = {"history": "none", "target": "multi_hot", "target_share": 1.0}
    small = {"model": "two_tower", "embedding_dim": 8, "item_hidden_dims": ()}
    training = {"epochs": 60, "refit": False, "learning_rate": 0.02, "batch_size": 16}
    ahead = []
    for recency in (0.0, 4.0):
        retriever = {**small, **bags, "target_recency": recency}
        settings = Settings.from_dict({**own, "retriever": retriever, "training": training})
        parts = split(data, settings.split)
        model = fit_retriever(data, parts, settings).retriever
        scores = np.asarray(model.encode_queries(parts.test.queries) @ model.encode_items().T)
        took_second_last = np.array([data.users.id(int(u)) % 2 == 1 for u in parts.test.user_idx])
        is_second = np.array([int(i) >= 20 for i in data.items.ids.to_pylist()])
        is_late = took_second_last[:, None] == is_second[None, :]
        ahead.append(scores[is_late].mean() - scores[~is_late].mean())
    assert ahead[1] > ahead[0] + 0.3


def test_what_cannot_weigh_is_refused(world: Dataset) -> None:
    with pytest.raises(DataError, match=r"greater than 0; 2 of 3 positives have another, such as -1.*liked"):
        value_weights(log_of([2, -1, 0]), 1.0)
    with pytest.raises(DataError, match="such as inf"):
        value_weights(log_of([float("inf")]), 1.0)
    with pytest.raises(SettingsError, match=r"the interactions have none: set \[data.columns\] value"):
        value_weights(replace(log_of([1]), value=None), 1.0)
    with pytest.raises(SettingsError, match=r"retriever.value_power: .* greater than or equal to 0, got -1"):
        Settings.from_dict({"retriever": {"value_power": -1.0}})
    with pytest.raises(SettingsError, match=r"unknown setting 'retriever.value_power'"):
        Settings.from_dict({"retriever": {"model": "mf", "value_power": 1.0}})


def objective_of(world: Dataset, name: str, loss: str) -> tuple[Any, TrainingExamples]:
    torch.manual_seed(0)
    given = {"model": name, "loss": loss, "embedding_dim": 4, "dropout": 0, "history_dropout": 0, "num_negatives": 8}
    if loss == "contrastive":
        given |= {"similarity": "cosine"}
    settings = Settings.from_dict({"retriever": given}).retriever
    train = split(world, Settings().split).train
    counts = np.bincount(train.item_idx[train.liked], minlength=world.num_items)
    kind = SoftmaxDNN if isinstance(settings, SoftmaxDNNSettings) else TwoTower
    arguments = (world.num_items, world.schema.query, settings, counts, world.schema.side("item"), world.item_features)
    model: NetworkRetriever = kind(*arguments)  # type: ignore[arg-type]
    examples = TrainingExamples(world, train, 3)
    if loss == "full_softmax":
        return SoftmaxObjective(model, examples, remove_seen=True), examples
    return SampledObjective(model, examples, settings, counts, remove_seen=True), examples  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "loss"),
    [*((model, loss) for model in ("softmax_dnn", "two_tower") for loss in LOSSES), ("two_tower", "contrastive")],
)
def test_a_weighted_loss_is_the_weighted_mean_of_its_records(world: Dataset, model: str, loss: str) -> None:
    """By taking each record alone (all others weigh nothing), with the same negatives."""
    objective, examples = objective_of(world, model, loss)
    batch = examples.batch(np.array([0, 12, 15]), np.array([2, 15, 16]))
    assert batch.targets.lengths.tolist() == [2, 3, 1]

    def loss_of(weights: np.ndarray | None) -> float:  # type: ignore[type-arg]
        objective.rng = np.random.default_rng(3)
        given = None if weights is None else weights.astype(np.float32)
        return float(objective.loss(replace(batch, positive_weights=given)).detach())

    alone = np.array([loss_of(np.eye(6)[record]) for record in range(6)])
    values, share = np.array([5, 1, 2, 4, 3, 0.5]), np.array([1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3, 1])
    assert loss_of(values) == pytest.approx(np.average(alone, weights=values * share), rel=1e-4)
    assert loss_of(None) == pytest.approx(np.average(alone, weights=share), rel=1e-4)
    assert loss_of(np.full(6, 7.0)) == pytest.approx(loss_of(None), rel=1e-5)
    assert abs(loss_of(values) - loss_of(None)) > 1e-4


def test_weights_stay_with_their_targets(world: Dataset) -> None:
    """In windows and in bags: the weight of a target is that of the interaction it comes from."""
    log = world.interactions
    own = np.arange(len(log), dtype=np.float32) + 1
    weight_of = {(u, i): w for u, i, w in zip(log.user_idx, log.item_idx, own, strict=True)}
    for examples in (TrainingExamples(world, log, 4, positive_weights=own), BagExamples(world, log, 0.3, own)):
        for batch in examples.epoch(16, np.random.default_rng(0)):
            assert batch.positive_weights is not None
            assert batch.weights().sum() == pytest.approx(len(batch), rel=1e-5)
            for query in range(len(batch)):
                owners = set(world.interactions.user_idx.tolist())
                for item in np.concatenate([batch.seen.row(query), batch.targets.row(query)]):
                    owners &= {int(u) for u in log.user_idx[log.item_idx == item]}
                first, end = batch.targets.offsets[query : query + 2]
                mine = batch.positive_weights[first:end].tolist()
                assert any(mine == [weight_of[u, i] for i in batch.targets.row(query)] for u in owners)


@pytest.mark.parametrize("model", ["softmax_dnn", "two_tower"])
def test_what_is_valued_more_is_recommended_more(model: str) -> None:
    """Everybody takes everything alike; even items are valued 5, odd ones 1."""
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.permutation(20)[:10] for _ in range(80)])
    table = {"user_id": np.repeat(np.arange(80), 10), "item_id": items, "value": np.where(items % 2, 1.0, 5.0)}
    given = {"data": {"columns": {"value": "value"}}, "training": {"epochs": 8, "refit": False, "learning_rate": 0.02}}
    data = prepare(pa.table(table), settings=Settings.from_dict(given).data)
    even = np.array([int(i) % 2 == 0 for i in data.items.ids.to_pylist()])
    gaps = []
    for power in (0.0, 1.0):
        retriever = {"model": model, "embedding_dim": 4, "history": "none", "value_power": power}
        settings = Settings.from_dict({**given, "retriever": retriever})
        fitted = fit_retriever(data, split(data, settings.split), settings).retriever
        query = fitted.encode_queries(split(data, settings.split).test.queries.take(np.arange(1)))
        scores = np.asarray(query @ fitted.encode_items().T)[0]
        gaps.append(scores[even].mean() - scores[~even].mean())
    assert abs(gaps[0]) < 0.3
    assert gaps[1] > gaps[0] + 0.8  # log 5 = 1.6 in the end
