"""Re-ranking by a request: the same code as the settings', for one answer, and what it did to the list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from shortlist.errors import SettingsError
from shortlist.recommender import Query, Recommender
from shortlist.recommender.live import LiveRecommender
from shortlist.recommender.shaping import Shaping, steps_from
from shortlist.service.app import create_app

BOOST = {"step": "boost", "where": "size > 5", "strength": 1.0}
DAMPED = {"step": "popularity", "strength": 0.7}


@pytest.fixture(scope="module")
def client(small: Recommender) -> Iterator[TestClient]:
    with TestClient(create_app(small), raise_server_exceptions=False) as client:
        yield client


def asked(client: TestClient, **body: Any) -> list[int]:
    return [item["item_id"] for item in client.post("/v1/recommendations", json=body).json()["items"]]


def test_an_answer_under_steps_is_that_of_a_recommender_with_them(client: TestClient, small: Recommender) -> None:
    for rerank in ([BOOST], [DAMPED], [DAMPED, BOOST], [{**DAMPED, "strength": 0.2}], []):
        expected = small.reranked(steps_from(rerank)).recommend(Query(user_id=3, k=8)).items
        assert asked(client, user_id=3, k=8, rerank=rerank) == [one.item_id for one in expected]
    assert asked(client, user_id=3, k=8) == asked(client, user_id=3, k=8, rerank=None)
    assert asked(client, user_id=3, k=8, rerank=[BOOST]) != asked(client, user_id=3, k=8)


def test_no_other_answer_is_changed(client: TestClient, small: Recommender) -> None:
    before = client.get("/v1/recommendations/3?k=8").json()["items"]
    asked(client, user_id=3, rerank=[BOOST])
    assert client.get("/v1/recommendations/3?k=8").json()["items"] == before
    assert small.settings.rerank == ()


def test_what_is_built_is_kept_and_only_its_strength_moves(small: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    from shortlist.recommender import shaping

    built, build = [], shaping.rerankers_of
    monkeypatch.setattr(shaping, "rerankers_of", lambda *given: built.append(1) or build(*given))
    kept = Shaping(small)
    strengths = [kept.under(steps_from([{**DAMPED, "strength": s}])).funnel.rerankers[0].strength for s in (0, 0.5, 1)]
    assert (strengths, len(built)) == ([0, 0.5, 1], 1)
    for n in range(40):
        kept.under(steps_from([{"step": "boost", "where": f"size > {n}"}]))
    assert len(kept._built) <= 12


@pytest.mark.parametrize(
    ("rerank", "said"),
    [
        ([{"step": "diversty"}], "'diversty' is not available"),
        ([{"step": "popularity", "strength": 3}], "rerank.0.strength"),
        ([{"step": "popularity", "strengt": 1}], "did you mean 'strength'"),
        ([{"step": "boost"}], "boost needs to know what"),
        ([{"step": "diversity"}], "rerank.0.feature: the items of this retriever have no vectors"),
        ([DAMPED, {"step": "calibration", "feature": "tag"}], "rerank.1.feature: there is no item feature 'tag'"),
        ([{"step": "boost", "where": "size >"}], "Expected a number"),
        ([{**DAMPED, "candidates": 100_000}], "at most 1,000, got 100,000"),
        ([DAMPED] * 11, "at most 10 items"),
        ("freshness", "valid array"),
        ([{"step": ["boost"]}], "not available"),
    ],
)
def test_what_cannot_be_done_is_said(client: TestClient, rerank: Any, said: str) -> None:
    for path in ("/v1/recommendations", "/v1/shape", "/v1/map/query"):
        answer = client.post(path, json={"user_id": 3, "rerank": rerank})
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"] == "application/problem+json"
        assert said in answer.json()["detail"], path


def test_a_list_before_and_after(client: TestClient, small: Recommender) -> None:
    answer = client.post("/v1/shape", json={"user_id": 3, "k": 8, "rerank": [BOOST]}).json()
    assert [one["item_id"] for one in answer["before"]["items"]] == asked(client, user_id=3, k=8, rerank=[])
    assert [one["item_id"] for one in answer["after"]["items"]] == asked(client, user_id=3, k=8, rerank=[BOOST])
    for item in answer["after"]["items"]:
        assert item["places"].keys() == {"retrieval", "boost"}
        assert item["places"]["boost"] == item["rank"]
    tags = {tag for one in answer["after"]["items"] for tag in one["tags"]}
    assert answer["after"]["figures"]["kinds"] == len(tags)
    scores = [one["score"] for one in answer["after"]["items"]]
    assert answer["after"]["figures"]["score"] == pytest.approx(np.mean(scores), abs=1e-5)
    rows = small.dataset.items.rows([one["item_id"] for one in answer["after"]["items"]])
    positives = small.dataset.interactions.positives()
    share = np.bincount(positives.values, minlength=small.dataset.num_items) / (positives.lengths > 0).sum()
    assert answer["after"]["figures"]["popularity"] == pytest.approx(share[rows].mean(), abs=1e-6)


def test_damping_shows_less_popular_items(client: TestClient) -> None:
    figures = client.post("/v1/shape", json={"user_id": 3, "rerank": [{**DAMPED, "strength": 1}]}).json()
    assert figures["after"]["figures"]["popularity"] < figures["before"]["figures"]["popularity"]


def test_the_menu_has_every_step_and_says_what_is_not_possible(client: TestClient) -> None:
    shape = client.get("/v1/shape").json()
    steps = {one["step"]: one for one in shape["steps"]}
    assert list(steps)[:4] == ["rules", "boost", "freshness", "diversity"]
    assert list(steps)[4:] == ["calibration", "exposure", "popularity", "exploration"]
    assert "no vectors" in steps["diversity"]["unavailable"]
    assert steps["calibration"]["unavailable"] is None
    settings = {one["name"]: one for one in steps["diversity"]["settings"]}
    assert settings["feature"]["options"] == ["tags"]
    assert settings["method"]["options"] == ["mmr", "dpp"]
    assert shape["rerank"] == []
    assert shape["tradeoffs"] == {}


def test_the_artifacts_own_steps_and_curves_are_told(small: Recommender) -> None:
    recommender = small.reranked(steps_from([DAMPED]))
    with TestClient(create_app(recommender)) as client:
        assert client.get("/v1/shape").json()["rerank"][0]["strength"] == 0.7
        own = client.post("/v1/shape", json={"user_id": 3}).json()["after"]["items"]
        assert [one["item_id"] for one in own] == asked(client, user_id=3)
        bare = client.post("/v1/recommendations", json={"user_id": 3, "rerank": []}).json()
        assert "rerank" not in bare["stages"]


def test_a_step_that_does_not_fit_is_no_failure_of_the_model(small: Recommender) -> None:
    with pytest.raises(SettingsError, match=r"rerank\.0\.feature"):
        LiveRecommender(small, timeout=5).recommend(Query(user_id=3), rerank=steps_from([{"step": "diversity"}]))


def test_a_half_life_that_suits_the_catalogue_is_suggested(client: TestClient) -> None:
    """All items of this world came within an hour: thirty days, the default, would tell none from another."""
    steps = {one["step"]: one for one in client.get("/v1/shape").json()["steps"]}
    (half_life,) = (one for one in steps["freshness"]["settings"] if one["name"] == "half_life")
    assert (half_life["default"], half_life["suggested"]) == ("30d", "1h")
    assert half_life["suggested"] in half_life["options"]
