from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.settings import Settings
from shortlist.training import retrievers
from shortlist.training.retrievers import fit_retriever

SMALL = {
    "retriever": {"embedding_dim": 4, "hidden_dims": [8]},
    "training": {"epochs": 3, "batch_size": 64},
    "evaluation": {"baseline_trials": 3},
}


@pytest.fixture
def settings() -> Settings:
    return Settings.from_dict(SMALL)


def test_refitted_for_the_selected_number_of_epochs(world: Dataset, settings: Settings) -> None:
    fitted = fit_retriever(world, split(world, settings.split), settings)
    epochs = fitted.selected["epochs"]
    assert fitted.course["selection"]["best_epoch"] == epochs
    assert len(fitted.course["refit"]["epochs"]) == epochs
    assert fitted.course["refit"]["epochs"][0]["validation"] is None


def test_ctrl_c_while_refitting_keeps_the_selected_model(
    world: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = split(world, settings.split)
    without = settings.model_copy(update={"training": settings.training.model_copy(update={"refit": False})})
    expected = fit_retriever(world, parts, without).retriever
    fit = retrievers.fit

    def interrupted(model: Any, objective: Any, validate: Any, *arguments: Any, **more: Any) -> Any:
        if validate is None:
            raise KeyboardInterrupt
        return fit(model, objective, validate, *arguments, **more)

    monkeypatch.setattr(retrievers, "fit", interrupted)
    fitted = fit_retriever(world, parts, settings)
    assert "refit" not in fitted.course
    np.testing.assert_array_equal(fitted.retriever.encode_items(), expected.encode_items())


def test_a_killed_run_goes_on_from_its_checkpoint(world: Dataset, settings: Settings, tmp_path: Path) -> None:
    parts = split(world, settings.split)
    whole = fit_retriever(world, parts, settings).retriever
    first = fit_retriever(world, parts, settings, checkpoint_folder=tmp_path)  # leaves its checkpoints behind
    again = fit_retriever(world, parts, settings, checkpoint_folder=tmp_path)  # has nothing left to do
    for one in (first, again):
        np.testing.assert_array_equal(one.retriever.encode_items(), whole.encode_items())
