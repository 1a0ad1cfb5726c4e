"""A log and live events are one log; of every pair they say what the live state of the user says."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.live_events import LiveEvents
from shortlist.data.preparation import prepare
from shortlist.errors import DataError
from shortlist.events.state import UserState
from shortlist.events.store import Happened
from shortlist.settings import Settings

COLUMNS = {"timestamp": "timestamp", "value": "value"}
FEEDBACK = {"liked": "value >= 4", "disliked": "value <= 2"}
LIKED = Settings.from_dict({"data": {"columns": COLUMNS, "feedback": FEEDBACK}}).data


def events(folder: Path, *rows: tuple[str, str, int, str], **more: Any) -> LiveEvents:
    """Of (user, item, second, meaning)."""
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("user_id", "item_id"))}
    times = pa.array([1000 * row[2] for row in rows], pa.int64())
    values = pa.array([None] * len(rows), pa.float64())
    table = {**{name: pa.array(column, pa.string()) for name, column in columns.items()}, "timestamp": times}
    meanings = pa.array([row[3] for row in rows], pa.string())
    pq.write_table(pa.table({**table, "value": values, "meaning": meanings}), folder / "events.parquet")
    return LiveEvents(folder / "events.parquet", len(rows), **more)


def log(*rows: tuple[Any, Any, int, float]) -> pa.Table:
    return pa.table(dict(zip(("user_id", "item_id", "timestamp", "value"), zip(*rows, strict=True), strict=True)))


def told(dataset: Dataset) -> list[tuple[Any, Any, int, str]]:
    """(user, item, second, what it is) in the order of the data set."""
    found, rows = [], dataset.interactions
    for user, item, time, liked, disliked in zip(
        rows.user_idx, rows.item_idx, rows.timestamp, rows.liked, rows.disliked, strict=True
    ):
        word = "disliked" if disliked else "liked" if liked else "seen"
        second = int(time) // 1000 if dataset.has_time else -1
        found.append((dataset.users.id(user), dataset.items.id(item), second, word))
    return sorted(found, key=lambda one: (str(one[0]), one[2], str(one[1])))


BASE = log((1, 10, 10, 5.0), (1, 11, 20, 1.0), (1, 12, 30, 3.0), (2, 10, 10, 4.0))


def test_new_people_and_items_are_part_of_the_vocabulary(tmp_path: Path) -> None:
    found = prepare(BASE, settings=LIKED, events=events(tmp_path, ("3", "13", 5, "liked"), ("3", "10", 6, "taken")))
    assert told(found)[-2:] == [(3, 13, 5, "liked"), (3, 10, 6, "liked")]
    assert found.users.is_integer
    assert (found.num_users, found.num_items) == (3, 4)
    assert found.summary.num_rows_read == 6


def test_pairs_without_events_stay_as_they_are(tmp_path: Path) -> None:
    alone = told(prepare(BASE, settings=LIKED))
    found = told(prepare(BASE, settings=LIKED, events=events(tmp_path, ("9", "10", 1, "liked"))))
    assert [one for one in found if one[0] != 9] == alone


@pytest.mark.parametrize(
    ("item", "said", "expected"),
    [
        (10, [("disliked", 40)], [(40, "disliked")]),
        (10, [("disliked", 5)], [(10, "liked")]),  # the log's word is newer
        (11, [("liked", 40)], [(40, "liked")]),
        (11, [("taken", 40)], [(20, "disliked")]),  # to view it again takes no dislike back
        (12, [("taken", 40)], [(40, "liked")]),
        (12, [("seen", 40)], [(30, "seen")]),
        (10, [("cleared", 40)], [(10, "seen")]),
        (11, [("cleared", 40), ("liked", 41)], [(41, "liked")]),
        (13, [("liked", 40), ("cleared", 41)], []),  # a like by mistake leaves nothing behind
        (13, [("taken", 40), ("cleared", 41)], [(40, "seen")]),
        (13, [("seen", 40), ("taken", 41)], [(41, "liked")]),
        (13, [("liked", 40), ("disliked", 40)], [(40, "disliked")]),  # of the same moment the later to arrive
        (13, [("disliked", 41), ("liked", 40)], [(41, "disliked")]),
    ],
)
def test_the_newest_word_counts(item: int, said: list[tuple[str, int]], expected: list[Any], tmp_path: Path) -> None:
    given = events(tmp_path, *(("1", str(item), second, meaning) for meaning, second in said), ("9", "13", 1, "liked"))
    found = told(prepare(BASE, settings=LIKED, events=given))
    assert [one[2:] for one in found if one[:2] == (1, item)] == expected


def test_it_says_what_the_live_state_says(tmp_path: Path) -> None:
    """Of random events the same likes and dislikes as ``UserState``, which reads one user at a time."""
    rng, words = np.random.default_rng(3), ("liked", "taken", "disliked", "seen", "cleared")
    rows = [
        (f"u{rng.integers(4)}", f"i{rng.integers(5)}", int(rng.integers(20)), words[int(rng.integers(5))])
        for _ in range(200)
    ]
    base = log(("x", "i0", 1, 5.0))
    found = told(prepare(base, settings=LIKED, events=events(tmp_path, *rows)))
    for user in {row[0] for row in rows}:
        mine = sorted(
            (second, place, item, word) for place, (one, item, second, word) in enumerate(rows) if one == user
        )
        state = UserState.of([Happened(n, item, word, s, None) for s, n, item, word in mine], lambda w, _: w)  # type: ignore[arg-type, return-value]
        here = {item: word for one, item, _, word in found if one == user}
        assert {item for item, word in here.items() if word == "liked"} == set(state.liked)
        assert {item for item, word in here.items() if word == "disliked"} == set(state.disliked)


def test_events_never_stand_there_twice(tmp_path: Path) -> None:
    """Also where an export of them was put to the log already, and repeats count."""
    settings = Settings.from_dict({"data": {"columns": {"timestamp": "timestamp"}, "repeats": "all"}}).data
    given = events(tmp_path, ("1", "10", 50, "liked"), ("1", "10", 60, "liked"))
    found = prepare(log((1, 10, 10, 5.0), (1, 10, 50, 5.0)), settings=settings, events=given)
    assert [one[2] for one in told(found)] == [10, 50, 60]
    once = prepare(BASE, settings=LIKED, events=given)
    assert [one[2] for one in told(once) if one[:2] == (1, 10)] == [10], "the first counts, as [data] repeats says"


def test_ids_meet_whatever_their_type(tmp_path: Path) -> None:
    texts = told(prepare(log(("007", "a", 1, 5.0)), settings=LIKED, events=events(tmp_path, ("7", "a", 2, "liked"))))
    assert [one[0] for one in texts] == ["007", "7"]
    mixed = prepare(
        BASE, settings=LIKED, events=events(tmp_path, ("ann", "10", 2, "liked"), ("1", "10", 90, "disliked"))
    )
    assert not mixed.users.is_integer
    assert mixed.items.is_integer
    assert ("1", 10, 90, "disliked") in told(mixed)


def test_without_times_events_come_after_the_log(tmp_path: Path) -> None:
    settings = LIKED.model_copy(update={"columns": LIKED.columns.model_copy(update={"timestamp": None})})
    given = events(tmp_path, ("1", "13", 9, "liked"), ("1", "14", 2, "liked"), ("1", "10", 1, "disliked"))
    found = prepare(BASE.drop_columns(["timestamp"]), settings=settings, events=given)
    mine = found.interactions.user_idx == found.users.row(1)
    items = found.items.ids_of(found.interactions.item_idx[mine])
    assert items == [11, 12, 10, 14, 13]


def test_what_the_log_says_of_a_deleted_user_does_not_count(tmp_path: Path) -> None:
    forgotten = {hashlib.sha256(b"1").hexdigest(): 20_000}
    given = events(tmp_path, ("1", "13", 40, "liked"), forgotten=forgotten)
    assert [one for one in told(prepare(BASE, settings=LIKED, events=given)) if one[0] == 1] == [
        (1, 12, 30, "seen"),
        (1, 13, 40, "liked"),
    ]


def test_parts_that_are_given_take_no_events(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="which part would they belong to"):
        prepare({"train": BASE, "test": BASE}, settings=LIKED, events=events(tmp_path, ("1", "13", 40, "liked")))
