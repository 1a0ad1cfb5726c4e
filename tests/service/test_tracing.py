"""Spans of a request and of its stages."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shortlist.events import EventStore
from shortlist.recommender import Recommender
from shortlist.service import tracing
from shortlist.service.app import create_app

export = pytest.importorskip("opentelemetry.sdk.trace.export", reason="needs opentelemetry-sdk: make test installs it")
sdk = pytest.importorskip("opentelemetry.sdk.trace")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Any:
    return memory.InMemorySpanExporter()


@pytest.fixture
def client(small: Recommender, tmp_path: Path, spans: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    provider = sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(spans))
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)
    app = create_app(small, EventStore(f"{tmp_path}/events.db"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
    provider.shutdown()


def ours(spans: Any) -> list[Any]:
    """FastAPI has some of its own."""
    return [one for one in spans.get_finished_spans() if one.instrumentation_scope.name == "shortlist"]


def test_a_request_and_its_stages(client: TestClient, spans: Any) -> None:
    answer = client.get("/v1/recommendations/1?k=5", headers={"traceparent": PARENT}).json()
    *stages, request = ours(spans)
    assert request.name == "GET /v1/recommendations/{user_id}"
    assert request.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/recommendations/{user_id}",
        "http.response.status_code": 200,
    }
    assert f"{request.context.trace_id:032x}" == PARENT.split("-")[1], "it goes on where the caller's began"
    assert f"{request.parent.span_id:016x}" == PARENT.split("-")[2]
    assert [one.name for one in stages] == list(answer["stages"]) == ["events", "encode", "retrieve", "explain"]
    for one in stages:
        assert one.parent.span_id == request.context.span_id
        assert (one.end_time - one.start_time) / 1e9 == pytest.approx(answer["stages"][one.name]["seconds"], abs=1e-6)
        assert request.start_time <= one.start_time <= one.end_time <= request.end_time
    assert stages[2].attributes == {"shortlist.corpus": 40, "shortlist.candidates": 5}
    for before, after in pairwise(stages):
        assert before.end_time == after.start_time


def test_what_is_given_again_has_no_stages(client: TestClient, spans: Any) -> None:
    for _ in range(2):
        client.get("/v1/recommendations/1?k=5")
    assert len(ours(spans)) == 5 + 1


def test_nobody_is_named(client: TestClient, spans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client.get("/v1/users/who-am-i")
    client.request("SECRET", "/who-am-i")
    monkeypatch.setattr(EventStore, "check", lambda _: 1 / 0)
    client.get("/readyz")
    found = ours(spans)
    assert [one.name for one in found] == ["GET /v1/users/{user_id}", "other other", "GET /readyz"]
    assert [one.attributes["http.response.status_code"] for one in found] == [404, 404, 500]
    assert [one.status.is_ok for one in found] == [True, True, False]
    assert "who-am-i" not in "".join(one.to_json() for one in spans.get_finished_spans())


def test_without_a_place_for_spans_there_are_none(small: Recommender) -> None:
    assert tracing.found() is None
    with TestClient(create_app(small)) as client:
        assert "explain" in client.get("/v1/recommendations/1").json()["stages"]
