"""What ``shortlist tune`` does: try settings within their documented ranges, keep what is best on validation.

The search is Optuna's; its study is one file in the output folder, so that a search that ended early goes on.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.text import Text

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import Holdout, split
from shortlist.errors import ShortlistError, TrainingError
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_for_selection

try:
    import optuna
    import tomli_w  # noqa: F401 - needed when the first trial has ended, so it is asked for before it begins
    from optuna.trial import FrozenTrial, TrialState

    from shortlist.training.tuning_records import TrialRecord, TuningResult, figure_of, listed
    from shortlist.training.tuning_space import decoded, encode, range_text, search_space, value_of, with_parameters
    from shortlist.training.tuning_study import alone_in, open_study, write_results
except ModuleNotFoundError as error:
    raise TrainingError(
        f"Tuning needs a package that is not installed: {error.name}. Install it with `pip install 'shortlist[tune]'`."
    ) from None

_MOST_KILLS = 2  # of the process while the same parameters are tried: they may be what eats the memory


def tune(
    settings: Settings, out: str | Path, trials: int = 30, minutes: float | None = None, console: Console | None = None
) -> TuningResult:
    """Search the documented ranges of the model's settings, and of a network's training.

    The data are loaded and split once. Every trial is fitted on the training part and measured on validation; the test
    part is not looked at, and nothing is refitted. The first trial is the settings as given, so the result is never
    worse on validation. A given value outside its documented range widens the range. Ctrl-C ends the search with the
    best so far; called again with the same ``out``, it goes on, and draws what it would have drawn had it never ended.

    Args:
        settings: the whole run.
        out: folder of ``best.toml`` (complete settings to train), ``trials.json`` and the study; made where it is
            missing.
        trials: the search ends with this many finished trials, those of earlier calls included.
        minutes: no further trial begins after this long, counted anew by every call; None: no limit.
        console: where a person follows it; None: silent.

    Raises:
        TrainingError: the model has nothing to search; ``out`` holds a search of other settings or data, cannot be
            read, or is in use; no trial ended with a figure.
        ShortlistError: the data cannot be used. One that a single trial raises is recorded with the trial.
        KeyboardInterrupt: Ctrl-C before any trial was complete.
    """
    out, say = Path(out), (console or Console(quiet=True)).print
    space = search_space(settings)
    if not space:
        raise TrainingError(
            f'[retriever] model = "{settings.retriever.model}" has no setting with a range to search. '
            "`shortlist train --help-settings` shows the ranges (tuned over ...): choose a model that has some."
        )
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split, settings.seed)
    say(str(dataset.summary))
    with alone_in(out):
        study = open_study(out, settings, parts.description["fingerprint"], space)
        search = _Search(study, settings, dataset, parts.train, parts.valid, out)
        search.take_up()
        result = search.result()
        say(
            f"searching for the best validation {result.select_on}, {trials} trials → {out}",
            markup=False,
            soft_wrap=True,
        )
        for name, distribution in search.space.items():
            say(f"    {name}: {range_text(distribution)}", markup=False, soft_wrap=True)
        if result.num_finished:
            say(f"going on after {result.num_finished} finished trials")
        started = time.perf_counter()
        try:
            while result.num_finished < trials:
                spent = time.perf_counter() - started
                if minutes is not None and result.num_finished and spent > 60 * minutes:
                    say(f"{minutes:g} minutes are over")
                    break
                number = search.run_trial(console, f"{result.num_finished + 1}/{trials}")
                result = search.result()
                write_results(result, settings, out)
                say(_line(result, number, trials), markup=False, soft_wrap=True)
        except KeyboardInterrupt:
            result = search.result()
            write_results(result, settings, out)
            if not result.ranking:
                raise
            say("interrupted: this is the best so far; the same command goes on")
        result = search.result(importance=True)
        write_results(result, settings, out)
    if not result.ranking:
        errors = [one.error for one in result.trials if one.error]
        raise TrainingError(
            f"None of {result.num_finished} trials ended with a validation figure; the first said: {errors[0]} "
            f"All are recorded in {out / 'trials.json'}. Try the settings with `shortlist train` first."
        )
    return result


class _Search:
    """A study with what its trials need. It does not hold the test part."""

    def __init__(
        self,
        study: optuna.Study,
        settings: Settings,
        dataset: Dataset,
        train: Interactions,
        valid: Holdout,
        out: Path,
    ) -> None:
        self.study, self.settings, self.out = study, settings, out
        self.dataset, self.train, self.valid = dataset, train, valid
        self.space = {
            name: optuna.distributions.json_to_distribution(text) for name, text in study.user_attrs["space"].items()
        }
        self.given = {name: encode(self.space[name], value_of(settings, name)) for name in self.space}

    def take_up(self) -> None:
        """Queue what a killed process left undone, and the settings as given where they were not tried."""
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            self._leave(trial.number, killed=True)
        tried = [_known_parameters(one) for one in self.study.get_trials(deepcopy=False) if not _was_interrupted(one)]
        if self.given not in tried:
            self.study.enqueue_trial(self.given)

    def run_trial(self, console: Console | None, count: str) -> int:
        """Run the next trial; its number, from 1."""
        number = len(self.study.get_trials(deepcopy=False))
        # a generator of its own for every trial: a search that goes on does not draw its first numbers again
        self.study.sampler = optuna.samplers.TPESampler(
            seed=int(np.random.SeedSequence([self.settings.seed, number]).generate_state(1)[0])
        )
        trial = self.study.ask(self.space)
        parameters = decoded(trial.params)
        started = time.perf_counter()
        state, figure, failure = TrialState.COMPLETE, None, None
        with _status(console) as show:
            show(f"{count}  trial {trial.number + 1}: {listed(parameters)}")

            def after_epoch(epoch: int, value: float) -> None:
                trial.report(value, epoch)
                show(f"{count}  trial {trial.number + 1}, epoch {epoch}, {value:.4f}: {listed(parameters)}")
                is_last = epoch == self.settings.training.epochs
                if not is_last and trial.params != self.given and trial.should_prune():
                    raise optuna.TrialPruned

            try:
                selection = fit_for_selection(
                    self.dataset,
                    self.train,
                    self.valid,
                    with_parameters(self.settings, parameters),
                    after_epoch=after_epoch,
                )
                if selection.run is not None and selection.run.ended_by == "interrupt":
                    raise KeyboardInterrupt
                if math.isfinite(selection.figure):
                    figure = selection.figure
                else:
                    state, failure = TrialState.FAIL, f"The validation figure is {selection.figure}."
            except optuna.TrialPruned:
                state = TrialState.PRUNED
            except ShortlistError as error:
                state, failure = TrialState.FAIL, str(error)
            except (MemoryError, torch.OutOfMemoryError) as error:
                state, failure = TrialState.FAIL, f"Out of memory: {error}"
            except KeyboardInterrupt:
                trial.set_user_attr("ctrl_c", True)
                self._leave(trial.number, killed=False)
                raise
        trial.set_user_attr("seconds", round(time.perf_counter() - started, 3))
        if failure is not None:
            trial.set_user_attr("error", failure)
        self.study.tell(trial, figure, state)
        return trial.number + 1

    def _leave(self, number: int, *, killed: bool) -> None:
        """End a trial that did not end by itself, and queue its parameters again, unless they seem to kill the process."""
        trial = self.study.get_trials(deepcopy=False)[number]
        kills = trial.user_attrs.get("kills", 0) + killed
        if kills < _MOST_KILLS and (known := _known_parameters(trial)):
            self.study.enqueue_trial(known, user_attrs={"kills": kills})
        self.study.tell(number, state=TrialState.FAIL)

    def result(self, *, importance: bool = False) -> TuningResult:
        """The study as plain records."""
        ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        records = tuple(self._record(trial) for trial in self.study.get_trials(deepcopy=False, states=ended))
        shares: dict[str, float] = {}
        if importance and sum(one.state == "complete" for one in records) >= 10:
            shares = _importance(self.study)
        settings = self.settings
        return TuningResult(settings.retriever.model, settings.evaluation.select_on, records, shares, self.out)

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        state, error = trial.state.name.lower(), trial.user_attrs.get("error")
        if _was_interrupted(trial):
            state, error = "interrupted", "ended by Ctrl-C or a kill; its parameters are tried again"
        elif trial.state == TrialState.FAIL:
            state, error = "failed", error or f"the process was killed {_MOST_KILLS} times with these parameters"
        epochs = trial.intermediate_values
        known = [value for value in epochs.values() if math.isfinite(value)]
        figure = trial.value if trial.state == TrialState.COMPLETE else max(known, default=None)
        return TrialRecord(
            number=trial.number + 1,
            state=state,
            parameters=decoded(trial.params),
            validation=figure,
            epochs=len(epochs) or None,
            seconds=trial.user_attrs.get("seconds"),
            error=error,
            as_given=trial.params == self.given,
        )


def _known_parameters(trial: FrozenTrial) -> dict[str, Any]:
    """Also of a trial that was queued and has not begun."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _was_interrupted(trial: FrozenTrial) -> bool:
    """Whether its parameters were queued again. A trial that ended by itself has its seconds."""
    if trial.state != TrialState.FAIL or "seconds" in trial.user_attrs:
        return False
    return "ctrl_c" in trial.user_attrs or trial.user_attrs.get("kills", 0) + 1 < _MOST_KILLS


def _importance(study: optuna.Study) -> dict[str, float]:
    """Share of each parameter in reaching the better trials (PED-ANOVA, Watanabe et al. 2023), largest first."""
    evaluator: Any = optuna.importance.PedAnovaImportanceEvaluator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of few trials, which the reader is told anyway
        try:
            return dict(optuna.importance.get_param_importances(study, evaluator=evaluator()))
        except (RuntimeError, ValueError):  # all trials alike
            return {}


@contextlib.contextmanager
def _status(console: Console | None) -> Iterator[Any]:
    """A line that tells what is being tried; on a terminal only."""
    if console is None or not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield lambda text: status.update(Text(text[: console.width - 4]))


def _line(result: TuningResult, number: int, trials: int) -> str:
    one = next(one for one in result.trials if one.number == number)
    start = f"{result.num_finished:>{len(str(trials))}}/{trials}  trial {number:<3} {one.seconds or 0:>6.1f} s  "
    if one.state == "failed":
        return f"{start}failed: {one.error}"
    if one.state == "pruned":
        return f"{start}{result.select_on} {figure_of(one):.4f}  ended after epoch {one.epochs}: below the median"
    best = "← best so far" if one is result.best else f"best {figure_of(result.best):.4f} (trial {result.best.number})"
    return f"{start}{result.select_on} {figure_of(one):.4f}  {best}{'  the settings as given' if one.as_given else ''}"
