"""Keys, scopes and rates over HTTP."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import BaseRoute, Mount, Route
from typer.testing import CliRunner

from shortlist.cli.app import app as command_line
from shortlist.errors import SettingsError
from shortlist.events import EventStore
from shortlist.recommender import Recommender
from shortlist.service.app import create_app
from shortlist.service.guard import OPEN, RULES, rule
from shortlist.service.keys import SCOPES, Keyring, add_key
from shortlist.service.server import check_exposure
from tests.service.test_events_http import served

ASKED = {
    "read": [
        ("GET", "/v1/recommendations/1"),
        ("POST", "/v1/recommendations"),
        ("GET", "/v1/items"),
        ("GET", "/v1/items/100/similar"),
        ("GET", "/v1/users"),
        ("GET", "/v1/users/1"),
        ("GET", "/v1/report"),
        ("GET", "/report"),
    ],
    "write": [("POST", "/v1/events")],
    "admin": [
        ("PUT", "/v1/items/100"),
        ("DELETE", "/v1/items/nothing"),
        ("DELETE", "/v1/users/1"),
        ("POST", "/v1/reload"),
        ("GET", "/metrics"),
        ("GET", "/v1/nothing"),
    ],
}


@pytest.fixture
def tokens(tmp_path: Path) -> Mapping[str, str]:
    return {scope: add_key(tmp_path / "keys.toml", f"the-{scope}", [scope]) for scope in SCOPES}


@pytest.fixture
def client(small: Recommender, tmp_path: Path, tokens: Mapping[str, str]) -> Iterator[TestClient]:
    app = create_app(small, EventStore(f"{tmp_path}/events.db"), keys=Keyring(tmp_path / "keys.toml"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def ask(client: Any, method: str, path: str, token: str | bytes | None = None) -> Any:
    body = None if method == "GET" or "events" not in path else {"user_id": 1, "item_id": 100, "event": "like"}
    token = token.encode() if isinstance(token, str) else token
    return client.request(
        method, path, json=body, headers={} if token is None else {"authorization": b"Bearer " + token}
    )


def all_routes(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
    for route in routes:
        within = getattr(route, "original_router", None)  # FastAPI keeps included routers whole
        yield from all_routes(within.routes) if within is not None else [route]


def test_no_route_is_forgotten(client: TestClient) -> None:
    """Whoever adds a route says in `guard.RULES` what it takes to ask it; until then it takes admin."""
    found = set()
    for route in all_routes(client.app.routes):  # type: ignore[attr-defined]
        if isinstance(route, Mount):
            assert route.path == "/static"
            continue
        assert isinstance(route, Route | APIRoute), f"nothing guards a {type(route).__name__}"
        for method in route.methods or ():
            assert rule(method, route.path) is not None, f"guard.RULES has no {method} {route.path}"
            found.add((method, route.path))
    assert ("DELETE", "/v1/users/{user_id:path}") in found
    assert ("GET", "/metrics") in found
    assert {path for method, path in found if rule(method, path) == "open"} == OPEN
    assert {scope for _, _, scope in RULES} == set(SCOPES)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_may_what_its_scope_says(client: TestClient, tokens: Mapping[str, str], scope: str) -> None:
    for needed, requests in ASKED.items():
        for method, path in requests:
            answer = ask(client, method, path, tokens[scope])
            assert answer.status_code < 500
            allowed = scope in (needed, "admin")
            assert (answer.status_code == 403) != allowed, (scope, method, path, answer.text)
            if not allowed:
                assert answer.headers["content-type"] == "application/problem+json"
                assert f'scope="{needed}"' in answer.headers["www-authenticate"]
                assert f"has the scope {scope}; this needs {needed}" in answer.json()["detail"]


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer  \t ",
        b"bearer wrong",
        b"Basic YTpi",
        b"Bearer \xff\xfe\x00\x80",
        "Bearer schlüssel".encode(),
        b"Bearer " + b"x" * 30_000,
        b"Bearer a b c",
        b"Bearer,Bearer",
        b"Bearer %00%0d%0a",
    ],
)
def test_without_a_known_key_nothing_is_answered(client: TestClient, header: bytes | None) -> None:
    for requests in ASKED.values():
        for method, path in requests:
            answer = client.request(method, path, headers={} if header is None else {"authorization": header})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith('Bearer realm="shortlist"')
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "Authorization: Bearer KEY" in answer.json()["detail"]


def test_odd_ways_to_send_a_key(client: TestClient, tokens: Mapping[str, str]) -> None:
    token = tokens["admin"]
    for header in (f"bearer {token}", f"BEARER   {token} "):
        assert client.get("/v1/users", headers={"authorization": header}).status_code == 200
    twice = [("authorization", f"Bearer {token}"), ("authorization", "Bearer other")]
    assert client.get("/v1/users", headers=twice).status_code == 401, "which one counts would be a guess"
    assert client.get(f"/v1/users?key={token}").status_code == 401
    for path in ("/v1//users", "//v1/users", "/v1/users/../reload", "/static/../v1/users", "/V1/users", "/v1%2fusers"):
        assert client.get(path).status_code in (401, 404), path


def test_a_refused_body_is_not_read(client: TestClient, tokens: Mapping[str, str]) -> None:
    for token, status in ((None, 401), (tokens["read"], 403)):
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        assert client.post("/v1/events", content=b"{", headers=headers).status_code == status
    text = ask(client, "GET", "/metrics", tokens["admin"]).text
    assert 'shortlist_refused_requests_total{reason="key"} 1.0' in text
    assert 'shortlist_refused_requests_total{reason="scope"} 1.0' in text


def test_what_stays_open(client: TestClient) -> None:
    for path in ("/", "/healthz", "/readyz", "/static/api.js", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    assert client.post("/healthz").status_code == 401, "open are answers, not paths"


def test_openapi_says_so(client: TestClient, small: Recommender) -> None:
    schema = client.get("/openapi.json").json()
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            closed = rule(method.upper(), path) != "open"
            assert ("security" in operation) == closed
            assert ({"401", "403"} <= set(operation["responses"])) == closed
    with TestClient(create_app(small)) as plain:
        assert "securitySchemes" not in plain.get("/openapi.json").json()["components"]
        assert plain.get("/v1/users").status_code == 200


def test_too_many_requests(small: Recommender, tmp_path: Path, tokens: Mapping[str, str]) -> None:
    """Each key has its own bucket; what is refused for want of a key takes from the address's."""
    app = create_app(small, keys=Keyring(tmp_path / "keys.toml"), rate=0.001)
    with TestClient(app) as client:
        assert ask(client, "GET", "/v1/users", tokens["read"]).status_code == 200
        for _ in range(3):
            refused = ask(client, "GET", "/v1/users", tokens["read"])
            assert refused.status_code == 429
            assert 900 < int(refused.headers["retry-after"]) <= 1000
            assert "At most 0.001 requests a second" in refused.json()["detail"]
            assert client.get("/healthz").status_code == 200
        assert [client.get("/v1/users").status_code for _ in range(2)] == [401, 429]
        text = ask(client, "GET", "/metrics", tokens["admin"]).text
        assert 'shortlist_refused_requests_total{reason="rate"} 4.0' in text
        assert "429" in client.get("/openapi.json").json()["paths"]["/v1/users"]["get"]["responses"]
    with TestClient(create_app(small, rate=0.001)) as client:
        assert [client.get("/v1/users").status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.1", "no-such-host.invalid"])
def test_nothing_is_open_to_a_network_unasked(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=re.escape("--keys keys.toml")) as caught:
        check_exposure(host, None, insecure=False)
    assert "--insecure" in str(caught.value)
    check_exposure(host, None, insecure=True)
    add_key(tmp_path / "keys.toml", "me", ["read"])
    check_exposure(host, str(tmp_path / "keys.toml"), insecure=False)
    with pytest.raises(SettingsError, match="Cannot read the keys"):
        check_exposure("127.0.0.1", str(tmp_path / "none.toml"), insecure=False)


def test_the_command_refuses_before_it_loads(tmp_path: Path) -> None:
    done = CliRunner().invoke(command_line, ["serve", str(tmp_path / "none"), "--host", "0.0.0.0"])
    assert isinstance(done.exception, SettingsError)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1"])
def test_the_loopback_needs_no_key(host: str) -> None:
    check_exposure(host, None, insecure=False)


def test_a_real_server_keeps_its_keys_to_itself(
    small_folder: Path, tmp_path: Path, tokens: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers, odd bytes on the wire, and a log that shows no key."""
    monkeypatch.setenv("SHORTLIST_KEYS", str(tmp_path / "keys.toml"))
    with served(small_folder, f"{tmp_path}/served.db", workers=2) as (address, process):
        for _ in range(4):
            assert ask(httpx, "GET", f"{address}/v1/users", tokens["read"]).status_code == 200
            assert ask(httpx, "POST", f"{address}/v1/events", tokens["write"]).status_code == 201
            assert ask(httpx, "POST", f"{address}/v1/reload", tokens["write"]).status_code == 403
            assert httpx.get(f"{address}/v1/users?key={tokens['read']}").status_code == 401
        host, port = address.removeprefix("http://").split(":")
        for value in (
            b"",
            b"Bearer \xff\xfe",
            b"Bearer " + b"k" * 60_000,
            b"\t",
            b"Bearer \x01",
            tokens["read"].encode(),
        ):
            with socket.create_connection((host, int(port)), timeout=10) as wire:
                wire.sendall(b"GET /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: " + value + b"\r\n\r\n")
                assert wire.recv(100).split()[1][:1] == b"4", value[:20]
    log = b"".join(process.lines).decode()  # type: ignore[attr-defined]
    assert '"status": 401' in log
    assert "Traceback" not in log
    for token in tokens.values():
        assert all(token[start : start + 8] not in log for start in range(len(token) - 7))
