"""The study in its folder: one search at a time, of one set of settings and data, whole after any kill."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import tomli_w
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from shortlist.errors import TrainingError
from shortlist.settings import NetworkSettings, Settings
from shortlist.training.tuning_records import TuningResult, figure_of
from shortlist.training.tuning_space import encode, range_text, value_of, with_parameters

# What a study's settings may differ in without changing any validation figure.
_CHANGES_NOTHING = ("data.memory_limit", "training.refit")
FILES = tuple(f"data.{name}" for name in ("interactions", "users", "items"))
FILES += tuple(f"split.{name}" for name in ("train", "valid", "test", "negatives"))


def open_study(
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
        fixed[name] = Path(value).name if name in FILES and value is not None else value
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
        value = encode(searched, value_of(settings, name))
        if isinstance(searched, CategoricalDistribution):
            within = value in searched.choices
        else:
            assert isinstance(searched, (IntDistribution, FloatDistribution))
            within = searched.low <= value <= searched.high
        if not within:
            raise TrainingError(
                f"{name} = {value} is not among what the search in {out} tries ({range_text(searched)}). Give another "
                "folder with --out, or a value among these."
            )


@contextlib.contextmanager
def alone_in(out: Path) -> Iterator[None]:
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


def write_results(result: TuningResult, settings: Settings, out: Path) -> None:
    """Record all trials and the best settings; a kill at any moment leaves the old files or the new ones."""
    _replace(out / "trials.json", json.dumps(result.to_dict(), indent=1, ensure_ascii=False) + "\n")
    if not result.ranking:
        return
    best, given = result.best, result.given
    against = f" (as given: {figure_of(given):.4f})" if given is not None and given is not best else ""
    header = (
        f"# Found by `shortlist tune`: validation {result.select_on} {figure_of(best):.4f}{against}, trial {best.number}, "
        f"the best of {result.num_finished} finished trials.\n"
        "# Selected on the validation part only; the test part was not looked at. To fit and test it:\n"
        "#     shortlist train best.toml --out FOLDER\n\n"
    )
    values = with_parameters(settings, best.parameters).to_dict()
    for name in FILES:
        section, key = name.split(".")
        if values[section][key] is not None:
            values[section][key] = str(Path(values[section][key]).absolute())
    _replace(out / "best.toml", header + tomli_w.dumps(_without_none(values)))


def _replace(file: Path, text: str) -> None:
    part = file.with_name(file.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, file)


def _without_none(values: Any) -> Any:
    """TOML has no None; leaving a key out means its default, which is None wherever None is allowed."""
    if isinstance(values, Mapping):
        return {key: _without_none(value) for key, value in values.items() if value is not None}
    return [_without_none(value) for value in values] if isinstance(values, list) else values
