from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from shortlist.events import EventStore
from shortlist.recommender import Query, Recommender
from shortlist.service.app import create_app
from shortlist.service.map_routes import MapItemsResponse, MapQueryResponse, MapResponse


@pytest.fixture(scope="module")
def client(demo: Recommender) -> Iterator[TestClient]:
    with TestClient(create_app(demo), raise_server_exceptions=False) as client:
        yield client


def test_the_description_and_the_points(client: TestClient, demo: Recommender) -> None:
    described = client.get("/v1/map").json()
    MapResponse.model_validate(described)
    number = demo.dataset.num_items
    assert described["num_items"] == number
    assert described["feature"] == "genres"
    assert described["legend"][0]["value"] == "Drama"
    points = client.get(described["points"])
    assert points.headers["content-type"] == "application/octet-stream"
    assert len(points.content) == 14 * number
    again = client.get(described["points"], headers={"if-none-match": points.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/map", "/v1/map/points", "/v1/map/items", "/v1/map/query"} <= set(paths)


def test_items_by_place_and_by_id(client: TestClient, demo: Recommender) -> None:
    points = client.get("/v1/map/points").content
    places = np.frombuffer(points, "<f4", 2 * demo.dataset.num_items).reshape(-1, 2)
    answer = client.get("/v1/map/items?places=0,17&id=1").json()
    MapItemsResponse.model_validate(answer)
    items = answer["items"]
    assert [item["place"] for item in items][:2] == [0, 17]
    assert items[2]["item_id"] == 1
    assert items[2]["title"] == "Toy Story (1995)"
    for item in items:
        assert (item["x"], item["y"]) == tuple(places[item["place"]].tolist())
    assert client.get("/v1/map/items").json() == {"items": []}


def test_where_a_query_lands(client: TestClient, demo: Recommender) -> None:
    answer = client.post("/v1/map/query", json={"history": [1, 588], "k": 5}).json()
    MapQueryResponse.model_validate(answer)
    assert [item["item_id"] for item in answer["items"]] == [
        item.item_id for item in demo.recommend(Query(history=[1, 588], k=5)).items
    ]
    assert [item["item_id"] for item in answer["history"]] == [1, 588]
    assert max(abs(answer["x"]), abs(answer["y"])) <= 1.5
    assert answer["fit"] is None
    known = client.post("/v1/map/query", json={"user_id": 15, "k": 3, "fit": True}).json()
    fit = np.frombuffer(base64.b64decode(known["fit"]), np.uint8)
    assert len(fit) == demo.dataset.num_items
    assert min(fit[item["place"]] for item in known["items"]) > 200
    assert 0 < len(known["history"]) <= 60


def test_what_happened_since_moves_the_landing(demo: Recommender, tmp_path: Path) -> None:
    with TestClient(create_app(demo, EventStore(f"{tmp_path}/events.db"))) as client:
        for item in (1, 588):
            client.post("/v1/events", json={"user_id": "newcomer", "item_id": item, "event": "like"})
        answer = client.post("/v1/map/query", json={"user_id": "newcomer", "k": 5}).json()
        assert [item["item_id"] for item in answer["history"]] == [1, 588]
        assert answer["items"] == client.post("/v1/map/query", json={"history": [1, 588], "k": 5}).json()["items"]


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("/v1/map/items?places=x", "places: expected whole numbers from 0 to"),
        ("/v1/map/items?places=99999999999999999999", "places: expected whole numbers"),
        ("/v1/map/items?places=00000000000099999999999", "places: expected whole numbers"),
        ("/v1/map/items?places=²", "places: expected whole numbers"),
        ("/v1/map/items?places=-1", "places: expected whole numbers"),
        ("/v1/map/items?id=nothing", "id: 1 of 1 items are not known"),
        ("/v1/map/items?places=" + ",".join("1" * 201), "At most 200 items"),
    ],
)
def test_problems(client: TestClient, url: str, detail: str) -> None:
    answer = client.get(url)
    assert answer.status_code == 400
    assert re.search(detail, answer.json()["detail"])
    assert client.post("/v1/map/query", json={"user_id": "nobody"}).status_code == 404
