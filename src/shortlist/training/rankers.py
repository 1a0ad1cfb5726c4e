"""Settings → a fitted ranker, selected on validation among the candidates its retriever finds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.splitting import Split
from shortlist.evaluation.ranked import RankedCandidates
from shortlist.models.base import Retriever
from shortlist.models.boosted_trees import BoostedTrees
from shortlist.models.ncf import NCF
from shortlist.recommender.served_ranker import ServedRanker, load_ranker, save_boosted_trees, save_ncf
from shortlist.settings import LogisticMFSettings, NCFSettings, NetworkSettings, RankerSettings, Settings
from shortlist.training.baselines import fit_closed_form
from shortlist.training.checkpoint import Checkpoint
from shortlist.training.export import save_deep_cross
from shortlist.training.feature_rankers import FeatureRanker, fit_feature_ranker
from shortlist.training.logistic_mf import fit_logistic_mf
from shortlist.training.ncf_training import fit_ncf
from shortlist.training.retrievers import Fitted
from shortlist.training.trainer import TrainingRun


@dataclass(frozen=True)
class FittedRanker:
    """A ranker and how it came to be."""

    ranker: NCF | FeatureRanker
    settings: RankerSettings
    selected: dict[str, Any] = field(default_factory=dict)
    course: dict[str, Any] = field(default_factory=dict)

    def served(self, folder: Path, dataset: Dataset) -> ServedRanker:
        """Write it in its served form and load it back: what is evaluated is what is served."""
        config = {"settings": self.settings.model_dump(mode="json")}
        if isinstance(self.ranker, NCF):
            save_ncf(self.ranker, folder, config)
        elif isinstance(self.ranker, BoostedTrees):
            save_boosted_trees(self.ranker, folder, config)
        else:
            save_deep_cross(self.ranker, folder, config)
        return load_ranker(folder, dataset)


def fit_ranker(
    dataset: Dataset,
    split: Split,
    settings: Settings,
    retriever: Retriever,
    served: Retriever,
    console: Console | None = None,
    checkpoint_folder: Path | None = None,
    epochs: int | None = None,
) -> FittedRanker:
    """Fit the model of ``[ranker]``, selected on validation.

    Its validation figure is that of the whole path: the retriever's candidates in the ranker's order. Where ``refit`` says so, a
    ranker of ids is fitted anew on both parts; a feature ranker, which has learned from candidates of another retriever than
    that which serves in any case, keeps its weights and takes the statistics of both parts.

    Args:
        retriever: fitted on the training part alone, so that it has not seen what it is asked for (``for_selection``).
        served: the retriever that will serve.
        epochs: of a retriever that is a network, as selected.
    """
    chosen = settings.ranker
    assert chosen is not None

    def checkpoint(part: str) -> Callable[[str], Checkpoint | None]:
        if checkpoint_folder is None:
            return lambda _: None
        known = _fingerprint(settings, split, part)
        return lambda stage: Checkpoint(checkpoint_folder / f"ranker-{part}-{stage}", known)

    if not isinstance(chosen, NCFSettings | LogisticMFSettings):
        kept = checkpoint("selection")(chosen.model)
        ranker, found, course = fit_feature_ranker(dataset, split, settings, retriever, served, epochs, console, kept)
        return FittedRanker(ranker, chosen, found, course)
    return _fit_on_ids(dataset, split, settings, chosen, retriever, console, checkpoint)


def _fit_on_ids(
    dataset: Dataset,
    split: Split,
    settings: Settings,
    chosen: NCFSettings | LogisticMFSettings,
    retriever: Retriever,
    console: Console | None,
    checkpoint: Callable[[str], Callable[[str], Checkpoint | None]],
) -> FittedRanker:
    select_on = settings.evaluation.select_on
    candidates = RankedCandidates(retriever, split.valid, chosen.candidates)

    def fitted(
        train: Interactions, judge: Callable[[NCF], float] | None, part: str, epochs: Mapping[str, int] | None = None
    ) -> tuple[NCF, dict[str, TrainingRun]]:
        shared: dict[str, Any] = {"seed": settings.seed, "figure": select_on, "console": console, "epochs": epochs}
        if isinstance(chosen, LogisticMFSettings):
            return fit_logistic_mf(train, dataset.num_items, chosen, judge, **shared)
        shared |= {"device": settings.training.device, "checkpoints": checkpoint(part)}
        return fit_ncf(train, dataset.num_items, chosen, judge, **shared)

    ranker, runs = fitted(split.train, lambda one: candidates.figure(one, select_on), "selection")
    epochs = {stage: run.best_epoch for stage, run in runs.items()}
    course: dict[str, Any] = {"selection": {stage: run.to_dict() for stage, run in runs.items()}}
    interrupted = any(run.ended_by == "interrupt" for run in runs.values())
    if settings.training.refit and not interrupted:
        if console is not None:
            told = ", ".join(f"{stage} {number} epochs" for stage, number in epochs.items())
            console.print(f"fitting the ranker anew on training and validation part: {told}")
        ranker, again = fitted(split.train_and_valid, None, "refit", epochs)
        course["refit"] = {stage: run.to_dict() for stage, run in again.items()}
    found = {"epochs": epochs[chosen.model], "validation": runs[chosen.model].best_validation}
    return FittedRanker(ranker, chosen, found, course)


def ranker_after(
    fitted: Fitted, dataset: Dataset, split: Split, settings: Settings, console: Console | None, checkpoints: Path
) -> FittedRanker | None:
    """The ranker behind a fitted retriever, where the settings want one."""
    if settings.ranker is None:
        return None
    if console is not None:
        console.print(f"fitting the ranker {settings.ranker.model}")
    retriever = for_selection(fitted, dataset, split, settings)
    folder, epochs = checkpoints / f"seed-{settings.seed}", fitted.selected.get("epochs")
    return fit_ranker(dataset, split, settings, retriever, fitted.retriever, console, folder, epochs)


def for_selection(fitted: Fitted, dataset: Dataset, split: Split, settings: Settings) -> Retriever:
    """The retriever fitted on the training part alone: a network as it was selected, or a closed form computed anew."""
    if fitted.selected_network is not None:
        return fitted.selected_network
    if isinstance(settings.retriever, NetworkSettings) or not settings.training.refit:
        return fitted.retriever
    return fit_closed_form(settings.retriever, split.train, dataset, settings)


def _fingerprint(settings: Settings, split: Split, part: str) -> str:
    values = {**settings.to_dict(), "split": split.description["fingerprint"], "part": part}
    values["evaluation"] = settings.evaluation.select_on
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
