from __future__ import annotations

import numpy as np
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.errors import SettingsError
from shortlist.losses import sampled_softmax
from shortlist.models.softmax_dnn import SoftmaxDNN
from shortlist.models.two_tower import TwoTower
from shortlist.negatives import Negatives
from shortlist.settings import SoftmaxDNNSettings, SplitSettings, TwoTowerSettings
from shortlist.training.batches import TrainingBatch, TrainingExamples
from shortlist.training.objective import SoftmaxObjective
from shortlist.training.sampled_objective import SampledObjective, _merged


def setting(world: Dataset, **given: object) -> tuple[SoftmaxDNN, TrainingExamples, SoftmaxDNNSettings, np.ndarray]:
    torch.manual_seed(0)
    train = split(world, SplitSettings()).train
    settings = SoftmaxDNNSettings.model_validate(
        {"embedding_dim": 4, "hidden_dims": (8,), "dropout": 0.0, "history_dropout": 0.0, **given}
    )
    counts = np.bincount(train.item_idx[train.liked], minlength=world.num_items)
    model = SoftmaxDNN(world.num_items, world.schema.query, settings, counts)
    return model, TrainingExamples(world, train, 3), settings, counts


def one_batch(examples: TrainingExamples) -> TrainingBatch:
    return next(iter(examples.epoch(64, np.random.default_rng(1))))


@pytest.mark.parametrize("remove_seen", [True, False])
@pytest.mark.parametrize(
    ("loss", "negatives"),
    [("sampled_softmax", "uniform"), ("sampled_softmax", "popularity"), ("in_batch", "uniform")],
)
def test_a_large_sample_gives_the_loss_of_the_whole_corpus(
    world: Dataset, loss: str, negatives: str, remove_seen: bool
) -> None:
    """Whatever negatives are drawn from: log q takes it out again. Without the correction popular ones would bias it."""
    given = {"loss": loss, "negatives": negatives, "num_negatives": 60_000, "target_window": 1}
    model, examples, settings, counts = setting(world, **given)
    examples = TrainingExamples(world, examples.train, 1)
    batch = one_batch(examples)
    full = SoftmaxObjective(model, examples, remove_seen=remove_seen).loss(batch)
    sampled = SampledObjective(model, examples, settings, counts, remove_seen=remove_seen).loss(batch)
    assert sampled.item() == pytest.approx(full.item(), rel=0.01)
    raw = settings.model_copy(update={"log_q": False})
    uncorrected = SampledObjective(model, examples, raw, counts, remove_seen=remove_seen).loss(batch)
    assert abs(uncorrected.item() - full.item()) > 1


@pytest.mark.parametrize("loss", ["full_softmax", "sampled_softmax"])
def test_items_may_weigh_the_same_in_place_of_queries(world: Dataset, loss: str) -> None:
    """Then a batch's loss is the mean over its targets of what each gives alone; else over its queries."""
    given = {"loss": loss, "num_negatives": 60_000}

    def value(batch: TrainingBatch, weight: str) -> float:
        model, examples, settings, counts = setting(world, **given, target_weight=weight)
        model.item_bias.data = torch.linspace(-2, 2, world.num_items)  # so that targets differ
        if loss == "full_softmax":
            objective = SoftmaxObjective(model, examples, remove_seen=True, target_weight=settings.target_weight)
            return objective.loss(batch).item()
        return SampledObjective(model, examples, settings, counts, remove_seen=True).loss(batch).item()

    examples = setting(world, **given)[1]
    one, three = examples.batch(np.array([5]), np.array([6])), examples.batch(np.array([12]), np.array([15]))
    both = examples.batch(np.array([5, 12]), np.array([6, 15]))
    assert both.targets.lengths.tolist() == [1, 3]
    each = value(one, "query"), value(three, "query")
    assert value(both, "query") == pytest.approx((each[0] + each[1]) / 2, rel=0.01)
    assert value(both, "item") == pytest.approx((each[0] + 3 * each[1]) / 4, rel=0.01)
    assert abs(each[0] - each[1]) > 0.1


@pytest.mark.parametrize("corrected", [True, False])
def test_an_item_drawn_many_times_stands_once(corrected: bool) -> None:
    """The sum over the sample is the same, whether repeats stand side by side or are counted."""
    torch.manual_seed(0)
    query, positive, items = torch.randn(3, 4), torch.randn(3, 4), torch.randn(9, 4)
    q = np.arange(1, 10) / 45
    item_idx = np.array([8, 2, 8, 8, 5, 2])
    drawn = Negatives(item_idx, np.log(q[item_idx]).astype(np.float32))
    merged = _merged(drawn, corrected=corrected)
    assert merged.item_idx.tolist() == [2, 5, 8]
    log_q = torch.from_numpy(drawn.log_q) if corrected else None
    apart = sampled_softmax(query, positive, items[item_idx], negative_log_q=log_q)
    once = sampled_softmax(query, positive, items[merged.item_idx], negative_log_q=torch.from_numpy(merged.log_q))
    assert once.item() == pytest.approx(apart.item(), rel=1e-5)


@pytest.mark.parametrize("loss", ["sampled_softmax", "in_batch", "bce", "bpr", "bpr_max"])
def test_every_loss_gives_gradients_to_all_it_uses(world: Dataset, loss: str) -> None:
    model, examples, settings, counts = setting(world, loss=loss, num_negatives=8)
    objective = SampledObjective(model, examples, settings, counts, remove_seen=True)
    value = objective.loss(one_batch(examples))
    value.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(value)
    for name in ("items.free", "history_items.free", "item_bias"):
        gradient = dict(model.named_parameters())[name].grad
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0, name


def test_the_same_generator_draws_the_same_negatives(world: Dataset) -> None:
    model, examples, settings, counts = setting(world, loss="bpr", num_negatives=4)
    objective = SampledObjective(model, examples, settings, counts, remove_seen=True)
    values = []
    for seed in (5, 5, 6):
        batches = objective.epoch(32, np.random.default_rng(seed))
        values.append([objective.loss(batch).item() for batch in batches])
    assert values[0] == values[1]
    assert values[0] != values[2]


def test_hard_negatives_are_the_ones_the_model_ranks_high(world: Dataset) -> None:
    """The first loss of a pairwise training is larger the harder its negatives; of a cache it grows as it fills."""
    losses: dict[str, list[float]] = {}
    for kind in ("none", "pool", "cache"):
        model, examples, settings, counts = setting(world, loss="bpr", num_negatives=2, hard_negatives=kind)
        model.item_bias.data = torch.linspace(-2, 2, world.num_items)
        objective = SampledObjective(model, examples, settings, counts, remove_seen=True)
        batch = next(iter(objective.epoch(64, np.random.default_rng(1))))
        losses[kind] = [objective.loss(batch).item() for _ in range(4)]
    assert min(losses["pool"]) > max(losses["none"])
    assert losses["cache"][-1] > max(losses["none"])


@pytest.mark.parametrize("calibration", [0.0, 0.5, 1.0])
def test_a_network_that_knows_nothing_is_right_on_average(world: Dataset, calibration: float) -> None:
    """No constant added to all scores makes the logistic loss smaller: its derivative is zero."""
    given = {"loss": "bce", "num_negatives": 16, "calibration": calibration}
    model, examples, settings, counts = setting(world, **given)
    for name in ("items.free", "item_bias"):
        dict(model.named_parameters())[name].data.zero_()
    objective = SampledObjective(model, examples, settings, counts, remove_seen=True)
    loss = objective.loss(one_batch(examples))
    alpha = 16 / (world.num_items - 1)
    beta = 1 - calibration * (1 - alpha)  # linear in the calibration, from 1 to α
    log_odds = np.log(beta / 16)
    expected = (beta * np.log1p(np.exp(-log_odds)) + 16 * np.log1p(np.exp(log_odds))) / 17
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert model.item_bias.grad is not None
    assert model.item_bias.grad.abs().sum() > 1e-3
    assert model.item_bias.grad.sum().item() == pytest.approx(0, abs=1e-6)


def test_calibration_and_bpr_max_change_the_loss_as_they_say(world: Dataset) -> None:
    """gBCE's β weighs the positive alone, so its loss is smaller; BPR-max listens to the hardest, so its loss is larger."""

    def value(**given: object) -> float:
        model, examples, settings, counts = setting(world, num_negatives=8, **given)
        model.item_bias.data = torch.linspace(-2, 2, world.num_items)
        objective = SampledObjective(model, examples, settings, counts, remove_seen=True)
        return objective.loss(next(iter(objective.epoch(64, np.random.default_rng(1))))).item()

    plain, half, whole = (value(loss="bce", calibration=t) for t in (0.0, 0.5, 1.0))
    assert plain > half > whole
    assert value(loss="bpr_max") > value(loss="bpr")


def test_contrastive_compares_with_what_the_query_has_not(world: Dataset) -> None:
    """A large shared sample costs what all other items of the corpus cost; hard ones are of each query, and cost more."""
    train = split(world, SplitSettings()).train
    counts = np.bincount(train.item_idx[train.liked], minlength=world.num_items)
    losses = {}
    for number, hard in ((60_000, "none"), (4, "none"), (4, "pool")):
        given = {"loss": "contrastive", "similarity": "cosine", "num_negatives": number, "hard_negatives": hard}
        settings = TwoTowerSettings.model_validate({"dropout": 0.0, "history_dropout": 0.0, "margin": 0.1, **given})
        torch.manual_seed(0)
        items = (counts, world.schema.side("item"), world.item_features)
        model = TwoTower(world.num_items, world.schema.query, settings, *items)
        examples = TrainingExamples(world, train, 3)
        batch = one_batch(examples)
        objective = SampledObjective(model, examples, settings, counts, remove_seen=True)
        losses[number, hard] = objective.loss(batch).item()
    query, (vectors, _) = model(model.inputs(batch.queries)), model.softmax_layer()
    cosine = torch.nn.functional.cosine_similarity(query[:, None], vectors[None], dim=2)
    rows, values = torch.from_numpy(batch.targets.row_of_value), torch.from_numpy(batch.targets.values.astype(np.int64))
    has = torch.zeros_like(cosine, dtype=torch.bool)
    has[rows, values] = has[torch.from_numpy(batch.seen.row_of_value), torch.from_numpy(batch.seen.values).long()] = (
        True
    )
    pushed = (cosine - 0.1).relu().masked_fill(has, 0).sum(dim=1) / (~has).sum(dim=1)
    each = 1 - cosine[rows, values] + settings.negative_weight * pushed[rows]
    expected = (each * torch.from_numpy(batch.weights())).sum() / float(batch.weights().sum())
    assert losses[60_000, "none"] == pytest.approx(expected.item(), rel=0.02)
    assert losses[4, "pool"] > losses[4, "none"]


def test_contrastive_without_the_cosine_is_refused(world: Dataset) -> None:
    model, examples, settings, counts = setting(world, loss="contrastive")
    with pytest.raises(SettingsError, match=r'loss = "contrastive" compares by the cosine: set model = "two_tower"'):
        SampledObjective(model, examples, settings, counts, remove_seen=True)
