"""What ``shortlist tune`` does: try settings within their documented ranges, keep what is best on validation.

The search is Optuna's; its study is one file in the output folder, so that a search that ended early goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import Holdout, split
from shortlist.errors import ShortlistError, TrainingError
from shortlist.settings import NetworkSettings, OneOf, Range, Settings
from shortlist.training.retrievers import fit_for_selection

try:
    import optuna
    import tomli_w
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import FrozenTrial, TrialState
except ModuleNotFoundError as error:
    raise TrainingError(
        f"Tuning needs a package that is not installed: {error.name}. Install it with `pip install 'shortlist[tune]'`."
    ) from None

# What a study's settings may differ in without changing any validation figure.
_CHANGES_NOTHING = ("data.memory_limit", "training.refit")
_FILES = tuple(f"data.{name}" for name in ("interactions", "users", "items"))
_FILES += tuple(f"split.{name}" for name in ("train", "valid", "test", "negatives"))
_MOST_KILLS = 2  # of the process while the same parameters are tried: they may be what eats the memory


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Args:
        number: counts from 1.
        state: ``complete``; ``pruned`` (ended early, hopeless); ``failed``, see ``error``; ``interrupted`` (by Ctrl-C
            or
            a kill: its parameters are tried again under another number).
        parameters: the searched settings, by ``section.key``.
        validation: the figure selected on; of a pruned trial the best until then.
        epochs: that a network was trained for.
        seconds: fitting and measuring.
        error: why it failed.
        as_given: whether these are the settings the search was started with.
    """

    number: int
    state: str
    parameters: dict[str, Any]
    validation: float | None
    epochs: int | None
    seconds: float | None
    error: str | None
    as_given: bool


@dataclass(frozen=True)
class TuningResult:
    """All trials so far, and what they say.

    Args:
        model: name of the tuned model.
        select_on: name of the validation figure.
        trials: in the order they began.
        importance: share of each parameter in reaching the good trials; empty with fewer than 10 complete ones.
        out: folder with ``best.toml``, ``trials.json`` and the study.
    """

    model: str
    select_on: str
    trials: tuple[TrialRecord, ...]
    importance: Mapping[str, float]
    out: Path

    @property
    def ranking(self) -> list[TrialRecord]:
        """Complete trials, best first; of equals the earlier one."""
        complete = [one for one in self.trials if one.state == "complete"]
        return sorted(complete, key=lambda one: -_figure(one))

    @property
    def best(self) -> TrialRecord:
        """The complete trial with the highest validation figure."""
        return self.ranking[0]

    @property
    def given(self) -> TrialRecord | None:
        """The trial of the settings as given, where it is complete."""
        return next((one for one in self.ranking if one.as_given), None)

    @property
    def num_finished(self) -> int:
        """Trials that ended by themselves: complete, pruned or failed."""
        return sum(one.state != "interrupted" for one in self.trials)

    def to_dict(self) -> dict[str, Any]:
        """As in ``trials.json``."""
        return {
            "model": self.model,
            "select_on": self.select_on,
            "num_finished": self.num_finished,
            "best": asdict(self.best) if self.ranking else None,
            "importance": {name: round(share, 4) for name, share in self.importance.items()},
            "out": str(self.out),
            "trials": [asdict(one) for one in self.trials],
        }

    def table(self, rows: int = 10) -> Table:
        """The best trials, for people."""
        shown = self.ranking[:rows]
        table = Table(
            title=f"{self.model}: best {len(shown)} of {self.num_finished} trials, on validation",
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            padding=(0, 1 if len(self.best.parameters) < 6 else 0, 0, 0),  # a network's fit into 80 columns
        )
        table.add_column("#", justify="right", style="dim")
        table.add_column(self.select_on, justify="right", style="bold")
        for name in self.best.parameters:  # history_dropout may break into two lines
            table.add_column(name.split(".")[-1].replace("_", " "), justify="right", overflow="fold")
        for one in shown:
            table.add_row(str(one.number), f"{_figure(one):.4f}", *map(_short, one.parameters.values()))
        return table

    def summary(self) -> str:
        """Best against given in one line."""
        best, given = self.best, self.given
        text = f"best: trial {best.number}, validation {self.select_on} {_figure(best):.4f}"
        if given is best:
            return f"{text}, the settings as given"
        return text if given is None else f"{text}; the settings as given: {_figure(given):.4f} (trial {given.number})"


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
    space = _space(settings)
    if not space:
        raise TrainingError(
            f'[retriever] model = "{settings.retriever.model}" has no setting with a range to search. '
            "`shortlist train --help-settings` shows the ranges (tuned over ...): choose a model that has some."
        )
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split, settings.seed)
    say(str(dataset.summary))
    with _alone_in(out):
        study = _open_study(out, settings, parts.description["fingerprint"], space)
        search = _Search(study, settings, dataset, parts.train, parts.valid, out)
        search.take_up()
        result = search.result()
        say(
            f"searching for the best validation {result.select_on}, {trials} trials → {out}",
            markup=False,
            soft_wrap=True,
        )
        for name, distribution in search.space.items():
            say(f"    {name}: {_range(distribution)}", markup=False, soft_wrap=True)
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
                _write(result, settings, out)
                say(_line(result, number, trials), markup=False, soft_wrap=True)
        except KeyboardInterrupt:
            result = search.result()
            _write(result, settings, out)
            if not result.ranking:
                raise
            say("interrupted: this is the best so far; the same command goes on")
        result = search.result(importance=True)
        _write(result, settings, out)
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
        self.given = {name: _encode(self.space[name], _value(settings, name)) for name in self.space}

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
        parameters = _decoded(trial.params)
        started = time.perf_counter()
        state, figure, failure = TrialState.COMPLETE, None, None
        with _status(console) as show:
            show(f"{count}  trial {trial.number + 1}: {_listed(parameters)}")

            def after_epoch(epoch: int, value: float) -> None:
                trial.report(value, epoch)
                show(f"{count}  trial {trial.number + 1}, epoch {epoch}, {value:.4f}: {_listed(parameters)}")
                is_last = epoch == self.settings.training.epochs
                if not is_last and trial.params != self.given and trial.should_prune():
                    raise optuna.TrialPruned

            try:
                selection = fit_for_selection(
                    self.dataset,
                    self.train,
                    self.valid,
                    _with(self.settings, parameters),
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
            parameters=_decoded(trial.params),
            validation=figure,
            epochs=len(epochs) or None,
            seconds=trial.user_attrs.get("seconds"),
            error=error,
            as_given=trial.params == self.given,
        )


def _space(settings: Settings) -> dict[str, BaseDistribution]:
    """Every setting with a documented range: of the model, and of the training where it is a network."""
    space: dict[str, BaseDistribution] = {}
    for section in ("retriever", "training") if isinstance(settings.retriever, NetworkSettings) else ("retriever",):
        table = getattr(settings, section)
        for key, field in type(table).model_fields.items():
            for one in field.metadata:
                if isinstance(one, (Range, OneOf)):
                    space[f"{section}.{key}"] = _distribution(one, getattr(table, key), is_int=field.annotation is int)
    return space


def _distribution(allowed: Range | OneOf, given: Any, *, is_int: bool) -> BaseDistribution:
    """As documented, and widened to the given value where that lies outside."""
    if isinstance(allowed, OneOf):
        choices = [json.dumps(value) for value in allowed.values]  # text: Optuna keeps no lists
        return CategoricalDistribution(list(dict.fromkeys([*choices, json.dumps(given)])))
    low, high = min(allowed.low, given), max(allowed.high, given)
    if is_int:
        return IntDistribution(math.ceil(low), math.floor(high), log=allowed.log)
    return FloatDistribution(low, high, log=allowed.log)


def _encode(distribution: BaseDistribution, value: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return json.dumps(value)
    return float(value) if isinstance(distribution, FloatDistribution) else value


def _decoded(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in parameters.items()}


def _known_parameters(trial: FrozenTrial) -> dict[str, Any]:
    """Also of a trial that was queued and has not begun."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _was_interrupted(trial: FrozenTrial) -> bool:
    """Whether its parameters were queued again. A trial that ended by itself has its seconds."""
    if trial.state != TrialState.FAIL or "seconds" in trial.user_attrs:
        return False
    return "ctrl_c" in trial.user_attrs or trial.user_attrs.get("kills", 0) + 1 < _MOST_KILLS


def _value(settings: Settings, name: str) -> Any:
    section, key = name.split(".")
    return getattr(getattr(settings, section), key)


def _with(settings: Settings, parameters: Mapping[str, Any]) -> Settings:
    values = settings.to_dict()
    for name, value in parameters.items():
        section, key = name.split(".")
        values[section][key] = value
    return Settings.from_dict(values)


def _open_study(
    out: Path, settings: Settings, split_fingerprint: str, space: dict[str, BaseDistribution]
) -> optuna.Study:
    """Make the study of ``out``, or take up the one that is there.

    Raises:
        TrainingError: the one that is there is of other settings or data; says which.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    about = {"the fingerprint of the split data": split_fingerprint, **_fixed(settings, space)}
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    journal = out / "study.journal"
    _cut_off_half_a_line(journal)
    epochs = settings.training.epochs
    # A trial ends early when its best epoch so far is below the median of the complete ones at the same epoch. Not
    # before a quarter of the epochs: a small learning rate starts slowly.
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=max(3, epochs // 4))
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        there = optuna.get_all_study_summaries(storage)
        if there and there[0].study_name != name:
            raise TrainingError(_refusal(out, there[0].user_attrs.get("about", {}), about))
        if there:
            study = optuna.load_study(storage=storage, study_name=name, pruner=pruner)
        else:
            study = optuna.create_study(storage=storage, study_name=name, direction="maximize", pruner=pruner)
    except (ValueError, KeyError, OSError) as error:
        raise TrainingError(
            f"The search in {out} cannot be read ({error}). Give another folder with --out, or delete {journal} to start anew."
        ) from None
    if "space" not in study.user_attrs:
        study.set_user_attr("about", about)
        study.set_user_attr(
            "space", {name: optuna.distributions.distribution_to_json(one) for name, one in space.items()}
        )
    _require_within(study, settings, out)
    return study


def _fixed(settings: Settings, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Settings by ``section.key`` that all trials share and that validation figures depend on.

    Files go in by their names alone: a project that moved is still the same, and the fingerprint knows their content.
    """
    is_network = isinstance(settings.retriever, NetworkSettings)
    fixed = {}
    for name, value in _flat(settings.to_dict()):
        reported_only = name.startswith("evaluation.") and name != "evaluation.select_on"
        unused = name.startswith("training.") and not is_network
        if name in space or name in _CHANGES_NOTHING or reported_only or unused:
            continue
        fixed[name] = Path(value).name if name in _FILES and value is not None else value
    return fixed


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def _refusal(out: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in (*now, *(one for one in there if one not in now)) if there.get(name) != now.get(name)]
    told = [f"{name} was {json.dumps(there.get(name))}, is now {json.dumps(now.get(name))}" for name in names]
    return (
        f"{out} holds a search of other settings or data: {'; '.join(told) or 'they are not recorded'}. Figures of the two "
        "cannot be compared. Give another folder with --out, or the settings and data it was begun with."
    )


def _require_within(study: optuna.Study, settings: Settings, out: Path) -> None:
    for name, text in study.user_attrs["space"].items():
        searched = optuna.distributions.json_to_distribution(text)
        value = _encode(searched, _value(settings, name))
        if isinstance(searched, CategoricalDistribution):
            within = value in searched.choices
        else:
            assert isinstance(searched, (IntDistribution, FloatDistribution))
            within = searched.low <= value <= searched.high
        if not within:
            raise TrainingError(
                f"{name} = {value} is not among what the search in {out} tries ({_range(searched)}). Give another folder with "
                "--out, or a value among these."
            )


@contextlib.contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Hold the folder: a second search in it would take the first one's running trial for a killed one."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        held = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise TrainingError(f"Cannot write to {out}: {error.strerror}. Give another folder with --out.") from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it however the process ends
    except BlockingIOError:
        os.close(held)
        raise TrainingError(
            f"Another search is running in {out}. Wait for it to end, or give another folder with --out."
        ) from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(held)


def _cut_off_half_a_line(journal: Path) -> None:
    """What a kill in the middle of a write left would make every later line unreadable."""
    if journal.is_file():
        written = journal.read_bytes()
        whole = written.rfind(b"\n") + 1
        if whole < len(written):
            os.truncate(journal, whole)


def _write(result: TuningResult, settings: Settings, out: Path) -> None:
    """Record all trials and the best settings; a kill at any moment leaves the old files or the new ones."""
    _replace(out / "trials.json", json.dumps(result.to_dict(), indent=1, ensure_ascii=False) + "\n")
    if not result.ranking:
        return
    best, given = result.best, result.given
    against = f" (as given: {_figure(given):.4f})" if given is not None and given is not best else ""
    header = (
        f"# Found by `shortlist tune`: validation {result.select_on} {_figure(best):.4f}{against}, trial {best.number}, the best "
        f"of {result.num_finished} finished trials.\n"
        "# Selected on the validation part only; the test part was not looked at. To fit and test it:\n"
        "#     shortlist train best.toml --out FOLDER\n\n"
    )
    values = _with(settings, best.parameters).to_dict()
    for name in _FILES:
        section, key = name.split(".")
        if values[section][key] is not None:
            values[section][key] = str(Path(values[section][key]).absolute())
    _replace(out / "best.toml", header + tomli_w.dumps(_without_none(values)))


def _replace(file: Path, text: str) -> None:
    part = file.with_name(file.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, file)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """TOML has no None; leaving a key out means its default, which is None wherever None is allowed."""
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }


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
        return f"{start}{result.select_on} {_figure(one):.4f}  ended after epoch {one.epochs}: below the median"
    best = "← best so far" if one is result.best else f"best {_figure(result.best):.4f} (trial {result.best.number})"
    return f"{start}{result.select_on} {_figure(one):.4f}  {best}{'  the settings as given' if one.as_given else ''}"


def _range(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return str(OneOf(tuple(json.loads(str(choice)) for choice in distribution.choices)))
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    return str(Range(distribution.low, distribution.high, distribution.log))


def _figure(one: TrialRecord) -> float:
    return math.nan if one.validation is None else one.validation


def _listed(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.split('.')[-1]} {_short(value)}" for name, value in parameters.items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
