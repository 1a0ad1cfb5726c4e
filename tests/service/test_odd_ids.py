"""Ids are opaque: slashes, commas and signs of addresses are part of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from shortlist.data.preparation import prepare
from shortlist.data.splitting import split
from shortlist.recommender import Recommender
from shortlist.service.app import create_app
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_retriever, serve

ITEMS = ["a/b", "a/b/similar", "x,y", "?q#r", "ü & é", "plain", "..", " "]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A catalogue without titles, features and times."""
    rng = np.random.default_rng(0)
    users = np.repeat([f"u/{n}" for n in range(20)], 4)
    items = np.concatenate([rng.permutation(ITEMS)[:4] for _ in range(20)])
    settings = Settings.from_dict({"retriever": {"model": "item_knn"}})
    data = prepare(pa.table({"user_id": users, "item_id": items}), None, None, settings.data, settings.features)
    retriever = fit_retriever(data, split(data, settings.split), settings).retriever
    folder: Path = tmp_path_factory.mktemp("odd") / "r"
    with TestClient(create_app(Recommender(data, serve(retriever, data, folder), settings))) as client:
        yield client


@pytest.mark.parametrize("item", [one for one in ITEMS if one.strip(". ")])
def test_every_item_has_its_pages(client: TestClient, item: str) -> None:
    path = f"/v1/items/{quote(item, safe='')}"
    about = client.get(path).json()
    if not item.endswith("/similar"):  # that is the list of another one
        assert about["item"]["item_id"] == item
        assert about["taken"]["start"] is None
    assert client.get(f"{path}/similar?k=2").json()["item"]["item_id"] == item
    assert client.get(f"{path}/audience?k=2").json()["item"]["item_id"] == item
    assert client.get("/v1/map/items", params={"id": item}).json()["items"][0]["item_id"] == item


def test_users_too(client: TestClient) -> None:
    assert client.get("/v1/users/u%2F3").json()["user_id"] == "u/3"
    assert client.get("/v1/recommendations/u%2F3?k=1").json()["user_id"] == "u/3"


def test_a_catalogue_of_ids_alone(client: TestClient) -> None:
    assert client.get("/v1/tags").json() == {"feature": None, "tags": []}
    assert client.get("/v1/items", params={"search": "plain"}).json()["items"][0]["item_id"] == "plain"
    about = client.get("/v1/map").json()
    assert about["legend"] == []
    assert len(client.get("/v1/map/points").content) == 14 * about["num_items"]
