"""Two roads, one answer: a step in pieces, on threads or not, and a step of the whole batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.models.network import NetworkRetriever
from shortlist.settings import NetworkSettings, Settings
from shortlist.training.batches import TrainingBatch
from shortlist.training.networks import objective_of, untrained
from shortlist.training.objective import SoftmaxObjective
from shortlist.training.pieces import Pieces

KINDS: dict[str, dict[str, Any]] = {
    "next": {"target_window": 3},
    "bags": {"target": "multi_hot", "target_weight": "item"},
    "sequences": {"history": "transformer"},
}


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def made(world: Dataset, dropout: float, **given: Any) -> tuple[NetworkRetriever, SoftmaxObjective]:
    chosen = {"embedding_dim": 8, "dropout": dropout, "history_dropout": dropout, **given}
    settings = Settings.from_dict({"retriever": chosen, "training": {"device": "cpu"}})
    train = split(world, settings.split).train
    assert isinstance(settings.retriever, NetworkSettings)
    torch.manual_seed(0)
    model = untrained(world, train, settings.retriever)
    objective = objective_of(model, world, train, settings.retriever, settings)
    assert isinstance(objective, SoftmaxObjective)
    return model.train(), objective


def gradients(model: nn.Module) -> list[Tensor]:
    return [torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in model.parameters()]


@pytest.mark.parametrize("kind", ["next", "bags"])
def test_two_pieces_have_the_gradient_of_the_whole(kind: str, world: Dataset) -> None:
    model, objective = made(world, 0.0, **KINDS[kind])
    whole = next(iter(objective.epoch(64, np.random.default_rng(0))))
    # unequal pieces: what they weigh matters
    step = [part(whole, np.arange(0, 20)), part(whole, np.arange(20, len(whole)))]
    loss = objective.loss(whole)
    loss.backward()  # type: ignore[no-untyped-call]
    expected = gradients(model)
    found = Pieces(model, objective, 64).loss_and_gradient(step)
    assert found == pytest.approx(loss.item(), rel=1e-5)
    for one, other in zip(gradients(model), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def part(batch: TrainingBatch, rows: Any) -> TrainingBatch:
    return TrainingBatch(
        batch.queries.take(rows),  # type: ignore[union-attr]
        batch.targets.take(rows),
        batch.seen.take(rows),
        batch.user_idx[rows],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_no_bit(kind: str, world: Dataset, two_threads: None) -> None:
    found = []
    for on_threads in (False, True, True):
        model, objective = made(world, 0.4, **KINDS[kind])
        if not on_threads:
            torch.set_num_threads(1)
        with Pieces.at_work(model, objective, 64) as pieces:
            assert (pieces.pool is not None) == on_threads
            pieces.seed(1, 2)
            for step in pieces.steps(np.random.default_rng(0)):
                loss = pieces.loss_and_gradient(step)
                with torch.no_grad():
                    for one in model.parameters():
                        one -= 0.1 * (0 if one.grad is None else one.grad)
        torch.set_num_threads(2)
        found.append((loss, *(one.detach().numpy().tobytes() for one in model.parameters())))
    assert found[0] == found[1] == found[2]


def test_every_target_is_asked_once_an_epoch(world: Dataset, two_threads: None) -> None:
    model, objective = made(world, 0.0)
    with Pieces.at_work(model, objective, 64) as pieces:
        steps = list(pieces.steps(np.random.default_rng(0)))
    assert sum(len(piece.targets.values) for step in steps for piece in step) == len(objective.examples)
    assert {len(step) for step in steps[:-1]} == {2}
    assert max(sum(len(piece) for piece in step) for step in steps) == 64


def test_threads_are_given_back_and_errors_come_through(world: Dataset, two_threads: None) -> None:
    model, objective = made(world, 0.0)

    def broken(batch: TrainingBatch) -> Tensor:
        assert torch.get_num_threads() == 1
        raise RuntimeError("broken")

    objective.loss = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="broken"), Pieces.at_work(model, objective, 64) as pieces:
        pieces.loss_and_gradient(next(pieces.steps(np.random.default_rng(0))))
    assert torch.get_num_threads() == 2
