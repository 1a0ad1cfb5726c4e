"""Settings → a fitted retriever, selected on validation."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.splitting import Split
from shortlist.evaluation.evaluator import validation_figure
from shortlist.models.base import Retriever
from shortlist.models.mf import MatrixFactorization
from shortlist.models.popularity import Popularity
from shortlist.models.softmax_dnn import SoftmaxDNN
from shortlist.recommender.served_retriever import ServedRetriever, load_retriever, save_retriever
from shortlist.settings import MFSettings, PopularitySettings, Settings, SoftmaxDNNSettings
from shortlist.training.batches import TrainingExamples
from shortlist.training.checkpoint import Checkpoint
from shortlist.training.export import save_softmax_dnn
from shortlist.training.objective import SoftmaxObjective
from shortlist.training.progress import Progress
from shortlist.training.trainer import TrainingRun, device_of, fit

# Settings of the mf row, tried in this order, `evaluation.baseline_trials` of them: d, α0, λ. A search over 64 settings on
# ML-100K (docs/LOG.md) had its best at the large end of d and α0, so most trials stand there.
MF_TRIALS = [
    {"embedding_dim": dim, "unobserved_weight": weight, "regularization": regularization}
    for dim, weight, regularization in (
        (128, 1.0, 0.003),
        (128, 0.3, 0.003),
        (64, 0.1, 0.003),
        (128, 1.0, 0.01),
        (128, 3.0, 0.003),
        (64, 0.3, 0.01),
        (64, 1.0, 0.003),
        (128, 0.3, 0.01),
    )
]


@dataclass(frozen=True)
class Fitted:
    """A retriever and how it came to be."""

    retriever: Retriever
    selected: dict[str, Any] = field(default_factory=dict)
    course: dict[str, Any] = field(default_factory=dict)


def fit_retriever(
    dataset: Dataset,
    split: Split,
    settings: Settings,
    console: Console | None = None,
    checkpoint_folder: Path | None = None,
) -> Fitted:
    """Fit the model of ``[retriever]``."""
    chosen = settings.retriever
    last = split.train_and_valid if settings.training.refit else split.train
    if isinstance(chosen, PopularitySettings):
        return Fitted(Popularity.fit(last, dataset.num_items))
    if isinstance(chosen, MFSettings):
        return Fitted(
            MatrixFactorization.fit(last, dataset.num_items, chosen, settings.seed),
            chosen.model_dump(mode="json"),
        )
    return _fit_softmax_dnn(dataset, split, chosen, settings, console, checkpoint_folder)


def fit_baseline(name: str, dataset: Dataset, split: Split, settings: Settings) -> Fitted:
    """Fit ``popularity``, or ``mf`` with the best of a few stated settings on validation."""
    last = split.train_and_valid if settings.training.refit else split.train
    if name == "popularity":
        return Fitted(Popularity.fit(last, dataset.num_items))
    trials = []
    for trial in MF_TRIALS[: settings.evaluation.baseline_trials]:
        mf_settings = MFSettings.model_validate(trial)
        model = MatrixFactorization.fit(split.train, dataset.num_items, mf_settings, settings.seed)
        trials.append((validation_figure(model, split.valid, settings.evaluation.select_on), mf_settings))
    figure, best = max(trials, key=lambda one: one[0])
    note = {
        "selected_on": f"validation {settings.evaluation.select_on}",
        "validation": figure,
        "trials": len(trials),
    }
    return Fitted(
        MatrixFactorization.fit(last, dataset.num_items, best, settings.seed),
        {**best.model_dump(mode="json"), **note},
    )


def _fit_softmax_dnn(
    dataset: Dataset,
    split: Split,
    chosen: SoftmaxDNNSettings,
    settings: Settings,
    console: Console | None,
    checkpoint_folder: Path | None,
) -> Fitted:
    def train(part: Interactions, training: Any, validate: bool, folder: str) -> tuple[SoftmaxDNN, TrainingRun]:
        torch.manual_seed(settings.seed)
        counts = np.bincount(part.item_idx[part.liked], minlength=dataset.num_items)
        model = SoftmaxDNN(
            dataset.num_items,
            dataset.schema.query,
            chosen,
            counts,
            dataset.schema.side("item"),
            dataset.item_features,
        ).to(device_of(training))
        examples = TrainingExamples(dataset, part, chosen.target_window)
        objective = SoftmaxObjective(model, examples, remove_seen=settings.split.seen == "remove")
        select_on = settings.evaluation.select_on
        checkpoint = None
        if checkpoint_folder is not None:
            checkpoint = Checkpoint(checkpoint_folder / folder, _fingerprint(settings, split, folder))
        with Progress(len(examples), select_on, console) as progress:
            run = fit(
                model,
                objective,
                (lambda: validation_figure(model, split.valid, select_on)) if validate else None,
                training,
                seed=settings.seed,
                progress=progress,
                checkpoint=checkpoint,
            )
        return model, run

    model, run = train(split.train, settings.training, True, "selection")
    course: dict[str, Any] = {"selection": run.to_dict()}
    if settings.training.refit and run.ended_by != "interrupt":
        say = (console or Console(quiet=True)).print
        say(f"fitting anew on training and validation part, {run.best_epoch} epochs")
        again = settings.training.model_copy(update={"epochs": run.best_epoch})
        try:
            refitted, refit = train(split.train_and_valid, again, False, "refit")
            if refit.ended_by == "interrupt":
                raise KeyboardInterrupt
            model, course["refit"] = refitted, refit.to_dict()
        except KeyboardInterrupt:  # a half-fitted model is worse than the selected one
            say("interrupted: going on with the model fitted on the training part")
    return Fitted(model, {"epochs": run.best_epoch, "validation": run.best_validation}, course)


def _fingerprint(settings: Settings, split: Split, part: str) -> str:
    values = {**settings.to_dict(), "split": split.description["fingerprint"], "part": part}
    values["evaluation"] = settings.evaluation.select_on  # how the figures are reported changes no weights
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def serve(retriever: Retriever, dataset: Dataset, folder: Path) -> ServedRetriever:
    """Write a retriever in its served form and load it back: what is evaluated is what is served."""
    folder.mkdir(parents=True)
    if isinstance(retriever, SoftmaxDNN):
        config = save_softmax_dnn(retriever, folder)
    elif isinstance(retriever, (MatrixFactorization, Popularity)):
        config = retriever.config()
    else:
        raise TypeError(f"no served form for {type(retriever).__name__}")
    save_retriever(retriever, folder, config)
    return load_retriever(folder, dataset.schema)
