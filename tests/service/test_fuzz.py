"""Bodies and conditions of every shape: an answer or a refusal in words, never a failure of the service."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shortlist.errors import ConditionError, QueryError
from shortlist.events import EventStore
from shortlist.recommender import Query, Recommender
from shortlist.recommender.filters import Filter
from shortlist.service.app import create_app
from tests.live_world import ITEMS

EXAMPLES = int(os.environ.get("SHORTLIST_FUZZ_EXAMPLES", "100"))
PROFILE = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
HUGE = 10**400
HALF = "\ud800"  # JSON can name half a character; UTF-8 cannot hold it
scalars = st.sampled_from([None, True, 0, -1, 1.5, HUGE, float("nan"), float("-inf"), "", HALF, "\0", "7", "x" * 300])
anything = st.recursive(
    scalars | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.just(HALF), inner, max_size=3),
    max_leaves=5,
)
users, items = st.sampled_from([0, "1", 59, 60, "who"]), st.sampled_from([*ITEMS, "100", 99, HALF])
ids = st.lists(items, max_size=5)
operators = st.sampled_from(["=", "==", "!=", "<", "<=", ">", ">=", "has", "in"])
columns = st.sampled_from(["size", "tags", "title", "item_id", "or", "größe"])
literals = st.sampled_from(
    [
        "1",
        "-3.5",
        "1e400",
        str(HUGE),
        str(-(2**63) - 1),
        str(2**63 - 1),
        '"even"',
        "'x'",
        "true",
        "false",
        '("even", 1)',
        "(2)",
    ]
)
tests = st.builds(lambda *parts: " ".join(parts), columns, operators, literals)
conditions = st.recursive(
    tests | columns,
    lambda inner: (
        inner.map("not {}".format)
        | inner.map("({})".format)
        | st.builds(lambda a, b, word: f"{a} {word} {b}", inner, inner, st.sampled_from(["and", "or", ""]))
    ),
    max_leaves=12,
)
wheres = conditions | conditions | st.text(alphabet="()\"'<>=!,. \n\tandorti0e1_" + HALF, max_size=60)
asked = {
    "history": ids,
    "disliked": ids,
    "exclude": ids,
    "allow": st.none() | ids,
    "k": st.sampled_from([1, 10, 40, 41, 0, HUGE]),
    "where": st.none() | wheres,
    "features": st.dictionaries(st.sampled_from(["town", "hour", HALF]), anything, max_size=2),
    "seen": st.sampled_from(["keep", "remove", "x"]),
    "time": st.sampled_from(["2026-11-22", 0, HUGE, float("nan"), "9999-12-31T23:59:59-23:59", HALF, "now"]),
    "user_id": users,
}
event = {
    "user_id": users | anything,
    "item_id": items | anything,
    "event": st.sampled_from(["like", "hide", "clear", "rate", HALF, "x y"]) | anything,
    "timestamp": asked["time"],
    "value": st.sampled_from([None, 1, HUGE, float("inf")]) | anything,
    "event_id": st.sampled_from([None, "e", HALF, "\r\n"]) | anything,
    HALF: st.just(1),
}


@pytest.fixture(scope="module")
def client(small: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    store = EventStore(f"{tmp_path_factory.mktemp('fuzz')}/events.db")
    with TestClient(create_app(small, store), raise_server_exceptions=False) as client:
        yield client


def check(answer: Any, allowed: set[int]) -> None:
    """JSON as the standard has it (no NaN), of a status that is expected, and refusals as problems."""
    assert answer.status_code in allowed, answer.text
    document = json.loads(answer.content, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert document["status"] == answer.status_code
        assert document["detail"]


@given(body=st.fixed_dictionaries({}, optional=asked) | anything)
@PROFILE
@pytest.mark.parametrize("path", ["/v1/recommendations", "/v1/map/query"])
def test_questions(client: TestClient, path: str, body: Any) -> None:
    check(client.post(path, content=json.dumps(body), headers=JSON), {200, 400, 404, 422})


@given(body=st.fixed_dictionaries({}, optional=event) | st.lists(st.fixed_dictionaries({}, optional=event)) | anything)
@PROFILE
def test_events(client: TestClient, body: Any) -> None:
    check(client.post("/v1/events", content=json.dumps(body), headers=JSON), {201, 422})


@given(where=wheres)
@PROFILE
def test_conditions(small: Recommender, where: str) -> None:
    """One that can be read is answered, or no item meets it; of its two halves every item is in one."""
    try:
        both = [small.recommend(Query(k=40, where=one)).items for one in (Filter.where(where), ~Filter.where(where))]
    except (ConditionError, QueryError):
        return
    found = [one.item_id for half in both for one in half]
    assert sorted(found) == list(ITEMS)


@pytest.mark.parametrize(
    "where", ["(" * 1_999, "not " * 499 + "size", "(" * 60 + "size > 1" + ")" * 60, "not " * 60 + "size > 1"]
)
def test_a_condition_may_not_be_nested_for_ever(client: TestClient, where: str) -> None:
    answer = client.get("/v1/recommendations/1", params={"where": where})
    check(answer, {400})
    assert "at most 50 brackets" in answer.json()["detail"]


def test_a_condition_may_be_long(client: TestClient) -> None:
    """Hundreds of parts are no depth; and 50 within each other are allowed."""
    for where in (" or ".join(["size<9"] * 200), "(" * 50 + "size < 9" + ")" * 50, "not " * 50 + "size < 9"):
        answer = client.get("/v1/recommendations/60?k=40", params={"where": where, "seen": "keep"})
        assert answer.status_code in (200, 404), answer.text
        answer = client.post("/v1/recommendations", json={"k": 40, "where": where})
        assert sorted(one["item_id"] for one in answer.json()["items"]) == list(range(100, 109))


@pytest.mark.parametrize("path", ["/v1/recommendations", "/v1/map/query", "/v1/events"])
@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b"\xff\xfe", b"{", b"[" * 100_000, b'{"user_id":' * 20_000, b'{"user_id": 1' + b"0" * 5_000 + b"}"],
)
def test_what_is_no_json(client: TestClient, path: str, body: bytes) -> None:
    check(client.post(path, content=body, headers=JSON), {400, 422})


@pytest.mark.parametrize("kind", ["", "text/plain", "application/xml", "multipart/form-data; boundary=x", "x" * 1_000])
def test_what_says_to_be_something_else(client: TestClient, kind: str) -> None:
    check(client.post("/v1/recommendations", content=b'{"k": 1}', headers={"content-type": kind}), {422})
    check(client.post("/v1/events", content=b"user_id=1", headers={"content-type": kind}), {422})


@pytest.mark.parametrize("field", [{"user_id": True}, {"k": True}, {"history": [False]}, {"time": True}, {"k": "5"}])
def test_a_type_is_no_other(client: TestClient, field: dict[str, Any]) -> None:
    """True is no user of number 1."""
    check(client.post("/v1/recommendations", json=field), {422})


JSON = {"content-type": "application/json"}
