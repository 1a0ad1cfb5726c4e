"""Settings → a fitted retriever, selected on validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.splitting import Holdout, Split
from shortlist.evaluation.evaluator import validation_figure
from shortlist.models.base import Retriever
from shortlist.models.item_item import ItemItem
from shortlist.models.mf import MatrixFactorization
from shortlist.models.network import NetworkRetriever
from shortlist.models.popularity import Popularity
from shortlist.recommender.served_retriever import ServedRetriever, load_retriever, save_retriever, save_vectors
from shortlist.settings import MFSettings, NetworkSettings, Settings
from shortlist.training.baselines import fit_closed_form
from shortlist.training.checkpoint import Checkpoint
from shortlist.training.continuation import Start
from shortlist.training.export import save_network
from shortlist.training.networks import for_corpus, objective_of, untrained
from shortlist.training.progress import Progress
from shortlist.training.trainer import EpochRecord, TrainingRun, device_of, fit

AfterEpoch = Callable[[int, float], None]


@dataclass(frozen=True)
class Fitted:
    """A retriever and how it came to be; a network that was fitted anew after selection also as it was selected."""

    retriever: Retriever
    selected: dict[str, Any] = field(default_factory=dict)
    course: dict[str, Any] = field(default_factory=dict)
    selected_network: NetworkRetriever | None = None


def fit_retriever(
    dataset: Dataset,
    split: Split,
    settings: Settings,
    console: Console | None = None,
    checkpoint_folder: Path | None = None,
    start: Start | None = None,
) -> Fitted:
    """Fit the model of ``[retriever]``: select on validation, then (``refit``) fit on both parts; from ``start`` on."""
    chosen = settings.retriever
    if isinstance(chosen, NetworkSettings):
        return _select_and_refit(dataset, split, chosen, settings, console, checkpoint_folder, start)
    last = split.train_and_valid if settings.training.refit else split.train
    retriever: Retriever
    if start is not None and isinstance(chosen, MFSettings):
        initial = start.item_vectors()
        retriever = MatrixFactorization.fit(last, dataset.num_items, chosen, settings.seed, initial=initial)
    else:
        if start is not None and console is not None:
            console.print(f"{chosen.model} is computed from the data in one go: it is fitted anew")
        retriever = fit_closed_form(chosen, last, dataset, settings)
    return Fitted(retriever, chosen.model_dump(mode="json", exclude={"model"}))


def fit_again(
    dataset: Dataset, learned: Interactions, settings: Settings, epochs: int | None, console: Console | None = None
) -> Retriever:
    """Fit the model of ``[retriever]`` on another part of the log, with nothing to select on.

    Args:
        dataset: items, users and their features.
        learned: that part.
        settings: of the run.
        epochs: of a network, as they were selected; None: all of ``[training] epochs``.
        console: where a person follows a network's epochs.
    """
    chosen = settings.retriever
    if not isinstance(chosen, NetworkSettings):
        return fit_closed_form(chosen, learned, dataset, settings)
    return _train_network(dataset, learned, None, chosen, settings, console, None, stop_after=epochs)[0]


@dataclass(frozen=True)
class Selection:
    """A retriever fitted on the training part, its validation figure, and the course of a network's training."""

    retriever: Retriever
    figure: float
    run: TrainingRun | None = None


def fit_for_selection(
    dataset: Dataset,
    train: Interactions,
    valid: Holdout,
    settings: Settings,
    console: Console | None = None,
    checkpoint: Checkpoint | None = None,
    after_epoch: AfterEpoch | None = None,
    start: Start | None = None,
) -> Selection:
    """Fit on the training part and measure on validation. The test part is not even passed in.

    Args:
        dataset: items, users and their features.
        train: learned from.
        valid: asked.
        settings: the whole run; ``refit`` plays no part here.
        console: where a person follows a network's epochs.
        checkpoint: where a network keeps its state.
        after_epoch: is told the epoch and its validation figure; what it raises ends the training.
        start: what a network goes on from.
    """
    chosen = settings.retriever
    if isinstance(chosen, NetworkSettings):
        model, run = _train_network(dataset, train, valid, chosen, settings, console, checkpoint, after_epoch, start)
        assert run.best_validation is not None
        return Selection(model, run.best_validation, run)
    retriever = fit_closed_form(chosen, train, dataset, settings)
    return Selection(retriever, validation_figure(retriever, valid, settings.evaluation.select_on))


def _select_and_refit(
    dataset: Dataset,
    split: Split,
    chosen: NetworkSettings,
    settings: Settings,
    console: Console | None,
    checkpoint_folder: Path | None,
    start: Start | None,
) -> Fitted:
    def checkpoint(part: str) -> Checkpoint | None:
        if checkpoint_folder is None:
            return None
        return Checkpoint(checkpoint_folder / part, _fingerprint(settings, split, part, start))

    selection = fit_for_selection(
        dataset, split.train, split.valid, settings, console, checkpoint("selection"), start=start
    )
    model, run = selection.retriever, selection.run
    assert run is not None
    assert isinstance(model, NetworkRetriever)
    selected = model
    course: dict[str, Any] = {"selection": run.to_dict()}
    if settings.training.refit and run.ended_by != "interrupt":
        say = (console or Console(quiet=True)).print
        say(f"fitting anew on training and validation part, {run.best_epoch} epochs")
        try:
            refitted, refit = _train_network(
                dataset,
                split.train_and_valid,
                None,
                chosen,
                settings,
                console,
                checkpoint("refit"),
                None,
                start,
                stop_after=run.best_epoch,
            )
            if refit.ended_by == "interrupt":
                raise KeyboardInterrupt
            model, course["refit"] = refitted, refit.to_dict()
        except KeyboardInterrupt:  # a half-fitted model is worse than the selected one
            say("interrupted: going on with the model fitted on the training part")
    found = {"epochs": run.best_epoch, "validation": run.best_validation}
    return Fitted(model, found, course, None if model is selected else selected)


def _train_network(
    dataset: Dataset,
    train: Interactions,
    valid: Holdout | None,
    chosen: NetworkSettings,
    settings: Settings,
    console: Console | None,
    checkpoint: Checkpoint | None,
    after_epoch: AfterEpoch | None = None,
    start: Start | None = None,
    stop_after: int | None = None,
) -> tuple[NetworkRetriever, TrainingRun]:
    torch.manual_seed(settings.seed)
    settings = for_corpus(settings, dataset.num_items)
    assert isinstance(settings.retriever, NetworkSettings)
    chosen = settings.retriever
    model = untrained(dataset, train, chosen).to(device_of(settings.training))
    if start is not None:
        start.carry_over(model, selected=valid is not None)
    objective = objective_of(model, dataset, train, chosen, settings)
    select_on = settings.evaluation.select_on
    with _TellingProgress(len(objective.examples), select_on, console, after_epoch) as progress:
        run = fit(
            model,
            objective,
            None if valid is None else (lambda: validation_figure(model, valid, select_on)),
            settings.training,
            seed=settings.seed,
            progress=progress,
            checkpoint=checkpoint,
            goes_on=start is not None,
            stop_after=stop_after,
        )
    return model, run


class _TellingProgress(Progress):
    """Tells somebody else of every epoch as well."""

    def __init__(self, per_epoch: int, figure: str, console: Console | None, after_epoch: AfterEpoch | None) -> None:
        super().__init__(per_epoch, figure, console)
        self._after_epoch = after_epoch

    def epoch_ended(self, record: EpochRecord, *, is_best: bool) -> None:
        super().epoch_ended(record, is_best=is_best)
        if self._after_epoch is not None and record.validation is not None:
            self._after_epoch(record.epoch, record.validation)


def _fingerprint(settings: Settings, split: Split, part: str, start: Start | None) -> str:
    values = {**settings.to_dict(), "split": split.description["fingerprint"], "part": part}
    del values["rerank"]  # has no part in training
    values |= {} if start is None else {"from": start.fingerprint}
    values["evaluation"] = settings.evaluation.select_on  # how the figures are reported changes no weights
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def serve(retriever: Retriever, dataset: Dataset, folder: Path) -> ServedRetriever:
    """Write a retriever in its served form and load it back: what is evaluated is what is served."""
    folder.mkdir(parents=True)
    if isinstance(retriever, NetworkRetriever):
        config = save_network(retriever, folder)
    elif isinstance(retriever, (MatrixFactorization, Popularity, ItemItem)):
        config = retriever.config()
    else:
        raise TypeError(f"no served form for {type(retriever).__name__}")
    if isinstance(retriever, ItemItem) and retriever.history_vectors is not None:
        save_vectors(retriever.history_vectors, folder, "history_vectors")
    save_retriever(retriever, folder, config)
    return load_retriever(folder, dataset.schema)


def num_parameters(retriever: Retriever) -> int:
    """Numbers that were fitted: a network's weights, else what is stored of the items."""
    if isinstance(retriever, torch.nn.Module):
        return sum(one.numel() for one in retriever.parameters())
    vectors = retriever.encode_items()
    return int(vectors.size)
