"""The search on a small world, where a trial takes milliseconds."""

from __future__ import annotations

import dataclasses
import fcntl
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.errors import TrainingError
from shortlist.evaluation.evaluator import validation_figure
from shortlist.settings import Settings
from shortlist.testing import two_tastes
from shortlist.training import tuning
from shortlist.training.baselines import fit_closed_form
from shortlist.training.tuning import TuningResult, tune

EASE = {"retriever": {"model": "ease", "regularization": 2}}  # below the documented range
NETWORK = {"retriever": {"embedding_dim": 4, "hidden_dims": [8]}, "training": {"epochs": 4, "batch_size": 64}}


@pytest.fixture(autouse=True)
def small(world: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "load_dataset", lambda _: world)


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Settings of every fit."""
    seen: list[Settings] = []
    fit = tuning.fit_for_selection

    def spy(dataset: Any, train: Any, valid: Any, settings: Settings, **more: Any) -> Any:
        seen.append(settings)
        return fit(dataset, train, valid, settings, **more)

    monkeypatch.setattr(tuning, "fit_for_selection", spy)
    return seen


def failing_at(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    fit, calls = tuning.fit_for_selection, []

    def fail(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            raise error
        return fit(*arguments, **more)

    monkeypatch.setattr(tuning, "fit_for_selection", fail)


def drawn(result: TuningResult) -> list[dict[str, Any]]:
    return [one.parameters for one in result.trials]


def test_the_first_trial_is_as_given_and_the_best_is_never_worse(world: Dataset, tmp_path: Path) -> None:
    settings = Settings.from_dict(EASE)
    result = tune(settings, tmp_path / "out", trials=6)
    parts = split(world, settings.split, settings.seed)
    as_given = validation_figure(
        fit_closed_form(settings.retriever, parts.train, world, settings), parts.valid, "ndcg@10"
    )
    assert result.trials[0].parameters == {"retriever.regularization": 2.0}
    assert result.given is result.trials[0]
    assert result.given.validation == as_given
    assert result.best.validation is not None
    assert result.best.validation >= as_given
    assert [one.number for one in result.trials] == [1, 2, 3, 4, 5, 6]


def test_trials_and_the_best_settings_are_recorded(tmp_path: Path) -> None:
    result = tune(Settings.from_dict(EASE), tmp_path / "out", trials=11)
    recorded = json.loads((tmp_path / "out" / "trials.json").read_text())
    assert recorded == json.loads(json.dumps(result.to_dict()))
    assert recorded["num_finished"] == len(recorded["trials"]) == 11
    assert {"number", "state", "parameters", "validation", "epochs", "seconds", "error"} <= set(recorded["trials"][0])
    text = (tmp_path / "out" / "best.toml").read_text()
    assert f"validation ndcg@10 {result.best.validation:.4f}" in text.splitlines()[0]
    assert "11 finished trials" in text
    assert "validation part only" in text
    best = Settings.from_toml(tmp_path / "out" / "best.toml")
    assert best.retriever.model_dump()["regularization"] == result.best.parameters["retriever.regularization"]
    assert best.split == Settings().split
    assert set(result.importance) <= {"retriever.regularization"}
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["best.toml", "study.journal", "trials.json"]


def test_every_model_with_ranges_searches_all_of_them(tmp_path: Path) -> None:
    for model in ("recent_popularity", "item_knn", "sequential_rules", "ease", "mf"):
        settings = Settings.from_dict({"retriever": {"model": model}})
        result = tune(settings, tmp_path / model, trials=2)
        assert all(name.startswith("retriever.") for name in result.best.parameters)
        assert [one.state for one in result.trials] == ["complete", "complete"]
    with pytest.raises(TrainingError, match='"popularity" has no setting with a range'):
        tune(Settings.from_dict({"retriever": {"model": "popularity"}}), tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_network_is_searched_with_its_training_and_hopeless_trials_end_early(tmp_path: Path) -> None:
    result = tune(Settings.from_dict(NETWORK), tmp_path / "out", trials=6)
    assert {"retriever.hidden_dims", "training.learning_rate"} <= set(result.best.parameters)
    assert result.trials[0].parameters["retriever.hidden_dims"] == [8]
    assert result.trials[0].parameters["training.batch_size"] == 64
    assert {one.state for one in result.trials} <= {"complete", "pruned"}
    assert all(one.state == "complete" for one in result.trials[:5])
    for one in result.trials:
        assert one.epochs == (4 if one.state == "complete" else 3)
    best = Settings.from_toml(tmp_path / "out" / "best.toml")
    assert list(best.to_dict()["retriever"]["hidden_dims"]) == result.best.parameters["retriever.hidden_dims"]


def test_a_trial_below_the_median_is_recorded_as_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = 0

    def fit(*_: Any, after_epoch: Callable[[int, float], None], **__: Any) -> Any:
        nonlocal fitted
        fitted += 1
        for epoch in range(1, 5):
            after_epoch(epoch, 0.1 / fitted)
        return dataclasses.make_dataclass("Selection", ["figure", "run"])(0.1 / fitted, None)

    monkeypatch.setattr(tuning, "fit_for_selection", fit)
    result = tune(Settings.from_dict(NETWORK), tmp_path / "out", trials=7)
    assert [one.state for one in result.trials] == ["complete"] * 5 + ["pruned"] * 2
    assert [one.epochs for one in result.trials] == [4] * 5 + [3] * 2
    assert result.best.number == 1


def test_going_on_draws_what_one_search_would_have_drawn(tmp_path: Path, fitted: list[Settings]) -> None:
    settings = Settings.from_dict(EASE)
    whole = tune(settings, tmp_path / "whole", trials=13)
    tune(settings, tmp_path / "parts", trials=4)
    fitted.clear()
    parts = tune(settings, tmp_path / "parts", trials=13)
    assert len(fitted) == 9
    assert drawn(parts) == drawn(whole)
    assert len({str(one) for one in drawn(whole)}) == 13
    fitted.clear()
    assert drawn(tune(settings, tmp_path / "parts", trials=13)) == drawn(whole)
    assert not fitted


def test_going_on_from_the_best_settings(tmp_path: Path) -> None:
    tune(Settings.from_dict(EASE), tmp_path / "out", trials=3)
    best = Settings.from_toml(tmp_path / "out" / "best.toml")
    result = tune(best, tmp_path / "out", trials=4)
    assert result.num_finished == 4
    assert result.given is not None


def test_a_killed_trial_is_tried_again_but_not_for_ever(tmp_path: Path) -> None:
    settings = Settings.from_dict(EASE)
    tune(settings, tmp_path / "out", trials=2)

    class Killed(BaseException):
        """Like the end of the process: nothing is told to the study."""

    for _ in range(2):
        with pytest.MonkeyPatch.context() as patch:
            failing_at(patch, 1, Killed())
            with pytest.raises(Killed):
                tune(settings, tmp_path / "out", trials=3)
    with (tmp_path / "out" / "study.journal").open("ab") as journal:
        journal.write(b'{"op_code": 4, "wor')  # killed while writing
    result = tune(settings, tmp_path / "out", trials=4)
    assert [one.state for one in result.trials] == ["complete", "complete", "interrupted", "failed", "complete"]
    assert result.trials[2].parameters == result.trials[3].parameters
    assert result.trials[3].error == "the process was killed 2 times with these parameters"
    assert result.num_finished == 4


def test_ctrl_c_keeps_the_best_so_far_and_going_on_tries_the_trial_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.from_dict(EASE)
    with monkeypatch.context() as patch:
        failing_at(patch, 3, KeyboardInterrupt())
        stopped = tune(settings, tmp_path / "out", trials=5)
    assert [one.state for one in stopped.trials] == ["complete", "complete", "interrupted"]
    assert stopped.num_finished == 2
    again = tune(settings, tmp_path / "out", trials=3)
    assert again.trials[3].parameters == stopped.trials[2].parameters
    assert again.trials[3].state == "complete"
    failing_at(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        tune(settings, tmp_path / "other", trials=5)


def test_ctrl_c_within_a_network_s_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = optuna.Trial.report

    def interrupt(trial: optuna.Trial, value: float, step: int) -> None:
        report(trial, value, step)
        if trial.number == 1 and step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(optuna.Trial, "report", interrupt)
    result = tune(Settings.from_dict(NETWORK), tmp_path / "out", trials=3)
    assert [(one.state, one.epochs) for one in result.trials] == [("complete", 4), ("interrupted", 2)]


def test_a_failed_trial_is_recorded_and_the_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        failing_at(patch, 2, TrainingError("The loss is nan."))
        result = tune(Settings.from_dict(EASE), tmp_path / "out", trials=3)
    assert [one.state for one in result.trials] == ["complete", "failed", "complete"]
    assert result.trials[1].error == "The loss is nan."
    failing_at(monkeypatch, 1, TrainingError("The loss is nan."))
    with pytest.raises(TrainingError, match=r"None of 1 trials .* said: The loss is nan\..*trials.json"):
        tune(Settings.from_dict(EASE), tmp_path / "none", trials=1)
    assert not (tmp_path / "none" / "best.toml").exists()


def test_another_search_is_refused_and_nothing_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.from_dict(EASE)
    tune(settings, tmp_path / "out", trials=2)
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    for changed, message in (
        ({"seed": 3}, "seed was 0, is now 3.*--out"),
        ({"evaluation": {"select_on": "recall@20"}}, 'select_on was "ndcg@10", is now "recall@20"'),
        ({"split": {"seen": "keep"}}, 'split.seen was "remove", is now "keep"'),
        ({"retriever": {"model": "mf"}}, 'retriever.model was "ease", is now "mf"'),
        ({"retriever": {"model": "ease", "regularization": 1}}, r"regularization = 1.0 is not among .* \(2 to 5000"),
    ):
        with pytest.raises(TrainingError, match=message):
            tune(Settings.from_dict({**EASE, **changed}), tmp_path / "out", trials=3)
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before
    with monkeypatch.context() as patch:
        patch.setattr(tuning, "load_dataset", lambda _: two_tastes(seed=1))
        with pytest.raises(TrainingError, match="fingerprint of the split data was "):
            tune(settings, tmp_path / "out", trials=3)
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before
    reported_otherwise = {**EASE, "evaluation": {"k": [5]}, "training": {"refit": False, "epochs": 2}}
    assert tune(Settings.from_dict(reported_otherwise), tmp_path / "out", trials=3).num_finished == 3


def test_a_second_search_at_the_same_time_is_refused(tmp_path: Path) -> None:
    held = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(TrainingError, match="Another search is running"):
        tune(Settings.from_dict(EASE), tmp_path, trials=1)
    os.close(held)
    assert tune(Settings.from_dict(EASE), tmp_path, trials=1).num_finished == 1


def test_an_unreadable_study_is_explained(tmp_path: Path) -> None:
    (tmp_path / "study.journal").write_text("no journal\n{}\n")
    with pytest.raises(TrainingError, match=r"cannot be read .*--out, or delete .*study\.journal"):
        tune(Settings.from_dict(EASE), tmp_path, trials=1)


def test_the_test_part_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"looked at {name}")

        def __len__(self) -> int:
            raise AssertionError("looked at its length")

    def without_test(*arguments: Any) -> Any:
        return dataclasses.replace(split(*arguments), test=Forbidden(), train_and_valid=Forbidden())

    monkeypatch.setattr(tuning, "split", without_test)
    for name, settings in (("ease", EASE), ("network", NETWORK)):
        assert tune(Settings.from_dict(settings), tmp_path / name, trials=2).num_finished == 2


def test_no_trial_begins_after_the_time_limit(tmp_path: Path) -> None:
    assert tune(Settings.from_dict(EASE), tmp_path / "out", trials=5, minutes=1e-9).num_finished == 1


def test_without_optuna_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "shortlist.training.tuning")
    with pytest.raises(TrainingError, match=r"not installed: optuna\. .*pip install 'shortlist\[tune\]'"):
        importlib.import_module("shortlist.training.tuning")


def test_re_ranking_steps_come_back_from_a_file() -> None:
    """TOML has no None, and steps stand in a list."""
    import tomllib

    import tomli_w

    from shortlist.training.tuning_study import _without_none

    settings = Settings.from_dict({"rerank": [{"step": "diversity"}, {"step": "rules", "block": [3, "x"]}]})
    assert Settings.from_dict(tomllib.loads(tomli_w.dumps(_without_none(settings.to_dict())))) == settings
