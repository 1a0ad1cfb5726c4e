"""Events in, the next answer out: over real HTTP, from real processes."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from shortlist.events import EventStore
from shortlist.recommender import Recommender, artifact
from shortlist.service import schemas
from shortlist.service.app import create_app
from tests.live_world import EVEN, ODD, small_artifact
from tests.postgres import Postgres


@pytest.fixture
def client(small: Recommender, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(small, EventStore(f"{tmp_path}/events.db"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(folder: Path, events: str, workers: int = 1) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """``shortlist serve`` in a process of its own."""
    port = free_port()
    command = [
        sys.executable,
        "-c",
        "from shortlist.cli import main; main()",
        "serve",
        str(folder),
        "--port",
        str(port),
        "--events",
        events,
    ]
    process = subprocess.Popen([*command, "--workers", str(workers), "--access-log"], stderr=subprocess.PIPE)
    address = f"http://127.0.0.1:{port}"
    lines: list[bytes] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lines.extend, args=(process.stderr,))
    reader.start()
    process.lines = lines  # type: ignore[attr-defined]
    try:
        until = time.monotonic() + 60
        while not _is_ready(address):
            assert process.poll() is None, b"".join(lines).decode()
            assert time.monotonic() < until, b"".join(lines).decode()
            time.sleep(0.1)
        yield address, process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=30)
        reader.join()
        process.stderr.close()


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def items(client: Any, user: object, k: int = 40, **options: object) -> list[Any]:
    answer = client.get(f"/v1/recommendations/{user}", params={"k": k, **options})
    assert answer.status_code == 200, answer.text
    return [one["item_id"] for one in answer.json()["items"]]


def say(client: Any, user: object, item: object, word: str, **fields: object) -> Any:
    return client.post("/v1/events", json={"user_id": user, "item_id": item, "event": word, **fields})


def test_one_event_or_a_list(client: TestClient) -> None:
    one = say(client, 1, EVEN[0], "like", event_id="e1")
    assert one.status_code == 201
    assert one.json() == {"accepted": 1, "repeated": 0, "event_ids": ["e1"], "unknown_items": []}
    both = [
        {"user_id": "1", "item_id": str(EVEN[0]), "event": "like", "event_id": "e1"},
        {"user_id": 1, "item_id": "new", "event": "view", "timestamp": "2024-05-01T12:00:00Z", "value": 30},
    ]
    answer = client.post("/v1/events", json=both).json()
    assert answer["accepted"] == 2
    assert answer["repeated"] == 1
    assert answer["unknown_items"] == ["new"]
    schemas.EventsResponse.model_validate(answer)
    user = client.get("/v1/users/1").json()
    schemas.UserResponse.model_validate(user)
    assert user["num_events"] == 2
    live = [entry for entry in user["history"] if "event" in entry]
    assert live == [
        {"item_id": "new", "liked": True, "disliked": False, "event": "view", "timestamp": 1714564800, "value": 30.0},
        {**live[1], "item_id": EVEN[0], "title": "Item 0", "liked": True, "disliked": False, "event": "like"},
    ]


def test_a_like_counts_and_a_dislike_removes_at_once(client: TestClient) -> None:
    before = items(client, 1)
    say(client, 1, before[0], "dislike")
    after = items(client, 1)
    assert before[0] not in after
    say(client, 1, EVEN[0], "like")
    assert items(client, 1) != after
    assert before[0] not in items(client, 1, seen="keep")
    posted = client.post("/v1/recommendations", json={"user_id": 1, "k": 40, "seen": "keep"}).json()
    assert before[0] not in [one["item_id"] for one in posted["items"]]
    assert EVEN[0] in [one["item_id"] for one in posted["items"]]
    assert posted["stages"]["events"]["events"] == 2


def test_somebody_new(client: TestClient) -> None:
    assert client.get("/v1/recommendations/newcomer").status_code == 404
    assert client.get("/v1/users/newcomer").status_code == 404
    say(client, "newcomer", ODD[0], "like")
    assert {item % 2 for item in items(client, "newcomer", k=5)} == {1}
    assert client.get("/v1/users/newcomer").json()["history"][0]["title"] == "Item 1"


def test_a_deleted_user_is_gone(client: TestClient) -> None:
    say(client, 2, EVEN[0], "like")
    answer = client.delete("/v1/users/2")
    assert answer.json() == {"user_id": 2, "deleted_events": 1}
    assert client.get("/v1/users/2").status_code == 404
    assert len(items(client, 2)) == 40, "nothing is known of them, so nothing is seen"
    assert client.delete("/v1/users/2").json()["deleted_events"] == 0


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "body: expected JSON"),
        (b"[" * 100_000, "body: expected JSON"),
        (b"[]", "expected 1 to 1,000 events, got 0"),
        (b"3", "expected an event as an object, got '3'"),
        (b'{"user_id": 1, "item_id": 2}', "event: it is missing. An event has user_id, item_id, event"),
        (
            b'{"user_id": 1, "item_id": 2, "event": "like", "vlaue": 3}',
            "vlaue: an event has no such field; did you mean",
        ),
        (b'[{"user_id": 1, "item_id": 2, "event": "like"}, {"user_id": null}]', "[1].item_id: it is missing"),
        (b'[{"user_id": {}, "item_id": 2, "event": "like"}]', "[0].user_id: expected"),
        (b'{"user_id": 1, "item_id": 2, "event": "like", "timestamp": "soon"}', "timestamp: expected seconds"),
        (b'{"user_id": 1, "item_id": 2, "event": "like", "value": NaN}', "value: expected a finite number"),
    ],
)
def test_problems_name_the_field_and_nothing_is_kept(client: TestClient, body: bytes, detail: str) -> None:
    answer = client.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]
    assert client.get("/v1/users/1").json()["num_events"] == 0


def test_unknown_items_are_kept_unless_strict(client: TestClient) -> None:
    answer = client.post(
        "/v1/events?strict=true", json=[{"user_id": 1, "item_id": i, "event": "like"} for i in (100, 7)]
    )
    assert answer.status_code == 422
    assert "1 items are not known (7)" in answer.json()["detail"]
    assert client.get("/v1/users/1").json()["num_events"] == 0
    before = items(client, 1)
    assert say(client, 1, 7, "like").json()["unknown_items"] == ["7"]
    assert items(client, 1) == before


def test_too_large_a_body(client: TestClient) -> None:
    answer = client.post("/v1/events", content=b" " * (5 * 1024 * 1024))
    assert answer.status_code == 413
    for route in ("/v1/events", "/v1/recommendations"):
        answer = client.post(route, content=(b" " * 1024 * 1024 for _ in range(5)))
        assert answer.status_code == 413, "nobody announced how much would come"
        assert answer.headers["content-type"] == "application/problem+json"


def test_without_a_store(small: Recommender) -> None:
    with TestClient(create_app(small)) as client:
        assert say(client, 1, 100, "like").status_code == 503
        assert client.get("/readyz").json()["events"] == "none"
        assert "events" not in client.get("/v1/recommendations/1").json()["stages"]


def test_a_store_that_is_gone(client: TestClient, tmp_path: Path) -> None:
    """Nothing is acknowledged, lists go on and say so, and it recovers alone."""
    say(client, 1, 100, "dislike")
    (tmp_path / "events.db").rename(tmp_path / "away")
    answer = say(client, 1, 101, "like")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.delete("/v1/users/1").status_code == 503
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    stage = client.get("/v1/recommendations/1").json()["stages"]["events"]
    assert (stage["status"], stage["fallback"]) == ("unavailable", "artifact")
    (tmp_path / "away").rename(tmp_path / "events.db")
    assert say(client, 1, 101, "like").status_code == 201
    assert client.get("/readyz").status_code == 200


def test_metrics(client: TestClient) -> None:
    say(client, "shy-person", 100, "like", event_id="m")
    say(client, "shy-person", 100, "like", event_id="m")
    items(client, 1)
    client.post("/v1/recommendations", json={"k": 3})
    client.get("/v1/nothing")
    text = client.get("/metrics").text
    for line in (
        'shortlist_http_requests_total{method="POST",route="/v1/events",status="201"} 2.0',
        'shortlist_http_requests_total{method="GET",route="/v1/recommendations/{user_id}",status="200"} 1.0',
        'shortlist_http_requests_total{method="GET",route="other",status="404"} 1.0',
        'shortlist_events_total{meaning="liked"} 1.0',
        "shortlist_repeated_events_total 1.0",
        'shortlist_queries_total{history="cold"} 1.0',
        'shortlist_queries_total{history="warm"} 1.0',
        'shortlist_stage_seconds_count{stage="retrieve"} 2.0',
        'shortlist_candidates_count{stage="retrieve"} 2.0',
        "shortlist_commit_events_count 2.0",
    ):
        assert line in text.splitlines(), line
    assert "shy-person" not in text


def test_a_new_artifact_under_load(small_folder: Path, tmp_path: Path) -> None:
    """Every request is answered; a broken artifact changes nothing."""
    folder = Path(shutil.copytree(small_folder, tmp_path / "artifact"))
    app = create_app(artifact.load(folder), load=lambda: artifact.load(folder))
    with TestClient(app) as client:
        first = client.get("/v1/recommendations/1?k=40").json()["items"]
        statuses: list[int] = []
        ended = threading.Event()

        def ask() -> None:
            while not ended.is_set():
                statuses.append(client.get("/v1/recommendations/1").status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        shutil.rmtree(folder)
        small_artifact(folder, seed=5)
        answer = client.post("/v1/reload")
        manifest = (folder / "manifest.json").read_text()
        vectors = folder / "retriever" / "item_vectors.npz"
        vectors.write_bytes(vectors.read_bytes()[:-10])
        broken = client.post("/v1/reload")
        ended.set()
        asking.join()
        assert answer.json()["data_fingerprint"] == json.loads(manifest)["data_fingerprint"]
        assert answer.json()["workers"] == {"switched": 1, "failed": 0}
        assert broken.status_code == 500
        assert "was changed or truncated" in broken.json()["detail"]
        second = client.get("/v1/recommendations/1?k=40").json()["items"]
        assert first != second
        assert set(statuses) == {200}
        metrics = client.get("/metrics").text
        assert 'shortlist_reloads_total{result="failed"} 1.0' in metrics


def test_two_workers_know_the_same(small_folder: Path, tmp_path: Path, postgres: Postgres) -> None:
    """What one acknowledged, the other's next answer knows; both take the new artifact; the log names nobody; and
    no worker outlives a server that was killed.
    """
    folder = Path(shutil.copytree(small_folder, tmp_path / "artifact"))
    url = postgres.new_database("workers")
    with served(folder, url, workers=2) as (address, process):
        for number, item in enumerate(ODD[:8]):
            # each request on a connection of its own, which either worker may take
            word = "dislike" if number % 2 else "like"
            event = {"user_id": "who-am-i", "item_id": item, "event": word}
            assert httpx.post(f"{address}/v1/events", json=event).status_code == 201
            for _ in range(4):
                answer = httpx.get(f"{address}/v1/recommendations/who-am-i?k=40&seen=keep").json()
                listed = [one["item_id"] for one in answer["items"]]
                assert not {one for n, one in enumerate(ODD[: number + 1]) if n % 2} & set(listed)
                assert answer["stages"]["events"]["events"] == number + 1
        assert httpx.post(f"{address}/v1/reload", timeout=60).json()["workers"] == {"switched": 2, "failed": 0}
        text = httpx.get(f"{address}/metrics").text
        assert 'shortlist_reloads_total{result="switched"} 2.0' in text
        assert 'shortlist_http_requests_total{method="POST",route="/v1/events",status="201"} 8.0' in text
        process.kill()
        until = time.monotonic() + 20
        while _is_ready(address):
            assert time.monotonic() < until
            time.sleep(0.1)
    log = b"".join(process.lines).decode()  # type: ignore[attr-defined]
    assert '"route": "/v1/recommendations/{user_id}", "status": 200' in log
    assert "who-am-i" not in log
    assert "Traceback" not in log
    with EventStore(url) as store:
        assert store.count() == 8


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kill_minus_nine_loses_nothing_acknowledged(
    kind: str, small_folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Clients that send again what was not acknowledged, while the server dies in the middle."""
    url = f"{tmp_path}/events.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").new_database("killed")
    acknowledged: list[str] = []
    with served(small_folder, url) as (address, process):

        def send(client_number: int) -> None:
            with httpx.Client(base_url=address, timeout=5) as client:
                for number in range(10_000):
                    event_id = f"{client_number}-{number}"
                    try:
                        answer = say(client, f"u{client_number}", ODD[number % 20], "view", event_id=event_id)
                    except httpx.TransportError:
                        return
                    assert answer.status_code == 201
                    acknowledged.append(event_id)

        with ThreadPoolExecutor(4) as pool:
            for client_number in range(4):
                pool.submit(send, client_number)
            while len(acknowledged) < 200:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
    with EventStore(url) as store, store.engines.read.connect() as connection:
        kept = [row[0] for row in connection.exec_driver_sql("select event_id from events")]
    assert len(kept) == len(set(kept))
    assert set(acknowledged) <= set(kept)
    assert len(set(kept) - set(acknowledged)) <= 4, "at most what each client was waiting for"


def test_where_events_go_is_said_before_anything_is_served(small_folder: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from shortlist.cli.app import app
    from shortlist.errors import StoreError
    from shortlist.service.server import default_store

    assert default_store(tmp_path / "demo") == str(tmp_path / "demo.events.db")
    command = ["serve", str(small_folder), "--port", str(free_port()), "--events"]
    for url, message in (
        ("mysql://x", "expected sqlite:///FILE"),
        ("/proc/none/events.db", "Cannot make the event store"),
    ):
        run = CliRunner().invoke(app, [*command, url])
        assert isinstance(run.exception, StoreError)
        assert message in str(run.exception)
