"""The newest word on an item counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.errors import EventError, SettingsError
from shortlist.events import Event, UserState
from shortlist.events.store import Happened
from shortlist.settings import EventSettings, Settings

WORDS = ("like", "dislike", "hide", "view", "clear", "skip", "scroll")


def state(*words: tuple[str, str]) -> UserState:
    happened = [Happened(place, item, word, 1000 * place, None) for place, (item, word) in enumerate(words)]
    return UserState.of(happened, lambda word, value: EventSettings().meaning_of(word))


@pytest.mark.parametrize(
    ("words", "liked", "disliked", "seen"),
    [
        (["like"], True, False, True),
        (["view"], True, False, True),
        (["like", "dislike"], False, True, True),
        (["dislike", "like"], True, False, True),
        (["dislike", "view"], False, True, True),
        (["view", "hide"], False, True, True),
        (["like", "clear"], False, False, False),
        (["dislike", "undislike"], False, False, False),
        (["view", "like", "unlike"], False, False, True),
        (["like", "clear", "like"], True, False, True),
        (["skip"], False, False, True),
        (["like", "skip"], True, False, True),
        (["scroll", "anything"], False, False, False),
    ],
)
def test_what_counts_of_one_item(words: list[str], liked: bool, disliked: bool, seen: bool) -> None:
    found = state(*(("7", word) for word in words))
    assert (found.liked == ("7",), found.disliked == ("7",), found.seen == {"7"}) == (liked, disliked, seen)


def test_history_is_in_the_order_of_the_newest_word() -> None:
    found = state(("a", "view"), ("b", "like"), ("c", "view"), ("a", "like"), ("b", "skip"))
    assert found.liked == ("b", "c", "a")
    assert found.said == {"a", "b"}
    assert found.last_time == 3000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(WORDS))))
def test_never_both_and_always_what_was_said_last(words: list[tuple[str, str]]) -> None:
    found = state(*words)
    assert not set(found.liked) & set(found.disliked)
    assert {*found.liked, *found.disliked} <= found.seen
    for item in "abc":
        opinions = [word for name, word in words if name == item and word in ("like", "dislike", "hide", "clear")]
        assert (item in found.disliked) == bool(opinions and opinions[-1] in ("dislike", "hide"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"user_id": ""}, r"user_id: expected .* got ''"),
        ({"user_id": True}, "user_id"),
        ({"user_id": 2**63}, "user_id"),
        ({"user_id": 1.5}, "user_id"),
        ({"item_id": None}, "item_id"),
        ({"item_id": "a\0b"}, "item_id"),
        ({"item_id": "\ud800"}, "item_id"),
        ({"item_id": "x" * 257}, "item_id"),
        ({"event": ""}, "event: expected a word"),
        ({"event": "two words"}, r"event: .* got 'two words'"),
        ({"event": 3}, "event"),
        ({"event": "a" * 65}, "event"),
        ({"timestamp": "yesterday"}, "timestamp: expected seconds or milliseconds"),
        ({"timestamp": True}, "timestamp"),
        ({"timestamp": [1]}, "timestamp"),
        ({"timestamp": float("nan")}, "timestamp"),
        ({"timestamp": 10**400}, "timestamp"),
        ({"timestamp": "9999-01-01"}, "timestamp: .* more than a day ahead"),
        ({"value": "4"}, "value: expected a finite number"),
        ({"value": float("inf")}, "value"),
        ({"value": 10**400}, "value"),
        ({"event_id": ""}, "event_id"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_field(fields: dict[str, object], message: str) -> None:
    with pytest.raises(EventError, match=message):
        Event.of(**{"user_id": 1, "item_id": 2, "event": "like", **fields})  # type: ignore[arg-type]


def test_times_are_read_like_a_tables_and_never_lie_ahead() -> None:
    for time in (1_700_000_000, 1_700_000_000_000, "2023-11-14T22:13:20Z", "1700000000", 1_700_000_000.0):
        assert Event.of(1, 2, "like", time).timestamp == 1_700_000_000_000
    now = Event.of(1, 2, "like").timestamp
    fast_clock = Event.of(1, 2, "like", now + 60_000)
    assert now <= fast_clock.timestamp <= now + 5_000, "what is said next must be newer"


def test_a_word_has_one_meaning() -> None:
    with pytest.raises(SettingsError, match="'like' stands under liked and disliked"):
        Settings.from_dict({"events": {"disliked": ["like"]}})
    with pytest.raises(SettingsError, match="'Like' is no event"):
        Settings.from_dict({"events": {"liked": ["Like"]}})
