from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.settings import NetworkSettings, Settings
from shortlist.training import networks
from shortlist.training.networks import for_corpus
from shortlist.training.retrievers import fit_for_selection
from shortlist.training.run import train
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


def test_what_was_decided_is_said_and_kept(monkeypatch: pytest.MonkeyPatch, world: Dataset, tmp_path: Path) -> None:
    monkeypatch.setattr(networks, "_LARGE", 39)
    log, said = world.interactions, io.StringIO()
    rows = zip(log.user_idx, world.items.ids_of(log.item_idx), log.timestamp, strict=True)
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows))
    data = {"interactions": str(tmp_path / "log.csv"), "columns": {"timestamp": "timestamp"}}
    settings = Settings.from_dict({"data": data, "training": {"epochs": 1}, "evaluation": {"k": [10], "baselines": []}})
    recommender = train(settings, tmp_path / "artifact", Console(file=said, width=200))
    expected = (
        "40 items: in-batch negatives and 1,024 uniform ones, batches of 1,024 (retriever.loss, training.batch_size)"
    )
    assert expected in said.getvalue()
    assert isinstance(recommender.settings.retriever, NetworkSettings)
    assert recommender.settings.retriever.loss == "in_batch"
