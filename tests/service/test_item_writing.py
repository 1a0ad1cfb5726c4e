"""Items in and out over HTTP: in the next answer, in every worker's, and after a restart."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from shortlist.errors import StoreError
from shortlist.events import EventStore
from shortlist.recommender import Recommender, artifact
from shortlist.service.app import create_app
from shortlist.service.item_writing import DeletedItemResponse, PutItemResponse
from tests.live_world import EVEN, ODD, small_artifact
from tests.service.test_events_http import items, say, served

NEW = {"title": "A new one", "tags": ["even"], "size": 7}
EVEN_USER = 0


@pytest.fixture
def client(small: Recommender, tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(small, EventStore(f"{tmp_path}/events.db")), raise_server_exceptions=False) as client:
        yield client


def soon(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so, sooner or much later."""
    until = time.monotonic() + 20
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_a_new_item_is_found_recommended_and_deleted(client: TestClient) -> None:
    answer = client.put("/v1/items/900", json=NEW)
    assert answer.status_code == 201
    PutItemResponse.model_validate(answer.json())
    told = {"created": True, "revision": 1, "placed_by": "content_neighbours"}
    assert answer.json() == {"item": {"item_id": 900, **NEW}, **told}
    assert client.put("/v1/items/900", json=NEW).json() == {**answer.json(), "created": False}
    assert 900 in items(client, EVEN_USER, 9)
    assert items(client, EVEN_USER, where='title = "A new one"') == [900]
    assert client.get("/v1/items/900").json()["item"] == {"item_id": 900, **NEW, "popularity": 0}
    assert [one["item_id"] for one in client.get("/v1/items?search=new").json()["items"]] == [900]
    assert len(client.get("/v1/items/900/similar?k=5").json()["items"]) == 5
    assert len(client.get("/v1/items/900/audience?k=3").json()["users"]) == 3
    assert client.get("/v1/map").json()["num_items"] == 41
    assert say(client, "ann", 900, "like").json()["unknown_items"] == []
    assert set(items(client, "ann", 5)) <= set(EVEN)
    assert client.get("/v1/users/ann").json()["history"][0]["title"] == "A new one"
    gone = client.delete("/v1/items/900")
    DeletedItemResponse.model_validate(gone.json())
    assert (gone.status_code, gone.json()) == (200, {"item_id": 900, "revision": 2})
    assert client.delete("/v1/items/900").json() == gone.json()
    assert client.get("/v1/items/900").status_code == 404
    assert 900 not in items(client, EVEN_USER, 40)
    assert client.get("/v1/items?search=new").json()["total"] == 0


def test_an_item_of_the_artifact(client: TestClient) -> None:
    item = EVEN[1]
    changed = client.put(f"/v1/items/{item}", json={"title": "Other", "tags": "odd"})
    assert changed.status_code == 200
    assert changed.json() == {
        "item": {"item_id": item, "title": "Other", "tags": ["odd"]},
        "created": False,
        "revision": 1,
        "placed_by": "training",
    }
    assert items(client, 1, where='title = "Other"', seen="keep") == [item]
    assert client.get("/v1/items?search=other").json()["total"] == 1
    assert client.get("/v1/items?search=odd&limit=200").json()["total"] == 21
    assert client.delete(f"/v1/items/{item}").status_code == 200
    assert item not in items(client, 1, seen="keep")
    for path in ("", "/similar", "/audience"):
        answer = client.get(f"/v1/items/{item}{path}")
        assert answer.status_code == 404, path
        assert "was deleted" in answer.json()["detail"]
    assert client.get("/v1/items?limit=200").json()["total"] == 39
    assert client.get("/v1/items?sort=title&limit=200").json()["total"] == 39
    back = client.put(f"/v1/items/{item}", json={"title": "Again"})
    assert (back.status_code, back.json()["created"]) == (201, True)
    metrics = client.get("/metrics").text
    assert 'shortlist_item_changes_total{change="put"} 2.0' in metrics
    assert 'shortlist_item_changes_total{change="deleted"} 1.0' in metrics


@pytest.mark.parametrize(
    ("item", "body", "status", "detail"),
    [
        ("900", b"{", 422, "body: expected JSON"),
        ("900", b"\xff\xfe", 422, "body: expected JSON"),
        ("900", b"[" * 5_000, 422, "body: expected JSON"),
        ("900", b"[]", 422, "body: expected the item's columns as an object"),
        ("900", b'{"tagz": "even"}', 422, "tagz: items have no such column; did you mean 'tags'"),
        ("900", b'{"size": NaN}', 422, "size: expected a finite number"),
        ("900", b'{"title": "x"}', 422, "tags, size: all are missing"),
        ("nine", b'{"tags": "even"}', 422, "item_id: the items of this artifact have whole numbers"),
        ("%00", b'{"tags": "even"}', 422, "item_id: expected 1 to 256 printable characters"),
        ("9" * 300, b'{"tags": "even"}', 422, "item_id: expected 1 to 256"),
        ("9" * 30, b'{"tags": "even"}', 422, "item_id:"),
    ],
)
def test_problems_name_the_column_and_nothing_is_kept(
    client: TestClient, item: str, body: bytes, status: int, detail: str
) -> None:
    answer = client.put(f"/v1/items/{item}", content=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(detail)
    assert client.get("/v1/items?limit=1").json()["total"] == 40


def test_the_catalogue_where_items_only_went(client: TestClient) -> None:
    before = client.get("/v1/items?search=1").json()["total"]
    assert client.delete(f"/v1/items/{EVEN[3]}").status_code == 200
    found = client.get("/v1/items?search=1&limit=100")
    assert found.status_code == 200
    assert EVEN[3] not in [one["item_id"] for one in found.json()["items"]]
    assert found.json()["total"] in (before, before - 1)
    assert client.get("/v1/tags").json()["tags"] == [{"value": "odd", "count": 20}, {"value": "even", "count": 19}]


def test_what_is_not_there_cannot_be_deleted(client: TestClient) -> None:
    for item in ("900", "nobody", "%2F"):
        assert client.delete(f"/v1/items/{item}").status_code == 404


def test_without_a_store(small: Recommender) -> None:
    with TestClient(create_app(small), raise_server_exceptions=False) as client:
        for answer in (client.put("/v1/items/900", json=NEW), client.delete(f"/v1/items/{EVEN[0]}")):
            assert answer.status_code == 503
            assert "keeps no events" in answer.json()["detail"]


def test_a_store_that_is_gone_changes_nothing(client: TestClient, tmp_path: Path) -> None:
    client.put("/v1/items/900", json=NEW)
    for file in tmp_path.glob("events.db*"):
        file.rename(tmp_path / f"{file.name}.away")
    assert client.put("/v1/items/901", json=NEW).status_code == 503
    assert client.delete("/v1/items/900").status_code == 503
    assert items(client, EVEN_USER, where='title = "A new one"') == [900]
    for file in tmp_path.glob("*.away"):
        file.rename(file.with_suffix(""))
    assert soon(lambda: client.put("/v1/items/901", json=NEW).status_code == 201)


def test_kept_is_known_even_if_it_cannot_be_read_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise StoreError("it does not answer")

    monkeypatch.setattr("shortlist.events.items.ItemStore.revision", fails)
    assert client.put("/v1/items/900", json=NEW).status_code == 201
    assert client.delete(f"/v1/items/{EVEN[0]}").status_code == 200
    assert 900 in items(client, 1)
    assert EVEN[0] not in items(client, 1)
    monkeypatch.undo()
    assert client.put("/v1/items/901", json=NEW).json()["revision"] == 3
    assert {900, 901} <= set(items(client, 1))


def test_two_services_over_one_store(small: Recommender, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one acknowledged the other knows soon, and a third after a restart."""
    with (
        TestClient(create_app(small, EventStore(store_url))) as one,
        TestClient(create_app(small, EventStore(store_url))) as other,
    ):
        one.put("/v1/items/900", json=NEW)
        assert soon(lambda: 900 in items(other, EVEN_USER, 9))
        other.delete(f"/v1/items/{EVEN[0]}")
        assert soon(lambda: EVEN[0] not in items(one, 1, seen="keep"))
        assert one.delete("/v1/items/900").status_code == 200
        assert other.delete("/v1/items/900").status_code == 200  # whether it knows already or not
        other.put("/v1/items/901", json=NEW)
    with TestClient(create_app(small, EventStore(store_url))) as again:
        assert EVEN[0] not in items(again, 1, seen="keep")
        assert {900, 901} & set(items(again, EVEN_USER, 9)) == {901}

    def fails(*_: Any) -> Any:
        raise StoreError("it is being repaired")

    monkeypatch.setattr("shortlist.events.items.ItemStore.since", fails)
    with TestClient(create_app(small, EventStore(store_url))) as blind:
        assert len(items(blind, EVEN_USER, 9)) == 9  # without them, rather than not at all
        monkeypatch.undo()
        assert soon(lambda: 901 in items(blind, EVEN_USER, 9))


def test_a_new_artifact_keeps_what_was_said(small_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "artifact"))
    app = create_app(artifact.load(folder), EventStore(f"{tmp_path}/events.db"), load=lambda: artifact.load(folder))
    with TestClient(app) as client:
        client.put("/v1/items/900", json=NEW)
        client.delete(f"/v1/items/{ODD[0]}")
        small_artifact(folder, model="mf")
        answer = client.post("/v1/reload").json()
        assert answer["model"] == "mf"
        assert answer["data_fingerprint"] == artifact.load(folder).dataset.fingerprint
        assert 900 in items(client, EVEN_USER, 9)
        assert ODD[0] not in items(client, EVEN_USER, seen="keep")


def test_workers_and_a_kill(small_folder: Path, tmp_path: Path) -> None:
    """Real processes: what was acknowledged is in every worker's answers, and survives `kill -9`."""
    store = f"sqlite:///{tmp_path}/events.db"

    def everywhere(address: str) -> bool:
        asked = [httpx.get(f"{address}/v1/recommendations/{EVEN_USER}?k=40") for _ in range(12)]  # on either worker
        found = [{one["item_id"] for one in answer.json()["items"]} for answer in asked]
        return all(900 in one and EVEN[5] not in one for one in found)

    with served(small_folder, store, workers=2) as (address, process):
        assert httpx.put(f"{address}/v1/items/900", json=NEW).status_code == 201
        assert httpx.delete(f"{address}/v1/items/{EVEN[5]}").status_code == 200
        assert soon(lambda: everywhere(address))
        process.kill()
        process.wait()
    with served(small_folder, store) as (address, _):
        assert everywhere(address)
