"""Texts that mean something to a database, a file system, a header or a log are texts like any other."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
import uvicorn
from fastapi.testclient import TestClient

from shortlist.events import Event, EventStore
from shortlist.recommender import Recommender
from shortlist.service.app import create_app
from shortlist.service.keys import Keyring, add_key

SQL = [
    "'; drop table events; --",
    "' or '1'='1",
    '" or ""="',
    "1) or 1=1 --",
    "%",
    "_",
    "\\",
    "x' union select * from forgotten_users --",
]
PATHS = ["../../etc/passwd", "/etc/passwd", "..\\..\\secret", "....//app.py", "file:///etc/passwd", "C:\\x"]
MARKUP = ["<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", "$(id)", "`id`", "|id", "=1+1"]
TEXTS = SQL + PATHS + MARKUP


def test_texts_in_a_database(store_url: str) -> None:
    """Each is one user, one item and one event of its own, and deleting one deletes nobody else."""
    with EventStore(store_url) as store:
        store.add([Event.of(one, one, "like", event_id=one) for one in TEXTS])
        for one in TEXTS:
            assert [event.item_id for event in store.of_user(one).events] == [one]
        for number, one in enumerate(TEXTS, start=1):
            assert store.delete_user(one) == 1
            assert store.count() == len(TEXTS) - number


@pytest.fixture
def client(small: Recommender, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(small, EventStore(f"{tmp_path}/events.db"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_texts_over_http(client: TestClient) -> None:
    client.post("/v1/events", json={"user_id": "bystander", "item_id": 100, "event": "like"})
    for text in TEXTS:
        path = quote(text, safe="")
        assert client.get(f"/v1/users/{path}").status_code == 404
        assert client.get(f"/v1/items/{path}").status_code == 404
        assert client.get(f"/v1/recommendations/{path}").status_code == 404
        assert client.get("/v1/users", params={"search": text}).json()["users"] == []
        assert client.get("/v1/items", params={"search": f"xx{text}"}).json()["total"] == 0
        for name in ("where", "exclude", "allow"):
            answer = client.get("/v1/recommendations/1", params={name: text})
            assert answer.status_code == 400, (name, text)
            assert answer.headers["content-type"] == "application/problem+json"
        event = {"user_id": text, "item_id": text, "event": "like", "event_id": text}
        assert client.post("/v1/events", json=event).json()["unknown_items"] == [text]
        assert client.get(f"/v1/users/{path}").json()["history"][0]["item_id"] == text
        assert client.delete(f"/v1/users/{path}").json() == {"user_id": text, "deleted_events": 1}
    assert client.get("/v1/users/bystander").json()["num_events"] == 1


@pytest.mark.parametrize(
    "path",
    ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "..%5capp.py", "/etc/passwd", "%2fetc%2fpasswd", "app.js%00", "..;/"],
)
def test_only_the_pages_files_are_files(client: TestClient, path: str) -> None:
    answer = client.get(f"/static/{path}")
    assert answer.status_code == 404
    assert "create_app" not in answer.text


@contextmanager
def listening(small: Recommender, folder: Path) -> Iterator[tuple[int, str]]:
    """A real server, since a test client would refuse to send what follows; its port and a key."""
    token = add_key(folder / "keys.toml", "shop", ["admin"])
    keys = Keyring(folder / "keys.toml")
    app = create_app(small, EventStore(f"{folder}/events.db"), keys=keys, access_log=True)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="info", server_header=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1], token
    finally:
        server.should_exit = True
        thread.join()


def told(port: int, request: bytes) -> bytes:
    """What comes back for these bytes; nothing where the server hangs up before it has read them all."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, suppress(ConnectionError):
        connection.sendall(request)
        while part := connection.recv(65536):
            answer += part
    return answer


def test_bytes_on_the_wire(
    small: Recommender, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No header can be brought in, no request smuggled, and the log has neither keys nor anybody's id."""
    for name in ("shortlist", "shortlist.access"):  # a server that ran before has set up its own log
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    with caplog.at_level(logging.DEBUG), listening(small, tmp_path) as (port, token):
        head = b"Host: x\r\nAuthorization: Bearer " + token.encode() + b"\r\nConnection: close\r\n"
        crlf = b"%0d%0aSet-Cookie:%20stolen=1%0d%0a%0d%0a<html>"
        for path in (b"/v1/users/who" + crlf, b"/v1/items?search=" + crlf, b"/v1/recommendations/1?where=" + crlf):
            answer = told(port, b"GET " + path + b" HTTP/1.1\r\n" + head + b"\r\n")
            assert answer.startswith(b"HTTP/1.1 ")
            assert b"set-cookie" not in answer.partition(b"\r\n\r\n")[0].lower()
        for line in (b"X: a\0b", b"X : y", b"X\r\n: y", b"Content-Length: 5\r\nContent-Length: 6", b"X" * 200_000):
            answer = told(port, b"GET /healthz HTTP/1.1\r\n" + head + line + b"\r\n\r\n")
            hung_up = not answer and len(line) > 100_000
            assert hung_up or answer.split(b" ")[1] in (b"400", b"431"), line[:30]
        both = (
            b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        smuggled = told(port, b"POST /v1/events HTTP/1.1\r\n" + head + both)
        assert smuggled.count(b"HTTP/1.1 ") <= 1
        event = json.dumps({"user_id": "who-am-i", "item_id": 100, "event": "like"}).encode()
        length = f"Content-Length: {len(event)}\r\n\r\n".encode()
        assert told(port, b"POST /v1/events HTTP/1.1\r\n" + head + length + event).startswith(b"HTTP/1.1 201")
        for method, path in (
            (b"GET", b"/v1/users/who-am-i"),
            (b"GET", b"/v1/who-am-i"),
            (b"DELETE", b"/v1/users/who-am-i"),
        ):
            assert b"who-am-i" in told(port, method + b" " + path + b" HTTP/1.1\r\n" + head + b"\r\n")
        told(port, b"GET /v1/users?key=" + token.encode() + b" HTTP/1.1\r\n" + head + b"\r\n")
    lines = [one for one in caplog.records if one.name == "shortlist.access"]
    assert len(lines) >= 7
    ours = "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith("asyncio"))
    for secret in ("who-am-i", token, token[:12], "127.0.0.1:"):
        assert secret not in "\n".join(one.getMessage() for one in lines)
    assert token not in ours
