from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient

from shortlist.recommender import Recommender
from shortlist.service.app import create_app
from shortlist.service.item_routes import AudienceResponse, ItemResponse, ItemsResponse, TagsResponse


@pytest.fixture(scope="module")
def client(demo: Recommender) -> Iterator[TestClient]:
    with TestClient(create_app(demo), raise_server_exceptions=False) as client:
        yield client


def test_pages_join_to_the_whole(client: TestClient) -> None:
    whole = client.get("/v1/items?search=star&limit=200").json()
    ItemsResponse.model_validate(whole)
    assert whole["total"] == len(whole["items"]) < 200
    pages = [client.get(f"/v1/items?search=star&limit=7&offset={at}").json()["items"] for at in range(0, 200, 7)]
    assert [item for page in pages for item in page] == whole["items"]
    assert client.get("/v1/items?offset=9999").json() == {"items": [], "total": 9066}


def test_columns_are_searched_after_titles(client: TestClient) -> None:
    found = client.get("/v1/items?search=western&limit=200").json()["items"]
    in_title = ["western" in item["title"].lower() for item in found]
    assert in_title == sorted(in_title, reverse=True)
    assert any("Western" in item["genres"] for item in found)


def test_a_tag_and_an_order(client: TestClient) -> None:
    described = client.get("/v1/tags").json()
    TagsResponse.model_validate(described)
    assert described["feature"] == "genres"
    counts = {one["value"]: one["count"] for one in described["tags"]}
    answer = client.get("/v1/items?tag=Film-Noir&sort=title&limit=200").json()
    assert answer["total"] == counts["Film-Noir"]
    assert all("Film-Noir" in item["genres"] for item in answer["items"])
    first = [item["title"][0].casefold() for item in answer["items"]]
    assert [one for one in first if one.isalpha()] == sorted(one for one in first if one.isalpha())
    rare = client.get("/v1/items?sort=rarity&limit=5").json()["items"]
    common = client.get("/v1/items?sort=popularity&limit=5").json()["items"]
    assert max(item["popularity"] for item in rare) < min(item["popularity"] for item in common)
    wrong = client.get("/v1/items?tag=Westen")
    assert wrong.status_code == 400
    assert "no item has 'Westen' in genres" in wrong.json()["detail"]


def test_an_item_and_its_past(client: TestClient, demo: Recommender) -> None:
    answer = client.get("/v1/items/1").json()
    ItemResponse.model_validate(answer)
    assert answer["item"]["title"] == "Toy Story (1995)"
    taken, log = answer["taken"], demo.dataset.interactions
    mine = log.item_idx == demo.dataset.items.row(1)
    assert taken["total"] == sum(taken["counts"]) == np.count_nonzero(mine)
    assert taken["start"] == log.timestamp.min() // 1000
    assert taken["disliked"] == np.count_nonzero(mine & log.disliked)
    assert client.get("/v1/items/nothing").status_code == 404


def test_who_would_like_it(client: TestClient) -> None:
    answer = client.get("/v1/items/1/audience?k=4").json()
    AudienceResponse.model_validate(answer)
    assert len(answer["users"]) == 4
    for fan in answer["users"]:
        history = client.get(f"/v1/users/{fan['user_id']}").json()["history"]
        assert len(history) == fan["history_length"]
        titles = {event["title"] for event in history}
        assert len(titles) > 1
        assert "Toy Story (1995)" not in titles, "they have taken it"
    assert client.get("/v1/items/nothing/audience").status_code == 404
    assert client.get("/v1/items/1/audience?k=0").status_code == 422
