"""The training loop, readable from top to bottom."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shortlist.errors import TrainingError
from shortlist.settings import BATCH_SIZE, TrainingSettings
from shortlist.training.averaging import WeightAverage
from shortlist.training.checkpoint import Checkpoint
from shortlist.training.pieces import Objective, Pieces
from shortlist.training.progress import Progress


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch came to."""

    epoch: int
    loss: float
    validation: float | None
    seconds: float


@dataclass
class TrainingRun:
    """The course of a training: its epochs, which was best (0: the weights it went on from), and why it ended."""

    epochs: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    start_validation: float | None = None
    best_validation: float | None = None
    ended_by: str = "epochs"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the artifact."""
        return asdict(self)


def device_of(settings: TrainingSettings) -> torch.device:
    """The device asked for; ``auto`` takes a GPU where there is one."""
    if settings.device != "auto":
        return torch.device(settings.device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")


def fit(
    model: nn.Module,
    objective: Objective,
    validate: Callable[[], float] | None,
    settings: TrainingSettings,
    *,
    seed: int,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
    goes_on: bool = False,
    stop_after: int | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> TrainingRun:
    """Train until the validation figure stops getting better; leave the best weights in the model.

    Ctrl-C ends it early and leaves the best weights so far (before the end of the first epoch there are none: then it
    passes on). The random numbers of an epoch depend on the seed and the
    epoch alone, so that a run resumed from its checkpoint ends as if it had never stopped.

    Args:
        model: whose parameters are trained.
        objective: batches and loss.
        validate: full-corpus figure on the validation queries, higher is better; None: train all epochs, keep the last.
        settings: epochs, batch size, learning rate, patience.
        seed: of everything random.
        progress: is told of every batch and epoch.
        checkpoint: where to keep the state after each epoch, and to resume from.
        goes_on: the model has weights worth keeping: they are validated first, and kept if no epoch is better.
        stop_after: end after this many epochs, with the learning rate as it is then on the way to ``settings.epochs``.
        optimizer: of the model's parameters; None: AdamW as in ``settings``.

    Raises:
        TrainingError: the loss is not finite; names the epoch and the batch.
    """
    optimizer = optimizer_of(model, settings) if optimizer is None else optimizer
    average = WeightAverage(model, settings.average)
    run, best = TrainingRun(), _copy_of(model)
    last = settings.epochs if stop_after is None else stop_after
    if checkpoint is not None and checkpoint.exists():
        run, best = checkpoint.restore(model, optimizer, average)
    elif goes_on and validate is not None:
        run.start_validation = run.best_validation = validate()
        progress.note(f"goes on from validation {progress.figure} {run.start_validation:.4f}")
    try:
        for epoch in range(len(run.epochs) + 1, last + 1):
            if _is_out_of_patience(run, settings):
                break
            started = time.perf_counter()
            with Pieces.at_work(model, objective, settings.batch_size or BATCH_SIZE) as pieces:
                loss = _train_epoch(model, pieces, optimizer, average, settings, seed, epoch, progress)
            with average.applied():
                figure = None if validate is None else validate()
                record = EpochRecord(epoch, loss, figure, time.perf_counter() - started)
                run.epochs.append(record)
                if figure is None or run.best_validation is None or figure > run.best_validation:
                    run.best_epoch, run.best_validation, best = epoch, figure, _copy_of(model)
            progress.epoch_ended(record, is_best=run.best_epoch == epoch)
            if checkpoint is not None:
                checkpoint.save(model, optimizer, average, run, best)
        run.ended_by = "patience" if _is_out_of_patience(run, settings) else "epochs"
    except KeyboardInterrupt:
        if run.best_epoch == 0:  # nothing worth keeping yet
            raise
        run.ended_by = "interrupt"
        progress.note(f"interrupted: going on with the best weights so far (epoch {run.best_epoch})")
    model.load_state_dict(best)
    return run


def optimizer_of(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW; biases, norms and the like do not decay."""
    groups: list[dict[str, Any]] = [
        {"params": [one for one in model.parameters() if one.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [one for one in model.parameters() if one.ndim <= 1], "weight_decay": 0.0},
    ]
    betas = (0.9, settings.beta2)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, fused=True)


def _train_epoch(
    model: nn.Module,
    pieces: Pieces,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage,
    settings: TrainingSettings,
    seed: int,
    epoch: int,
    progress: Progress,
) -> float:
    torch.manual_seed(seed * 100_003 + epoch)
    pieces.seed(seed, epoch)
    rng = np.random.default_rng([seed, epoch])
    model.train()
    total, count = 0.0, 0
    for number, step in enumerate(pieces.steps(rng, settings.epoch_steps), start=1):
        _set_learning_rate(optimizer, _learning_rate(settings, epoch, average.steps))
        value, size = pieces.loss_and_gradient(step), sum(len(piece) for piece in step)
        if not math.isfinite(value):
            raise TrainingError(
                f"The loss of epoch {epoch}, batch {number} ({size} queries) is {value}. Its weights are not kept. "
                f"Lower [training] learning_rate (now {settings.learning_rate}), or look for extreme numbers in the features."
            )
        optimizer.step()
        average.update()
        total, count = total + value * size, count + size
        progress.batch_ended(epoch, total / count, sum(len(piece.targets.values) for piece in step))
    return total / count


def _learning_rate(settings: TrainingSettings, epoch: int, steps: int) -> float:
    """Of the step after so many steps, in an epoch counted from 1."""
    fall = 1.0
    if settings.schedule == "cosine":  # Loshchilov and Hutter 2017, from epoch to epoch
        fall = 0.5 * (1 + math.cos(math.pi * (epoch - 1) / settings.epochs))
    return settings.learning_rate * fall * min(1.0, (steps + 1) / max(settings.warmup_steps, 1))


def _set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _is_out_of_patience(run: TrainingRun, settings: TrainingSettings) -> bool:
    return bool(run.epochs) and len(run.epochs) - run.best_epoch >= settings.patience


def _copy_of(model: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(model.state_dict())
