from __future__ import annotations

import pyarrow as pa
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.data.splitting import split
from shortlist.evaluation.evaluator import validation_figure
from shortlist.settings import Settings
from shortlist.training import baselines
from shortlist.training.baselines import TRIALS, fit_baselines, fit_closed_form


@pytest.mark.parametrize("name", [name for name, trials in TRIALS.items() if len(trials) > 1])
def test_a_row_is_the_best_of_its_trials_on_validation(name: str, world: Dataset) -> None:
    settings = Settings.from_dict({"evaluation": {"baselines": [name], "baseline_trials": 3}})
    parts = split(world, settings.split)
    fitted = fit_baselines(world, parts, settings)
    selected = fitted.selected[name]
    figures = []
    for trial in TRIALS[name][:3]:
        chosen = baselines._ANY.validate_python({"model": name, **trial})
        figures.append(validation_figure(fit_closed_form(chosen, parts.train, world, settings), parts.valid, "ndcg@10"))
    best = TRIALS[name][figures.index(max(figures))]
    assert {key: selected[key] for key in best} == best
    assert (selected["trials"], selected["selected_on"]) == (3, "validation ndcg@10")
    assert selected["validation"] == max(figures)


def test_every_trial_is_within_the_documented_range() -> None:
    for name, trials in TRIALS.items():
        for trial in trials:
            baselines._ANY.validate_python({"model": name, **trial})


def test_all_stand_beside_the_model_but_the_model_itself(world: Dataset) -> None:
    settings = Settings.from_dict({"retriever": {"model": "ease"}, "evaluation": {"baseline_trials": 1}})
    fitted = fit_baselines(world, split(world, settings.split), settings)
    assert list(fitted.retrievers) == ["popularity", "recent_popularity", "item_knn", "sequential_rules", "mf"]
    assert fitted.notes == []


def test_what_is_left_out_is_said(world: Dataset) -> None:
    given = {
        "evaluation": {"baseline_trials": 1, "baseline_max_items": 39, "baselines": ["popularity", "item_knn", "ease"]}
    }
    settings = Settings.from_dict(given)
    fitted = fit_baselines(world, split(world, settings.split), settings)
    assert list(fitted.retrievers) == ["popularity"]
    assert fitted.notes == [
        f"The baseline {name} is left out: 40 items by as many weights ([evaluation] baseline_max_items is 39)."
        for name in ("item_knn", "ease")
    ]
    timeless = prepare(pa.table({"user_id": [1, 1, 1, 1], "item_id": [1, 2, 3, 4]}))
    settings = Settings.from_dict({"evaluation": {"baselines": ["recent_popularity"]}})
    fitted = fit_baselines(timeless, split(timeless, settings.split), settings)
    assert fitted.notes == ["The baseline recent_popularity is left out: the interactions have no time."]


def test_the_budget_of_minutes_ends_the_trials(world: Dataset) -> None:
    settings = Settings.from_dict({"evaluation": {"baselines": ["ease"], "baseline_minutes": 1e-9}})
    assert fit_baselines(world, split(world, settings.split), settings).selected["ease"]["trials"] == 1
