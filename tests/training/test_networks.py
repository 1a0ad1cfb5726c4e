from __future__ import annotations

from typing import Any

import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.settings import NetworkSettings, Settings
from shortlist.training import networks
from shortlist.training.networks import for_corpus
from shortlist.training.retrievers import fit_for_selection
from shortlist.training.sampled_objective import SampledObjective


@pytest.mark.parametrize(
    ("given", "num_items", "loss", "batch_size"),
    [
        ({}, 20_000, "full_softmax", 256),
        ({}, 20_001, "in_batch", 1024),
        ({"model": "two_tower"}, 50_000, "in_batch", 1024),
        ({"target": "multi_hot"}, 50_000, "full_softmax", 1024),
        ({"history": "transformer"}, 50_000, "full_softmax", 2048),
        ({"target_smoothing": 0.5}, 50_000, "full_softmax", 1024),
        ({"loss": "bpr"}, 50_000, "bpr", 1024),
        ({"loss": "full_softmax"}, 50_000, "full_softmax", 1024),
    ],
)
def test_what_is_not_said_goes_by_the_size_of_the_corpus(
    given: dict[str, Any], num_items: int, loss: str, batch_size: int
) -> None:
    decided = for_corpus(Settings.from_dict({"retriever": given}), num_items)
    assert isinstance(decided.retriever, NetworkSettings)
    assert (decided.retriever.loss, decided.training.batch_size) == (loss, batch_size)
    assert for_corpus(decided, 10) == decided
    said = for_corpus(Settings.from_dict({"retriever": given, "training": {"batch_size": 64}}), num_items)
    assert said.training.batch_size == 64


def test_a_large_corpus_is_trained_with_negatives(world: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_LARGE", 39)
    seen: list[Any] = []
    plain = SampledObjective.loss
    monkeypatch.setattr(SampledObjective, "loss", lambda self, batch: seen.append(self) or plain(self, batch))
    settings = Settings.from_dict({"training": {"epochs": 1}})
    parts = split(world, settings.split)
    fit_for_selection(world, parts.train, parts.valid, settings)
    assert {(one.settings.loss, one.settings.num_negatives) for one in seen} == {("in_batch", 1024)}
