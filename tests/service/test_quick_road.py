"""An answer given again passes by validation, threads and the model, and is the one they would give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shortlist.events import Event, EventStore
from shortlist.recommender import Recommender
from shortlist.recommender.artifact import load
from shortlist.service import quick_road
from shortlist.service.app import create_app
from shortlist.service.keys import Keyring, add_key
from shortlist.service.serving import Serving
from tests.postgres import Postgres

LISTS = "/v1/recommendations"


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Questions that took the usual road."""
    taken: list[object] = []
    answer = Serving.answer

    def noted(self: Serving, query: Any, **options: Any) -> Any:
        taken.append(query.user_id)
        return answer(self, query, **options)

    monkeypatch.setattr(Serving, "answer", noted)
    return taken


@pytest.fixture
def client(small_folder: Path, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(load(small_folder), EventStore(f"{tmp_path}/events.db"), load=lambda: load(small_folder))
    with TestClient(app) as client:
        yield client


def test_the_same_question_takes_it(client: TestClient, usual: list[object]) -> None:
    first, second, third = (client.get(f"{LISTS}/1?k=5&where=size > 3") for _ in range(3))
    assert len(usual) == 1
    assert first.json()["items"] == second.json()["items"]
    assert second.content == third.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert "x-request-id" in second.headers
    assert "shortlist_remembered_answers_total 2.0" in client.get("/metrics").text
    assert f'route="{LISTS}/{{user_id}}",status="200"}} 3.0' in client.get("/metrics").text


@pytest.mark.parametrize("other", ["/1?k=6", "/3?k=5", "/1", "/1?k=5&seen=keep", "/1?k=5&explain=none", "/1?k=05"])
def test_another_question_does_not(client: TestClient, usual: list[object], other: str, small: Recommender) -> None:
    client.get(f"{LISTS}/1?k=5")
    assert client.get(LISTS + other).status_code == 200
    assert len(usual) == 2


def test_a_wrong_question_stays_wrong(client: TestClient) -> None:
    assert [client.get(f"{LISTS}/1?k=0").status_code for _ in range(3)] == [422, 422, 422]
    assert [client.get(f"{LISTS}/nobody").status_code for _ in range(3)] == [404, 404, 404]


def test_events_of_any_process_are_seen_at_once(client: TestClient, usual: list[object], tmp_path: Path) -> None:
    def ask() -> list[int]:
        return [one["item_id"] for one in client.get(f"{LISTS}/1?k=40").json()["items"]]

    before = ask()
    client.post("/v1/events", json={"user_id": 1, "item_id": before[0], "event": "dislike"})
    assert before[0] not in ask()
    assert ask() == ask()
    assert len(usual) == 2
    with EventStore(f"{tmp_path}/events.db") as other:
        other.add([Event.of(3, before[1], "dislike")])
        ask()
        assert len(usual) == 2, "of somebody else"
        other.add([Event.of(1, before[1], "dislike")])
        assert before[1] not in ask()
        other.delete_user("1")
        assert set(before[:2]) <= set(ask())
    assert usual == ["1"] * 4


def test_a_new_artifact_answers_itself(client: TestClient, usual: list[object]) -> None:
    client.get(f"{LISTS}/1")
    assert client.post("/v1/reload").status_code == 200
    client.get(f"{LISTS}/1")
    assert len(usual) == 2


def test_keys_come_first(small: Recommender, tmp_path: Path) -> None:
    secret = add_key(tmp_path / "keys.toml", "shop", ["read"])
    app = create_app(small, EventStore(f"{tmp_path}/events.db"), keys=Keyring(tmp_path / "keys.toml"))
    with TestClient(app) as client:
        allowed = {"Authorization": f"Bearer {secret}"}
        assert [client.get(f"{LISTS}/1", headers=allowed).status_code for _ in range(2)] == [200, 200]
        assert client.get(f"{LISTS}/1").status_code == 401


def test_without_a_store_and_with_one_that_has_to_be_waited_for(
    small: Recommender, usual: list[object], postgres: Postgres
) -> None:
    for store, expected in ((None, 1), (EventStore(postgres.new_database("quick_road")), 2)):
        usual.clear()
        with TestClient(create_app(small, store)) as client:
            first, second = (client.get(f"{LISTS}/1") for _ in range(2))
        assert first.json()["items"] == second.json()["items"]
        assert len(usual) == expected


def test_few_and_short_addresses_are_kept(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    roads: list[quick_road.QuickRoad] = []
    learn = quick_road.QuickRoad.learn

    def noted(self: quick_road.QuickRoad, *args: Any) -> None:
        roads.append(self)
        learn(self, *args)

    monkeypatch.setattr(quick_road.QuickRoad, "learn", noted)
    monkeypatch.setattr(quick_road, "_MOST", 3)
    for k in range(1, 6):
        client.get(f"{LISTS}/1?k={k}")
    assert len(roads[0]) == 2, "forgotten after three"
    client.get(f"{LISTS}/1?exclude={','.join(['100'] * 200)}")
    assert len(roads[0]) == 2
