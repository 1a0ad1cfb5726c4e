"""The deep & cross ranker, trained on candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from shortlist.data.dataset import Dataset
from shortlist.evaluation.ranked import RankedCandidates
from shortlist.models.deep_cross import Combination, DeepCross, PairScale
from shortlist.models.deep_cross_network import DeepCrossNetwork
from shortlist.models.pair_features import PairFeatures
from shortlist.settings import DeepCrossSettings, RankerTargets, TrainingSettings
from shortlist.training.checkpoint import Checkpoint
from shortlist.training.progress import Progress
from shortlist.training.ranking_objective import Lesson, RankingObjective, part_of
from shortlist.training.trainer import TrainingRun, device_of, fit

_SCALED_ON = 1000  # queries whose pair features are standardised by


def exponents_of(targets: RankerTargets) -> dict[str, float]:
    """What is foretold, in the network's order, with its exponent in the score."""
    return {name: float(one) for name, one in targets.model_dump().items() if one is not None}


def fit_deep_cross(
    dataset: Dataset,
    lessons: Sequence[Lesson],
    validated_with: PairFeatures,
    valid: RankedCandidates,
    chosen: DeepCrossSettings,
    *,
    seed: int,
    select_on: str,
    device: str = "cpu",
    console: Console | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[DeepCross, TrainingRun]:
    """Train, keep the epoch that is best on validation.

    Args:
        dataset: for features.
        lessons: learned from.
        validated_with: pair features with the statistics of what the validation's retriever was fitted on.
        valid: the queries that select.
        chosen: widths, and how it is trained.
        seed: of everything random.
        select_on: the figure that selects.
        device: as in ``[training]``.
        console: where a person follows the epochs.
        checkpoint: where the state is kept.
    """
    torch.manual_seed(seed)
    exponents = exponents_of(chosen.targets)
    settings = TrainingSettings(
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        epoch_steps=None,
        learning_rate=chosen.learning_rate,
        weight_decay=chosen.weight_decay,
        average=chosen.average,
        patience=chosen.patience,
        device=device,  # type: ignore[arg-type]
    )
    features, num = dataset.item_features, len(validated_with.names)
    network = DeepCrossNetwork(dataset.num_items, dataset.schema, features, num, len(exponents), chosen)
    network = network.to(device_of(settings))
    scale = _scale_of(lessons, np.random.default_rng(seed))
    specs = tuple(network.specs)
    objective = RankingObjective(network, lessons, scale, specs, chosen.num_negatives, chosen.loss)
    ranker = DeepCross(Answering(network), validated_with, scale, specs, Combination(exponents))
    with Progress(len(objective), select_on, console) as progress:
        run = fit(
            network,
            objective,
            lambda: valid.figure(ranker, select_on),
            settings,
            seed=seed,
            progress=progress,
            checkpoint=checkpoint,
            goes_on=True,  # untrained it keeps the retriever's order, which may be the best there is
        )
    return ranker, run


def _scale_of(lessons: Sequence[Lesson], rng: np.random.Generator) -> PairScale:
    """Of the candidates of some queries of each."""
    found = []
    for lesson in lessons:
        some = np.sort(rng.permutation(len(lesson.examples))[: _SCALED_ON // len(lessons) + 1])
        drawn = part_of(lesson.examples, some)
        found.append(lesson.features.of(drawn.queries, drawn.found, drawn.stood))
    return PairScale.of(np.concatenate(found))


class Answering:
    """The module as a function of arrays.

    Args:
        module: in whatever state its training is.
    """

    def __init__(self, module: DeepCrossNetwork) -> None:
        self.module = module

    def __call__(self, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Logits [B, C, targets]."""
        was_training, device = self.module.training, self.module.retrieval.device
        self.module.eval()
        with torch.inference_mode():
            logits = self.module({name: torch.from_numpy(one).to(device) for name, one in inputs.items()})
        self.module.train(was_training)
        found: NDArray[np.float32] = logits.cpu().numpy()
        return found
