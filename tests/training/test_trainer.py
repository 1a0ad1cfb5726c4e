from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shortlist.errors import TrainingError
from shortlist.settings import TrainingSettings
from shortlist.training.checkpoint import Checkpoint
from shortlist.training.progress import Progress
from shortlist.training.trainer import TrainingRun, fit


class Batch:
    def __init__(self, x: Tensor) -> None:
        self.x, self.targets = x, type("Targets", (), {"values": range(len(x))})

    def __len__(self) -> int:
        return len(self.x)


class Line:
    """Fit y = 2x with dropout, so that the random numbers of training matter."""

    def __init__(self, model: nn.Module, spoil: int = 0) -> None:
        self.model, self.spoil, self.seen = model, spoil, 0

    in_pieces = False

    def mass(self, batch: Batch) -> float:
        return len(batch)

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        for _ in range(4):
            yield Batch(torch.from_numpy(rng.normal(size=(batch_size, 1)).astype(np.float32)))

    def loss(self, batch: Batch) -> Tensor:
        self.seen += 1
        loss = ((self.model(batch.x) - 2 * batch.x) ** 2).mean()
        return loss * float("nan") if self.seen == self.spoil else loss


def make() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.2), nn.Linear(8, 1))


def settings(**given: Any) -> TrainingSettings:
    return TrainingSettings(**{"epochs": 6, "batch_size": 8, "learning_rate": 0.01, "patience": 6, **given})


def run(model: nn.Module, validate: Any, given: TrainingSettings, **more: Any) -> TrainingRun:
    return fit(model, more.pop("objective", Line(model)), validate, given, seed=3, progress=Progress(), **more)


def error_of(model: nn.Module) -> float:
    model.eval()
    with torch.no_grad():
        x = torch.linspace(-1, 1, 9)[:, None]
        return -float(((model(x) - 2 * x) ** 2).mean())


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate of every step to come."""
    seen: list[float] = []

    class Spy(torch.optim.AdamW):
        def step(self, closure: Any = None) -> Any:
            seen.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Spy)
    return seen


def test_warm_up_raises_the_learning_rate(rates: list[float]) -> None:
    run(make(), None, settings(epochs=2, warmup_steps=4))  # four steps an epoch
    assert rates == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01, 0.01, 0.01])


def test_the_learning_rate_falls_along_a_cosine_to_the_last_epoch_also_if_it_ends_before(rates: list[float]) -> None:
    course = run(make(), None, settings(epochs=4, schedule="cosine"), stop_after=3)
    assert len(course.epochs) == 3
    assert rates[::4] == pytest.approx([0.01, 0.01 * (0.5 + 0.125**0.5), 0.005])  # cos(π / 4) = √½


def test_it_learns_and_keeps_the_best_weights() -> None:
    model = make()
    figures: list[float] = []

    def validate() -> float:
        figures.append(error_of(model))
        return figures[-1]

    before, record = error_of(model), run(model, validate, settings(epochs=30, patience=30))
    assert record.best_validation == max(figures) > before
    assert error_of(model) == pytest.approx(max(figures))


def test_it_stops_when_out_of_patience() -> None:
    figures = iter([0.1, 0.3, 0.2, 0.2, 0.2, 0.9])
    record = run(make(), lambda: next(figures), settings(patience=3, epochs=9))
    assert (len(record.epochs), record.best_epoch, record.ended_by) == (5, 2, "patience")


def test_ctrl_c_leaves_the_best_so_far() -> None:
    model, best = make(), {}
    calls = iter(range(9))

    def validate() -> float:
        if next(calls) == 2:
            raise KeyboardInterrupt
        best.update({name: value.clone() for name, value in model.state_dict().items()})
        return float(next(calls))

    record = run(model, validate, settings())
    assert record.ended_by == "interrupt"
    assert all(torch.equal(value, best[name]) for name, value in model.state_dict().items())


def test_ctrl_c_in_the_first_epoch_passes_on() -> None:
    def validate() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(make(), validate, settings())


def test_a_loss_that_is_not_finite_names_the_batch() -> None:
    model = make()
    with pytest.raises(TrainingError, match=r"epoch 2, batch 3 \(8 queries\) is nan.*learning_rate"):
        run(model, lambda: 0.0, settings(), objective=Line(model, spoil=7))


def test_the_seed_gives_the_same_bits() -> None:
    one, other = make(), make()
    run(one, lambda: error_of(one), settings())
    run(other, lambda: error_of(other), settings())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    whole = make()
    expected = run(whole, lambda: error_of(whole), settings())

    class KilledError(Exception):
        pass

    model, calls = make(), iter(range(9))

    def killed_in_epoch_4() -> float:
        if next(calls) == 3:
            raise KilledError
        return error_of(model)

    with pytest.raises(KilledError):
        run(model, killed_in_epoch_4, settings(), checkpoint=Checkpoint(tmp_path / "c", "x"))
    resumed = make()
    record = run(resumed, lambda: error_of(resumed), settings(), checkpoint=Checkpoint(tmp_path / "c", "x"))
    assert [one.validation for one in record.epochs] == [one.validation for one in expected.epochs]
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))
    with pytest.raises(TrainingError, match="other settings or data"):
        run(make(), lambda: 0.0, settings(), checkpoint=Checkpoint(tmp_path / "c", "y"))
    (tmp_path / "c" / "run.json").write_text("{")
    with pytest.raises(TrainingError, match="cannot be read"):
        run(make(), lambda: 0.0, settings(), checkpoint=Checkpoint(tmp_path / "c", "x"))


class Still(Line):
    """Nothing to learn: only decay moves the weights."""

    def loss(self, batch: Batch) -> Tensor:
        return (self.model(batch.x) * 0).sum()


def test_decay_pulls_at_matrices_and_leaves_biases() -> None:
    model = make()
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    given = settings(weight_decay=0.5, average=0.0)
    run(model, None, given, objective=Still(model))
    for name, one in model.named_parameters():
        left = (1 - 0.01 * 0.5) ** (6 * 4) if name.endswith("weight") else 1.0
        torch.testing.assert_close(one.detach(), before[name] * left)


@pytest.mark.parametrize(("most", "seen"), [(3, 3), (9, 4), (None, 4)])
def test_an_epoch_of_a_long_log_ends_after_its_steps(rates: list[float], most: int | None, seen: int) -> None:
    model = make()
    run(model, lambda: error_of(model), settings(epochs=2, epoch_steps=most))
    assert len(rates) == 2 * seen
