"""``[[rerank]]`` from settings to answers, and its place in the artifact."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.data.splitting import split
from shortlist.errors import ConditionError, SettingsError
from shortlist.recommender import Query, Recommender, artifact
from shortlist.recommender.item_facts import ItemFacts
from shortlist.recommender.precompute import precompute
from shortlist.recommender.rerankers import rerankers_of
from shortlist.recommender.reshaping import reshape, steps_of
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.recommender.tradeoff import tradeoff
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_retriever, serve

DAY = 86_400_000
NUM_ITEMS = 60


def settings_with(*steps: dict[str, Any], **more: Any) -> Settings:
    return Settings.from_dict(
        {
            "data": {"columns": {"timestamp": "timestamp"}},
            "features": {
                "item": {
                    "genres": {"kind": "tags"},
                    "studio": {"kind": "category"},
                    "released": {"kind": "category"},
                    "year": {"kind": "number"},
                    "look": {"kind": "vector"},
                }
            },
            "retriever": {"model": "mf", "embedding_dim": 8, "iterations": 5},
            "training": {"refit": False},
            "evaluation": {"k": [5]},
            "rerank": list(steps),
            **more,
        }
    )


@pytest.fixture(scope="module")
def films() -> Dataset:
    """Items 0 to 59: a low number is popular, a high one new; a person likes one of three genres."""
    rng = np.random.default_rng(0)
    weight = 1 / (1 + np.arange(NUM_ITEMS))
    rows = []
    for user in range(80):
        own = weight * np.where(np.arange(NUM_ITEMS) % 3 == user % 3, 4.0, 1.0)
        for n, item in enumerate(rng.choice(NUM_ITEMS, 12, replace=False, p=own / own.sum())):
            rows.append((user, int(item), (int(item) + n * 3) * 86_400))
    log = pa.table(dict(zip(("user_id", "item_id", "timestamp"), map(list, zip(*rows, strict=True)), strict=True)))
    items = pa.table(
        {
            "item_id": list(range(NUM_ITEMS)),
            "genres": [["drama", "comedy", "crime"][i % 3] + ("|war" if i % 7 == 0 else "") for i in range(NUM_ITEMS)],
            "studio": ["small" if i % 5 == 0 else "large" for i in range(NUM_ITEMS)],
            "released": [f"20{i % 20:02d}-01-01" for i in range(NUM_ITEMS)],
            "year": [2000.0 + i % 20 for i in range(NUM_ITEMS)],
            "look": [[float(i % 2), float(i % 3)] for i in range(NUM_ITEMS)],
        }
    )
    base = settings_with()
    return prepare(log, items=items, settings=base.data, features=base.features)


@pytest.fixture(scope="module")
def served(films: Dataset, tmp_path_factory: pytest.TempPathFactory) -> ServedRetriever:
    settings = settings_with()
    fitted = fit_retriever(films, split(films, settings.split), settings).retriever
    return serve(fitted, films, tmp_path_factory.mktemp("served") / "r")


def ask(films: Dataset, served: ServedRetriever, *steps: dict[str, Any], **query: Any) -> list[Any]:
    recommender = Recommender(films, served, settings_with(*steps))
    return [item.item_id for item in recommender.recommend(Query(**{"user_id": 3, "k": 10, **query})).items]


EVERY_STEP: list[dict[str, Any]] = [
    {"step": "rules", "at_most": 2, "groups": "genres"},
    {"step": "boost", "where": 'genres has "war"'},
    {"step": "freshness", "half_life": "20d"},
    {"step": "freshness", "date": "released"},
    {"step": "freshness", "date": "year"},
    {"step": "diversity"},
    {"step": "diversity", "method": "dpp", "feature": "genres"},
    {"step": "diversity", "feature": "look"},
    {"step": "calibration", "feature": "genres"},
    {"step": "exposure"},
    {"step": "exposure", "groups": "studio", "protected": ["small"], "share": 0.8},
    {"step": "exposure", "method": "amortised", "groups": "studio"},
    {"step": "popularity"},
    {"step": "exploration"},
]


@pytest.mark.parametrize("step", EVERY_STEP, ids=lambda one: "-".join(map(str, one.values())))
def test_every_step_answers_and_0_changes_nothing(
    films: Dataset, served: ServedRetriever, step: dict[str, Any]
) -> None:
    plain = ask(films, served)
    assert ask(films, served, {**step, "strength": 0.0}) == plain
    strong = ask(films, served, {**step, "strength": 1.0})
    assert strong != plain
    assert len(set(strong)) == 10
    liked = set(films.items.ids_of(films.interactions.positives().row(films.users.row(3))))
    assert not liked & set(strong)
    assert not set(strong[:5]) & set(ask(films, served, {**step, "strength": 1.0}, disliked=strong[:5]))


def test_what_steps_do(films: Dataset, served: ServedRetriever) -> None:
    plain = ask(films, served)
    war = [i for i in ask(films, served, {"step": "boost", "where": 'genres has "war"', "strength": 1.0}) if i % 7 == 0]
    assert len(war) > sum(i % 7 == 0 for i in plain)
    year = ask(films, served, {"step": "freshness", "date": "year", "half_life": "1y", "strength": 1.0})
    assert np.mean([i % 20 for i in year]) > np.mean([i % 20 for i in plain]) + 3
    first = ask(films, served, {"step": "freshness", "half_life": "5d", "strength": 1.0})
    assert np.mean(first) > np.mean(plain)  # a high number came late
    rare = ask(films, served, {"step": "popularity", "strength": 1.0})
    assert np.mean(rare) > np.mean(plain) + 10
    share = {"step": "exposure", "groups": "studio", "protected": ["small"], "share": 0.8}
    assert sum(i % 5 == 0 for i in ask(films, served, share)) >= 6 > sum(i % 5 == 0 for i in plain)


def test_dates_and_years_are_the_same_moments(films: Dataset) -> None:
    facts = ItemFacts("rerank.0", films, films.interactions)
    np.testing.assert_array_equal(facts.times("released"), facts.times("year"))
    first = facts.times(None)
    log = films.interactions
    assert all(first[item] == log.timestamp[log.item_idx == item].min() for item in set(log.item_idx.tolist()))


def test_pinned_and_blocked_and_still_k(films: Dataset, served: ServedRetriever) -> None:
    """A pin brings in what the retriever did not find; what is blocked makes room, even where k is the whole corpus."""
    liked = set(films.items.ids_of(films.interactions.positives().row(films.users.row(3))))
    plain = ask(films, served, k=NUM_ITEMS)
    last = plain[-1]
    step = {"step": "rules", "pin": [last, next(iter(liked))], "block": plain[:3], "candidates": 10}
    got = ask(films, served, step, k=5)
    assert got == [last, *plain[3:7]]  # what this person has already stays away, pinned or not
    assert last not in ask(films, served, step, k=5, exclude=[last])
    assert len(ask(films, served, step, k=NUM_ITEMS)) == len(plain) - 3
    scores = [i.score for i in Recommender(films, served, settings_with(step)).recommend(Query(user_id=3, k=5)).items]
    assert scores[0] < scores[1]  # scores stay those of the model


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (
            {"step": "diversity", "feature": "genre"},
            SettingsError,
            "rerank.0.feature: there is no item feature 'genre'; did",
        ),
        (
            {"step": "calibration", "feature": "year"},
            SettingsError,
            "'year' is a number; expected one of kind tags or cat",
        ),
        (
            {"step": "exposure", "groups": "studio", "protected": ["smal"]},
            SettingsError,
            "rerank.0.protected.*mean 'small'",
        ),
        (
            {"step": "freshness", "date": "studio"},
            SettingsError,
            "rerank.0.date: 'studio' holds values that are no dates",
        ),
        ({"step": "rules", "pin": [1, 999]}, SettingsError, r"rerank.0.pin: 1 of 2 items are not known \(999\)"),
        ({"step": "boost", "where": "yeer > 3"}, ConditionError, "did you mean 'year'"),
    ],
)
def test_what_does_not_fit_the_data_is_explained(
    films: Dataset, step: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rerankers_of(settings_with(step).rerank, films)


def test_what_needs_more_than_the_data_has(world: Dataset, films: Dataset) -> None:
    two = settings_with({"step": "diversity"}).rerank
    with pytest.raises(SettingsError, match="no vectors that say what is alike; set an item feature") as found:
        rerankers_of(two, world, lambda: np.ones((world.num_items, 1), np.float32))
    assert "rerank.0.feature" in str(found.value)


@pytest.fixture
def saved(films: Dataset, served: ServedRetriever, tmp_path: Path) -> Path:
    artifact.save(Recommender(films, served, settings_with()), tmp_path / "a")
    return tmp_path / "a"


def hashes(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_stage_is_a_settings_edit(saved: Path, tmp_path: Path) -> None:
    before = hashes(saved)
    plain = [item.item_id for item in artifact.load(saved).recommend(Query(user_id=3)).items]
    config = tmp_path / "steps.toml"
    config.write_text('[[rerank]]\nstep = "diversity"\nstrength = 1\n[[rerank]]\nstep = "popularity"\n')
    changed = reshape(saved, steps_of(config))
    after = hashes(saved)
    assert {name for name in before if before[name] != after[name]} == {"manifest.json", "pipeline.json", "report.html"}
    assert [one["stage"] for one in json.loads((saved / "pipeline.json").read_text())["stages"]] == [
        "encode",
        "retrieve",
        "rerank",
        "rerank",
        "explain",
    ]
    manifest = json.loads((saved / "manifest.json").read_text())
    assert {name: sha for name, sha in after.items() if name != "manifest.json"} == manifest["files"]
    answer = artifact.load(saved).recommend(Query(user_id=3))
    assert answer.items == changed.recommend(Query(user_id=3)).items
    assert [item.item_id for item in answer.items] != plain
    assert [one["step"] for one in answer.stages["rerank"]["steps"]] == ["diversity", "popularity"]
    reshape(saved, ())
    assert hashes(saved) == before
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]


def test_what_does_not_fit_leaves_the_artifact_alone(saved: Path) -> None:
    before = hashes(saved)
    with pytest.raises(SettingsError, match="no item feature 'genre'"):
        reshape(saved, settings_with({"step": "diversity", "feature": "genre"}).rerank)
    assert hashes(saved) == before


def test_precomputed_lists_are_re_ranked_at_one_moment(saved: Path, tmp_path: Path) -> None:
    reshape(saved, settings_with({"step": "exploration", "strength": 1.0}).rerank)
    made = precompute(saved, tmp_path / "lists.parquet", Query(k=5))
    assert made.time is not None
    assert made.rows == 400


def test_a_tradeoff_chooses_the_strength(films: Dataset, served: ServedRetriever) -> None:
    recommender = Recommender(films, served, settings_with({"step": "popularity", "strength": 0.1}))
    curve = tradeoff(recommender, "popularity", (0.0, 0.5, 1.0), max_loss=0.3)
    popularity = [one.figures["popularity"] for one in curve.points]
    assert popularity == sorted(popularity, reverse=True)
    assert popularity[0] > popularity[-1]
    assert curve.points[0].loss == curve.points[0].loss_high == 0
    by_strength = {one.strength: one for one in curve.points}
    assert curve.chosen is not None
    assert by_strength[curve.chosen].loss_high <= 0.3
    assert all(one.loss_high > 0.3 for strength, one in by_strength.items() if strength > curve.chosen)
    assert curve.confirmed is not None
    assert curve.confirmed["without"]["popularity"] >= curve.confirmed["with"]["popularity"]
    assert (curve.selected_on, curve.confirmed_on) == ("the validation part", "the test")
    console = Console(file=io.StringIO(), width=120)
    console.print(curve.text())
    assert f"strength {curve.chosen:.3g} is the largest found" in console.file.getvalue()  # type: ignore[attr-defined]
    document = json.loads(json.dumps(curve.to_dict()))
    assert [one["strength"] for one in document["points"]] == sorted(by_strength)


def test_a_tradeoff_never_chooses_on_what_was_trained_on(films: Dataset, served: ServedRetriever) -> None:
    recommender = Recommender(films, served, settings_with(training={"refit": True}))
    curve = tradeoff(recommender, "diversity", (0.5,))
    assert curve.selected_on.startswith("one half of the test")
    assert curve.num_queries == 40
    assert [one.strength for one in curve.points] == [0.0, 0.5]
    assert curve.chosen is None
    with pytest.raises(SettingsError, match="no re-ranking step 'divers'; did you mean 'diversity'"):
        tradeoff(recommender, "divers")
    with pytest.raises(SettingsError, match="boost has no defaults"):
        tradeoff(recommender, "boost")
    with pytest.raises(SettingsError, match="expected numbers from 0 to 1, got 2"):
        tradeoff(recommender, "diversity", (2.0,))


def test_what_does_not_fit_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    from shortlist.training.run import train

    steps = [{"step": "calibration", "feature": "genre"}]
    settings = Settings.from_dict({"data": {"dataset": "ml-latest-small"}, "rerank": steps})
    with pytest.raises(
        SettingsError, match=r"rerank.0.feature: there is no item feature 'genre'; did you mean 'genres'"
    ):
        train(settings, tmp_path / "a")
    assert not any(tmp_path.iterdir())


def test_the_largest_number_of_candidates_counts(films: Dataset, served: ServedRetriever) -> None:
    def candidates(*steps: dict[str, Any]) -> int:
        return Recommender(films, served, settings_with(*steps), candidates=15).funnel.candidates

    assert candidates({"step": "popularity"}) == 15
    assert candidates({"step": "popularity", "candidates": 30}, {"step": "diversity", "candidates": 20}) == 30
    assert candidates({"step": "popularity", "candidates": 3}) == 15


def test_only_a_draw_at_the_end_is_known(small: Recommender) -> None:
    """What comes after a draw changes the page, and nobody knows how likely it was."""
    step = {"step": "exploration", "temperature": 0.3}
    for steps, is_known in (
        ([step], True),
        ([{"step": "popularity"}, step], True),
        ([step, {"step": "popularity"}], False),
        ([{**step, "strength": 0.0}], False),
        ([], False),
    ):
        draw = small.reranked(Settings.from_dict({"rerank": steps}).rerank).recommend(Query(user_id=1, k=4)).draw
        assert (draw is not None) == is_known, steps
