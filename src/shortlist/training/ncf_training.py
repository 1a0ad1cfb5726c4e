"""GMF, MLP and NeuMF, trained: alone, or NeuMF from its two halves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from rich.console import Console

from shortlist.data.interactions import Interactions
from shortlist.models.ncf import NCF
from shortlist.models.ncf_network import NCFNetwork, join
from shortlist.settings import NCFSettings, TrainingSettings
from shortlist.training.checkpoint import Checkpoint
from shortlist.training.ncf_objective import NCFObjective
from shortlist.training.progress import Progress
from shortlist.training.trainer import TrainingRun, device_of, fit

_STEPS = 240  # of an epoch: in fewer a small data set learns little, and steps of more than 4,096 gain nothing
Judge = Callable[[NCF], float]


def fit_ncf(
    train: Interactions,
    num_items: int,
    chosen: NCFSettings,
    judge: Judge | None,
    *,
    seed: int,
    device: str = "cpu",
    figure: str = "",
    console: Console | None = None,
    checkpoints: Callable[[str], Checkpoint | None] = lambda _: None,
    epochs: Mapping[str, int] | None = None,
) -> tuple[NCF, dict[str, TrainingRun]]:
    """Train the ranker of these settings.

    Args:
        train: its likes are the positives.
        num_items: N.
        chosen: model, widths, and how it is trained.
        judge: validation figure of a ranker, higher is better; None: keep the last epoch.
        seed: of everything random.
        device: as in ``[training]``.
        figure: name of what ``judge`` gives.
        console: where a person follows the epochs.
        checkpoints: where each stage keeps its state.
        epochs: of each stage, in place of ``chosen.epochs``.

    Returns:
        The ranker, and the course of each stage: ``gmf`` and ``mlp`` first where NeuMF is pre-trained.
    """
    known = np.bincount(train.user_idx[train.liked], minlength=train.num_users) > 0
    runs: dict[str, TrainingRun] = {}

    def train_stage(stage: NCFSettings, network: NCFNetwork, *, plain_sgd: bool = False) -> NCFNetwork:
        network = network.to(device_of(TrainingSettings(device=device)))  # type: ignore[arg-type]
        if console is not None and chosen.pretrained:
            console.print(f"{stage.model}{' from gmf and mlp, with plain SGD' if plain_sgd else ''}")
        objective = NCFObjective(network, train, stage.num_negatives, stage.regularization)
        rate = stage.sgd_learning_rate if plain_sgd else stage.learning_rate
        with Progress(len(objective), figure, console) as progress:
            runs[stage.model] = fit(
                network,
                objective,
                None if judge is None else (lambda: judge(NCF(stage.model, network.folded(), known))),
                _training_settings(stage, rate, len(objective)),
                seed=seed,
                progress=progress,
                checkpoint=checkpoints(stage.model),
                goes_on=plain_sgd,
                stop_after=None if epochs is None else epochs[stage.model],
                optimizer=torch.optim.SGD(network.parameters(), lr=rate) if plain_sgd else _adamw(network, stage),
            )
        return network

    def untrained(stage: NCFSettings) -> NCFNetwork:
        torch.manual_seed(seed)
        return NCFNetwork(train.num_users, num_items, stage)

    network = untrained(chosen)
    if chosen.pretrained:
        halves = [chosen.model_copy(update={"model": name, "pretrained": False}) for name in ("gmf", "mlp")]
        trained = [train_stage(half, untrained(half)) for half in halves]
        join(trained[0], trained[1], network, chosen.alpha)
    network = train_stage(chosen, network, plain_sgd=chosen.pretrained)
    return NCF(chosen.model, network.folded(), known), runs


def _adamw(network: NCFNetwork, chosen: NCFSettings) -> torch.optim.Optimizer:
    """Matrices of the tower and the head decay, else they would grow where ``regularization`` keeps the vectors small."""
    matrices = [*(layer.weight for layer in network.tower), network.head.weight]
    others = [one for one in network.parameters() if all(one is not matrix for matrix in matrices)]
    decay = chosen.weight_decay if chosen.weight_decay is not None else 0.0 if chosen.model == "gmf" else 0.1
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=chosen.learning_rate, fused=True)


def _training_settings(chosen: NCFSettings, rate: float, num_positives: int) -> TrainingSettings:
    """As the trainer wants them."""
    batch_size = chosen.batch_size or min(max(num_positives // _STEPS, 64), 4096)
    return TrainingSettings(
        epochs=chosen.epochs,
        batch_size=batch_size,
        epoch_steps=None,
        learning_rate=rate,
        schedule=chosen.schedule,
        average=chosen.average,
        patience=chosen.patience,
    )
