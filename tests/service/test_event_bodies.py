"""Whatever is sent as events: they are read, or refused in words; nothing else."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from shortlist.errors import EventError
from shortlist.service.event_routes import read_events

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
almost = st.fixed_dictionaries(
    {"user_id": st.just(1) | anything, "item_id": st.just("x") | anything, "event": st.just("like") | anything},
    optional={"timestamp": anything, "value": anything, "event_id": anything},
)


def check(body: bytes) -> None:
    try:
        events = read_events(body)
    except EventError:
        return
    for one in events:
        assert all(1 <= len(text) <= 256 for text in (one.user_id, one.item_id, one.event_id))
        assert one.event == one.event.lower()
        assert abs(one.timestamp) < 2**53
        assert one.value is None or abs(one.value) < 1e301
        json.dumps(vars(one)).encode()


@given(anything | almost | st.lists(almost, max_size=3))
def test_any_document(document: object) -> None:
    check(json.dumps(document).encode())


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    check(body)
