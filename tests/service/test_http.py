from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shortlist.recommender import Query, Recommender
from shortlist.service.app import STATIC, create_app


@pytest.fixture(scope="module")
def client(demo: Recommender) -> Iterator[TestClient]:
    with TestClient(create_app(demo), raise_server_exceptions=False) as client:
        yield client


def test_recommendations_are_the_recommenders(client: TestClient, demo: Recommender) -> None:
    over_http = client.get("/v1/recommendations/1?k=5").json()
    direct = demo.recommend(Query(user_id=1, k=5)).to_dict()
    assert over_http["user_id"] == 1
    assert over_http["items"] == json.loads(json.dumps(direct["items"]))
    assert over_http["stages"]["retrieve"]["candidates"] == 5


def test_only_what_is_allowed_comes_back(client: TestClient) -> None:
    """Of a list; an empty one allows nothing, none at all everything."""
    for wanted, k in (("2,3,260", 3), ("", 0)):
        answer = client.get(f"/v1/recommendations/9?k=5&allow={wanted}").json()
        allowed = [int(one) for one in wanted.split(",") if one]
        assert sorted(item["item_id"] for item in answer["items"]) == allowed
        body = {"history": [1], "k": 5, "allow": allowed}
        assert len(client.post("/v1/recommendations", json=body).json()["items"]) == k
    assert len(client.post("/v1/recommendations", json={"history": [1], "k": 5, "allow": None}).json()["items"]) == 5


def test_a_bare_history(client: TestClient) -> None:
    body = {
        "history": ["1", 588],
        "disliked": [2],
        "k": 4,
        "exclude": ["364"],
        "where": 'genres has "Animation"',
    }
    answer = client.post("/v1/recommendations", json=body).json()
    assert answer["user_id"] is None
    assert len(answer["items"]) == 4
    for item in answer["items"]:
        assert "Animation" in item["genres"]
        assert isinstance(item["year"], int)
        assert item["item_id"] not in (1, 588, 2, 364)
        assert {reason["item_id"] for reason in item["reasons"]} <= {1, 588}
        assert "attributions" not in item


def test_explained_in_full_the_parts_add_up(client: TestClient) -> None:
    body = {"history": [1, 588], "k": 3, "explain": "full"}
    for answer in (client.post("/v1/recommendations", json=body), client.get("/v1/recommendations/1?k=3&explain=full")):
        for item in answer.json()["items"]:
            (attribution,) = item["attributions"]
            assert (attribution["stage"], attribution["model"]) == ("retrieval", "softmax_dnn")
            assert attribution["score"] == pytest.approx(item["score"], rel=1e-4)
            total = attribution["baseline"] + sum(part["contribution"] for part in attribution["parts"])
            assert total == pytest.approx(item["score"], rel=1e-4)
            move = {"stage": "retrieval", "place": item["rank"], "lifted": None, "score": item["score"]}
            assert item["moves"] == [move]
            assert item["reasons"][0] in attribution["parts"]
    silent = client.get("/v1/recommendations/1?explain=none").json()
    assert all(item["reasons"] == [] for item in silent["items"])
    assert "explain" not in silent["stages"]
    refused = client.get("/v1/recommendations/1?explain=much")
    assert refused.status_code == 422


def test_a_known_user_with_a_new_like(client: TestClient) -> None:
    before = client.post("/v1/recommendations", json={"user_id": 1}).json()["items"]
    liked = before[0]["item_id"]
    after = client.post("/v1/recommendations", json={"user_id": 1, "history": [liked]}).json()["items"]
    assert liked not in {item["item_id"] for item in after}


@pytest.mark.parametrize(
    ("search", "first"),
    [
        ("godfather", "Godfather, The (1972)"),
        ("amelie", "Amelie"),
        ("TOY story", "Toy Story (1995)"),
        ("the shining", "Shining, The (1980)"),
    ],
)
def test_items_are_found(client: TestClient, search: str, first: str) -> None:
    items = client.get("/v1/items", params={"search": search, "limit": 5}).json()["items"]
    assert items[0]["title"].startswith(first)
    assert len(items) <= 5


def test_items_and_users_to_start_with(client: TestClient) -> None:
    items = client.get("/v1/items?limit=24").json()["items"]
    assert len(items) == 24
    assert [item["popularity"] for item in items] == sorted((item["popularity"] for item in items), reverse=True)
    assert client.get("/v1/items", params={"search": "zzzz qqq"}).json() == {"items": [], "total": 0}
    users = client.get("/v1/users?search=12&limit=3").json()["users"]
    assert users[0] == {"user_id": 12, "history_length": users[0]["history_length"]}
    assert all(str(user["user_id"]).startswith("12") for user in users)


def test_a_user_and_their_history(client: TestClient) -> None:
    user = client.get("/v1/users/1").json()
    times = [event["timestamp"] for event in user["history"]]
    assert len(times) == 20
    assert times == sorted(times)
    assert user["history"][0]["title"]
    assert sum(event["disliked"] for event in user["history"]) == sum(event["value"] <= 2 for event in user["history"])


def test_similar(client: TestClient) -> None:
    answer = client.get("/v1/items/1/similar?k=3").json()
    assert answer["item"]["title"] == "Toy Story (1995)"
    assert [item["rank"] for item in answer["items"]] == [1, 2, 3]


def test_report_and_health(client: TestClient) -> None:
    models = ["softmax_dnn", "popularity", "recent_popularity", "item_knn", "sequential_rules", "ease", "mf"]
    assert list(client.get("/v1/report").json()["models"]) == models
    page = client.get("/report")
    assert page.headers["content-type"].startswith("text/html")
    assert "Content-Security-Policy" in page.text
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["items"] == 9066


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "detail"),
    [
        ("GET", "/v1/recommendations/99999", None, 404, "no user '99999'"),
        (
            "GET",
            "/v1/recommendations/1?k=0",
            None,
            422,
            "k: input should be greater than or equal to 1, got '0'",
        ),
        ("GET", "/v1/recommendations/1?k=100000", None, 422, "less than or equal to 1000"),
        ("GET", "/v1/recommendations/1?where=year+%3E%3E+3", None, 400, "Expected a number"),
        ("GET", "/v1/recommendations/1?allow=x", None, 400, "allow: 1 of 1 items are not known"),
        ("GET", "/v1/recommendations/1?exclude=x", None, 400, "exclude: 1 of 1 items are not known"),
        ("POST", "/v1/recommendations", {"history": [424242]}, 400, "history: 1 of 1 items are not known"),
        ("POST", "/v1/recommendations", {"histroy": [1]}, 422, "histroy: extra inputs"),
        ("POST", "/v1/recommendations", {"k": "many"}, 422, "k: input should be a valid integer"),
        ("POST", "/v1/recommendations", {"features": {"age": 3}}, 400, "no query feature 'age'"),
        ("GET", "/v1/items/424242/similar", None, 404, "no item '424242'"),
        ("GET", "/v1/users/nobody", None, 404, "no user 'nobody'"),
        ("GET", "/v1/nothing", None, 404, "GET /v1/nothing"),
        ("DELETE", "/v1/report", None, 405, "Method Not Allowed"),
    ],
)
def test_problems(client: TestClient, method: str, url: str, body: Any, status: int, detail: str) -> None:
    answer = client.request(method, url, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert set(document) == {"type", "title", "status", "detail"}
    assert document["status"] == status
    assert detail in document["detail"]


def test_a_page_of_another_origin_changes_nothing(client: TestClient) -> None:
    body, plain = json.dumps({"history": [1], "k": 3}), {"content-type": "text/plain"}
    for foreign in ("https://elsewhere.example", "http://testserver:81", "null"):
        refused = client.post("/v1/reload", content=body, headers={**plain, "origin": foreign})
        assert refused.status_code == 403
        assert refused.json()["title"] == "Another origin"
        assert client.get("/v1/recommendations/1?k=1", headers={"origin": foreign}).status_code == 200
    own = client.post("/v1/recommendations", json=json.loads(body), headers={"origin": "http://testserver"})
    assert own.status_code == 200
    assert len(own.json()["items"]) == 3


def test_answers_fit_the_published_schema(client: TestClient) -> None:
    from shortlist.service import schemas

    schemas.RecommendationResponse.model_validate(client.get("/v1/recommendations/1").json())
    schemas.SimilarResponse.model_validate(client.get("/v1/items/1/similar").json())
    schemas.ItemsResponse.model_validate(client.get("/v1/items").json())
    schemas.UserResponse.model_validate(client.get("/v1/users/1").json())
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/recommendations", "/v1/recommendations/{user_id}", "/v1/items/{item_id}/similar"} <= set(paths)
    assert client.get("/docs").status_code == 200


def test_the_page_and_its_files(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert page.headers["x-content-type-options"] == "nosniff"
    for file in STATIC.rglob("*"):
        if file.is_file():
            assert client.get(f"/static/{file.relative_to(STATIC)}").status_code == 200
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text
