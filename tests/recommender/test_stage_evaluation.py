"""The stages of a saved recommender's path, judged on its own test."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import Split, split
from shortlist.evaluation.evaluator import evaluate as evaluate_retriever
from shortlist.recommender import Recommender
from shortlist.recommender.stage_evaluation import StagedHoldout, evaluate_stages, padded
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_retriever, serve

STEPS = [
    {"step": "diversity", "feature": "tags", "strength": 0.5},
    {"step": "freshness", "strength": 0.5},
    {"step": "diversity", "feature": "tags", "strength": 0.2},
]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings.from_dict(
        {
            "retriever": {"model": "mf", "embedding_dim": 8, "iterations": 4},
            "evaluation": {"k": [5, 10]},
            "rerank": STEPS,
            "training": {"refit": False},
        }
    )


@pytest.fixture(scope="module")
def parts(world: Dataset, settings: Settings) -> Split:
    return split(world, settings.split)


@pytest.fixture(scope="module")
def recommender(
    world: Dataset, settings: Settings, parts: Split, tmp_path_factory: pytest.TempPathFactory
) -> Recommender:
    fitted = fit_retriever(world, parts, settings).retriever
    return Recommender(world, serve(fitted, world, tmp_path_factory.mktemp("served") / "r"), settings)


def test_the_first_stage_is_the_retriever_as_the_report_has_it(recommender: Recommender, parts: Split) -> None:
    found = evaluate_stages(recommender, parts.test, parts.train)
    assert [one["stage"] for one in found["stages"]] == ["retrieval", "diversity", "freshness", "diversity 2"]
    assert (found["k"], found["num_queries"]) == (5, len(parts.test))
    alone = evaluate_retriever(recommender.retriever, parts.test, (5, 40))
    first = found["stages"][0]["figures"]
    assert first["ndcg@5"]["value"] == pytest.approx(alone.mean("ndcg", 5), abs=1e-6)
    assert first["coverage@5"]["value"] == pytest.approx(alone.figures()["coverage@5"].value)
    assert found["ceiling"]["candidates"] == 40 - 11  # what is not seen
    assert found["ceiling"]["recall"]["value"] == 1.0
    assert found["stages"][1]["figures"]["diversity@5"]["value"] > first["diversity@5"]["value"]


def test_without_further_stages_there_is_nothing_to_say(recommender: Recommender, parts: Split) -> None:
    assert evaluate_stages(recommender.reranked(()), parts.test, parts.train) == {}


def test_steps_know_nothing_of_what_comes_later(recommender: Recommender, parts: Split, world: Dataset) -> None:
    """First interactions and popularity are those of what was learned from."""
    staged = StagedHoldout.of(recommender, parts.test, parts.train, 5)
    step = staged.rerankers(recommender.settings.rerank)[1]
    log = parts.train
    for item in range(world.num_items):
        own = log.timestamp[log.item_idx == item]
        assert step.times[item] == own.min() if len(own) else np.isnan(step.times[item])  # type: ignore[attr-defined]


def test_blocks_make_no_difference(recommender: Recommender, parts: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = StagedHoldout.of(recommender, parts.test, parts.train, 5)
    monkeypatch.setattr("shortlist.recommender.stage_evaluation._QUERIES_AT_ONCE", 7)
    blocks = StagedHoldout.of(recommender, parts.test, parts.train, 5)
    assert len(blocks.passages) > len(whole.passages)
    lists = [
        padded([one for passage in staged.reshaped(recommender.settings.rerank) for one in passage.lists()])
        for staged in (whole, blocks)
    ]
    np.testing.assert_array_equal(*lists)
    np.testing.assert_array_equal(whole.candidates(), blocks.candidates())
