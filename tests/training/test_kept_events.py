"""The loop: a service keeps what people do, training goes on from what it served, and the service knows them anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from shortlist.cli.app import app
from shortlist.data.splitting import split
from shortlist.errors import DataError, SettingsError, StoreError
from shortlist.events import Event, EventStore
from shortlist.recommender import Query, Recommender, artifact
from shortlist.service.app import create_app

CONFIG = """
[data]
interactions = "log.csv"
[data.columns]
timestamp = "timestamp"
value = "value"
[data.feedback]
liked = "value >= 3"
disliked = "value <= 1"
[retriever]
model = "mf"
embedding_dim = 4
iterations = 3
[training]
refit = true
[evaluation]
baselines = ["popularity"]
baseline_trials = 1
k = [5]
"""


def shortlist(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 people of two tastes, 24 items: ``log.csv``, ``config.toml`` and the artifact ``a``."""
    folder = tmp_path_factory.mktemp("loop")
    rows = [f"{u},{2 * ((u + 7 * n) % 12) + u % 2},{1000 + n},5" for u in range(40) for n in range(8)]
    (folder / "log.csv").write_text("user_id,item_id,timestamp,value\n" + "\n".join(rows) + "\n")
    (folder / "config.toml").write_text(CONFIG)
    shortlist("train", folder / "config.toml", "--out", folder / "a")
    return folder


def known(recommender: Recommender, user: int) -> list[object]:
    rows = recommender.history_rows(user)
    log = recommender.dataset.interactions
    liked = [int(item) for item, one in zip(log.item_idx[rows], log.liked[rows], strict=True) if one]
    return [recommender.dataset.items.id(item) for item in liked]


def test_the_loop(served: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/events.db"
    last, new = 2 * ((0 + 7 * 7) % 12), [0, 2, 4, 6, 100]
    with TestClient(create_app(artifact.load(served / "a"), EventStore(store))) as client:
        said = [{"user_id": 77, "item_id": item, "event": "like"} for item in new]
        said += [{"user_id": 77, "item_id": 8, "event": "dislike"}, {"user_id": 77, "item_id": 10, "event": "scroll"}]
        said += [{"user_id": 0, "item_id": last, "event": "dislike"}, {"user_id": 1, "item_id": 100, "event": "like"}]
        assert client.post("/v1/events", json=said).status_code == 201
        assert client.delete("/v1/users/5").status_code == 200
    command = ("train", "--from", served / "a", "--events", store, "--out", tmp_path / "b", "--json")
    report = json.loads(shortlist(*command))
    fresh = artifact.load(tmp_path / "b")
    assert known(fresh, 77) == new
    assert 100 in fresh.dataset.items
    assert 10 not in known(fresh, 77), "a word without a meaning is no interaction"
    assert 5 not in fresh.dataset.users
    assert last not in known(fresh, 0)
    assert {item.item_id for item in fresh.recommend(Query(user_id=77, k=3)).items}.isdisjoint({8, *new})
    assert any(note.startswith("8 events of sqlite") for note in report["notes"])

    # what user 0 is left with was learned by the artifact: nobody asks for it, here and whenever it is evaluated again
    assert report["split"]["num_queries_left_out"] > 0
    assert 0 not in fresh.dataset.users.ids_of(split(fresh.dataset, fresh.settings.split).test.user_idx)
    again = json.loads(shortlist("evaluate", tmp_path / "b", "--json"))
    assert again["num_queries"] == report["num_queries"] == 40 - 1
    assert again["models"]["mf"] == report["models"]["mf"]

    with pytest.raises(DataError, match="nothing new to learn: 8 events"):
        shortlist("train", "--from", tmp_path / "b", "--events", store, "--out", tmp_path / "c")
    with EventStore(store) as events:
        events.add([Event.of(77, 12, "like")])
    onward = json.loads(
        shortlist("train", "--from", tmp_path / "b", "--events", store, "--out", tmp_path / "c", "--json")
    )
    assert onward["split"]["num_queries_left_out"] > 0, "those left out stay out"
    assert known(artifact.load(tmp_path / "c"), 77) == [*new, 12]


def test_what_cannot_be_learned_from_is_said(served: Path, tmp_path: Path) -> None:
    command = ("train", "--from", served / "a", "--out", tmp_path / "b")
    with pytest.raises(StoreError, match="is gone"):
        shortlist(*command, "--events", f"{tmp_path}/none.db")
    store = f"{tmp_path}/events.db"
    with EventStore(store) as events:
        with pytest.raises(DataError, match=r"no event at all.*train without --events"):
            shortlist(*command, "--events", store)
        events.add([Event.of(1, 2, "scroll"), Event.of(1, 3, "scroll")])
        with pytest.raises(DataError, match=r"2 events of other words, such as scroll \(2\)"):
            shortlist(*command, "--events", store)
        events.add([Event.of(1, 2, "like")])
    with pytest.raises(DataError, match=r"no column 'rating'"):
        shortlist(*command, "--events", store, "--set", "data.columns.value=rating")
    with pytest.raises(SettingsError, match="embedding_dim"):
        shortlist(*command, "--events", store, "--set", "retriever.embedding_dim=8")
    assert not (tmp_path / "b").exists()
