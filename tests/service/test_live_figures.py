"""`/v1/live`: the counters of `/metrics`, and the newest events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from shortlist.errors import StoreError
from shortlist.events import EventStore
from shortlist.recommender import Recommender
from shortlist.recommender.popularity_bands import BANDS, PopularityBands, stability_index
from shortlist.service.app import create_app
from shortlist.service.keys import Keyring, add_key


@pytest.fixture
def client(small: Recommender, tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(small, EventStore(f"{tmp_path}/events.db"))) as client:
        yield client


def test_what_was_asked_is_counted(client: TestClient, small: Recommender) -> None:
    shown = [item["item_id"] for _ in range(3) for item in client.get("/v1/recommendations/3?k=8").json()["items"]]
    client.post("/v1/recommendations", json={"k": 5})
    events = [{"user_id": 3, "item_id": one, "event": "like"} for one in (100, 102, "unheard of")]
    client.post("/v1/events", json=[*events, {"user_id": 3, "item_id": 101, "event": "hide"}])
    live = client.get("/v1/live").json()
    asked = {(one["route"], one["status"]): one["count"] for one in live["requests"]}
    assert asked["/v1/recommendations/{user_id}", "200"] == 3
    assert live["queries"] == {"warm": 3, "cold": 1}
    assert live["events"] == {"liked": 3, "disliked": 1}
    for histogram in (live["request_seconds"]["/v1/recommendations/{user_id}"], live["stage_seconds"]["encode"]):
        assert histogram["count"] == sum(histogram["buckets"])
        assert len(histogram["buckets"]) == len(live["bounds"]) + 1
    exposure, bands = live["exposure"], PopularityBands(small.dataset)
    cold = client.post("/v1/recommendations", json={"k": 5}).json()["items"]
    expected = np.bincount(bands.of([*shown, *(item["item_id"] for item in cold)]), minlength=11)
    assert exposure["shown"] == expected.tolist()
    assert (sum(exposure["taken"]), exposure["taken"][-1]) == (3, 1)
    assert exposure["drift"] == {"shown": None, "taken": None}, "too few to say"
    assert sum(exposure["learned"]) == pytest.approx(1, abs=1e-4)


def test_it_says_what_metrics_says(client: TestClient) -> None:
    client.get("/v1/recommendations/3")
    live, page = client.get("/v1/live").json(), client.get("/metrics").text
    for band, number in zip(BANDS, live["exposure"]["shown"], strict=True):
        assert f'shortlist_shown_items_total{{band="{band}"}} {float(number)}' in page
    assert 'shortlist_learned_share{band="01"}' in page


def test_the_newest_events_come_first(client: TestClient) -> None:
    for n, item in enumerate((100, 101, 999)):
        client.post("/v1/events", json={"user_id": n, "item_id": item, "event": "hide", "timestamp": 1_700_000_000 - n})
    latest = client.get("/v1/live?events=2").json()["latest"]
    assert [(one["user_id"], one["item_id"], one["meaning"]) for one in latest] == [
        (2, 999, "disliked"),
        (1, 101, "disliked"),
    ]
    assert "title" in latest[1]
    assert "title" not in latest[0]
    assert client.get("/v1/live?events=0").json()["latest"] == []
    assert client.get("/v1/live?events=1000").status_code == 422


def test_without_a_store_the_figures_are_there(small: Recommender, tmp_path: Path) -> None:
    with TestClient(create_app(small)) as client:
        assert client.get("/v1/live").json()["events_store"] == "none"
    store = EventStore(f"{tmp_path}/events.db")
    with TestClient(create_app(small, store)) as client:
        store.latest = _gone  # type: ignore[method-assign]
        live = client.get("/v1/live").json()
        assert (live["events_store"], live["latest"]) == ("unavailable", [])


def _gone(limit: int) -> list[object]:
    raise StoreError("The database is gone.")


def test_only_an_admin_may_look(small: Recommender, tmp_path: Path) -> None:
    reads, runs = (add_key(tmp_path / "keys.toml", scope, [scope]) for scope in ("read", "admin"))
    with TestClient(create_app(small, keys=Keyring(tmp_path / "keys.toml"))) as client:
        got = [client.get("/v1/live", headers={"authorization": f"Bearer {key}"}).status_code for key in (reads, runs)]
        assert got == [403, 200]
        assert client.get("/v1/shape", headers={"authorization": f"Bearer {reads}"}).status_code == 200


def test_bands_hold_a_tenth_each_and_drift_is_seen() -> None:
    rng = np.random.default_rng(0)
    share = np.full(11, 0.1)
    share[10] = 0
    alike = np.bincount(rng.choice(10, 2_000, p=share[:10]), minlength=11)
    assert stability_index(alike, share) < 0.05
    assert stability_index(np.array([*[0] * 9, 2_000, 0]), share) > 1


def test_bands_of_a_data_set(small: Recommender) -> None:
    bands, dataset = PopularityBands(small.dataset), small.dataset
    assert bands.items.sum() == dataset.num_items
    counts = np.bincount(dataset.interactions.positives().values, minlength=dataset.num_items)
    most = dataset.items.id(int(counts.argmax()))
    assert bands.of([most, "unheard of"]) == [0, 10]
    assert bands.of_texts([str(most), "unheard of"]) == [0, 10]
    assert bands.share.sum() == pytest.approx(1)
