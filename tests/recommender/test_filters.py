"""Seen, disliked, excluded, allowed, conditions and windows, in any mix, against sets of Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.data.storage import load_saved_dataset, save_dataset
from shortlist.errors import ConditionError, QueryError
from shortlist.models.popularity import Popularity
from shortlist.recommender import Filter, Query, Recommender, artifact
from shortlist.recommender.admission import Admission
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.retrieval import BitmapCache
from shortlist.settings import Settings
from shortlist.training.retrievers import serve

NUM_ITEMS, NUM_USERS, DAY = 24, 6, 86_400
RNG = np.random.default_rng(0)
YEARS = RNG.integers(1980, 2000, NUM_ITEMS)
COMEDY, STOCK = RNG.random(NUM_ITEMS) < 0.5, RNG.random(NUM_ITEMS) < 0.7
FROM = [None if day < 4 else int(day) for day in RNG.integers(0, 12, NUM_ITEMS)]
UNTIL = [None if day > 15 else int(day) for day in RNG.integers(12, 20, NUM_ITEMS)]
TAKEN = {user: RNG.permutation(NUM_ITEMS)[: 3 + user].tolist() for user in range(NUM_USERS)}
SCORES = RNG.integers(0, 4, NUM_ITEMS).astype(np.float32)  # with ties

SETTINGS = Settings.from_dict(
    {
        "data": {
            "columns": {"value": "value", "available_from": "from", "available_until": "until"},
            "feedback": {"liked": "value > 2", "disliked": "value < 2"},
        },
        "features": {
            "item": {"genres": {"kind": "tags"}, "year": {"kind": "number"}, "in_stock": {"kind": "category"}}
        },
    }
)


def items() -> pa.Table:
    return pa.table(
        {
            "item_id": [f"i{i}" for i in range(NUM_ITEMS)],
            "genres": ["Comedy|Drama" if one else "Drama" for one in COMEDY],
            "year": YEARS,
            "in_stock": STOCK,
            "from": pa.array([None if day is None else day * DAY for day in FROM], pa.int64()),
            "until": pa.array([None if day is None else day * DAY for day in UNTIL], pa.int64()),
        }
    )


@pytest.fixture(scope="module")
def data() -> Dataset:
    pairs = [(user, item) for user, taken in TAKEN.items() for item in taken] + [
        (NUM_USERS, i) for i in range(NUM_ITEMS)
    ]
    values = [1.0 if (user + item) % 3 == 0 else 3.0 for user, item in pairs]
    log = pa.table({"user_id": [u for u, _ in pairs], "item_id": [f"i{i}" for _, i in pairs], "value": values})
    return prepare(log, items=items(), settings=SETTINGS.data, features=SETTINGS.features)


@pytest.fixture(scope="module")
def recommender(data: Dataset) -> Recommender:
    popularity = Popularity(SCORES)
    served = ServedRetriever(
        Path(), "popularity", popularity.encode_items(), popularity.encode_queries, has_item_bias=False
    )
    return Recommender(data, served, SETTINGS)


def row(name: str) -> int:
    return int(name[1:])


FILTERS: list[tuple[Filter | str | None, Any]] = [
    (None, lambda i, seen: True),
    ("", lambda i, seen: True),
    ('genres has "Comedy" and year >= 1990 and in_stock', lambda i, seen: COMEDY[i] and YEARS[i] >= 1990 and STOCK[i]),
    ("not in_stock or year < 1985", lambda i, seen: not STOCK[i] or YEARS[i] < 1985),
    (Filter.where("in_stock") & ~Filter.items(["i1", "i2", "i9"]), lambda i, seen: STOCK[i] and i not in (1, 2, 9)),
    (Filter.where("year > 1990") | Filter.items(["i3", "i4"]), lambda i, seen: YEARS[i] > 1990 or i in (3, 4)),
    (Filter.seen(), lambda i, seen: i in seen),
    (~Filter.seen() | Filter.where('genres has "Comedy"'), lambda i, seen: i not in seen or COMEDY[i]),
    (~(Filter.seen() & ~Filter.where("in_stock")), lambda i, seen: not (i in seen and not STOCK[i])),
    (Filter.items([]), lambda i, seen: False),
]


def expected(query: Query, meets: Any) -> set[int]:
    taken = TAKEN.get(query.user_id, []) if query.user_id is not None else []  # type: ignore[call-overload]
    given, disliked = {row(one) for one in query.history}, {row(one) for one in query.disliked}
    disliked |= {i for i in taken if (query.user_id + i) % 3 == 0} - given  # type: ignore[operator]
    # the newest word on an item counts: what is disliked now is no longer liked, yet seen by its user
    seen = set(taken) | (given - disliked)
    day = float(query.time) / DAY  # type: ignore[arg-type]
    return {
        i
        for i in range(NUM_ITEMS)
        if i not in disliked
        and f"i{i}" not in query.exclude
        and (query.seen == "keep" or i not in seen)
        and (query.allow is None or f"i{i}" in query.allow)
        and (FROM[i] is None or FROM[i] <= day)
        and (UNTIL[i] is None or day < UNTIL[i])
        and meets(i, seen)
    }


def some(rng: np.random.Generator, most: int) -> list[str]:
    return [f"i{i}" for i in rng.integers(0, NUM_ITEMS, rng.integers(0, most + 1))]


def question(rng: np.random.Generator) -> tuple[Query, Any]:
    where, meets = FILTERS[rng.integers(0, len(FILTERS) - 1)]
    history = some(rng, 4)
    query = Query(
        user_id=None if rng.random() < 0.3 else int(rng.integers(0, NUM_USERS)),
        history=history,
        disliked=[one for one in some(rng, 3) if one not in history],
        exclude=some(rng, 5),
        allow=None if rng.random() < 0.5 else some(rng, 20),
        where=where,
        seen="keep" if rng.random() < 0.5 else "remove",
        time=int(rng.integers(1, 22)) * DAY,
        k=int(rng.integers(1, NUM_ITEMS + 1)),
    )
    return query, meets


@given(st.integers(0, 1_000_000), st.integers(1, 8))
def test_any_mix_gives_the_naive_answer(recommender: Recommender, seed: int, num_queries: int) -> None:
    """Different filters in one batch: min(k, allowed) items, ties by lowest index, never a forbidden one; alone as together."""
    rng = np.random.default_rng(seed)
    asked = [question(rng) for _ in range(num_queries)]
    rows = recommender.dataset.items
    for (query, meets), answer in zip(asked, recommender.recommend_many([q for q, _ in asked]), strict=True):
        allowed = expected(query, meets)
        got = [item.item_id for item in answer.items]
        best = sorted(allowed, key=lambda i: (-SCORES[rows.row(f"i{i}")], rows.row(f"i{i}")))
        assert got == [f"i{i}" for i in best[: query.k]]
        assert got == [item.item_id for item in recommender.recommend(query, explain=False).items]


@pytest.mark.parametrize(
    ("day", "available"),
    [(5, True), (4.999, False), (12.999, True), (13, False)],
)
def test_a_window_holds_its_beginning_and_not_its_end(recommender: Recommender, day: float, available: bool) -> None:
    dataset = recommender.dataset
    start, end = np.full(NUM_ITEMS, -np.inf), np.full(NUM_ITEMS, np.inf)
    assert dataset.availability is not None
    one = dataset.items.row("i7")
    start[one], end[one] = 5 * DAY * 1000, 13 * DAY * 1000
    changed = replace(dataset, availability=replace(dataset.availability, start=start, end=end))
    other = Recommender(changed, recommender.retriever, SETTINGS)
    answer = other.recommend(Query(k=NUM_ITEMS, time=day * DAY), explain=False)
    assert ("i7" in {item.item_id for item in answer.items}) == available
    assert len(answer.items) == NUM_ITEMS - (not available)


def test_now_counts_where_no_time_is_given(recommender: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in (2, 13):
        monkeypatch.setattr("shortlist.recommender.recommender.time.time", lambda day=day: day * DAY)
        everybody = expected(Query(time=day * DAY), lambda i, seen: True)
        assert {row(one.item_id) for one in recommender.recommend(Query(k=NUM_ITEMS)).items} == everybody  # type: ignore[arg-type]
        assert {row(one.item_id) for one in recommender.similar("i0", NUM_ITEMS)} == everybody - {0}  # type: ignore[arg-type]


def test_windows_are_saved(recommender: Recommender, data: Dataset, tmp_path: Path) -> None:
    save_dataset(data, tmp_path)
    loaded, known = load_saved_dataset(tmp_path).availability, data.availability
    assert loaded is not None
    assert known is not None
    np.testing.assert_array_equal(loaded.start, known.start)
    np.testing.assert_array_equal(loaded.end, known.end)
    assert np.isinf(known.start).sum() == FROM.count(None)


def test_an_artifact_whose_windows_have_closed_still_loads(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Golden queries are replayed at the time of the save, also where the log has no times."""
    year = 365 * DAY
    end = np.full(NUM_ITEMS, 130 * year * 1000.0)  # in 2099
    closing = replace(data, availability=replace(data.availability, end=end))  # type: ignore[type-var]
    recommender = Recommender(closing, serve(Popularity(SCORES), closing, tmp_path / "r"), SETTINGS)
    artifact.save(recommender, tmp_path / "a")
    monkeypatch.setattr("shortlist.recommender.recommender.time.time", lambda: 140 * year)
    loaded = artifact.load(tmp_path / "a")
    assert loaded.recommend(Query(k=5)).items == (), "by then everything has closed"
    assert len(loaded.recommend(Query(k=5, time=129 * year)).items) == 5


def test_a_condition_is_met_once_however_often_it_is_asked(
    data: Dataset, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Recommender(data, recommender.retriever, SETTINGS)
    made: list[str] = []
    mask = Admission._mask
    monkeypatch.setattr(Admission, "_mask", lambda self, where: made.append(str(where)) or mask(self, where))
    both = Filter.where("in_stock") & Filter.where("year > 1990")
    fresh.recommend_many([Query(where=one, time=1) for one in ("in_stock", both, "in_stock", "year > 1990", None)])
    fresh.recommend(Query(where=~Filter.where("year > 1990"), time=1))
    assert sorted(made) == ["in_stock", "year > 1990"]
    assert isinstance(fresh.admission.bitmaps, BitmapCache)
    assert len(fresh.admission.bitmaps) == 3, "two conditions and a period"


def test_filters_are_values() -> None:
    one = Filter.where("year > 3") & ~Filter.items([1, 2])
    assert one == Filter.where("year > 3") & ~Filter.items([1, 2])
    assert len({one, Filter.where("year > 3") & ~Filter.items([1, 2]), Filter.where("year > 3")}) == 2
    with pytest.raises(AttributeError):
        one.text = "x"  # type: ignore[misc]
    assert str(Filter.items(range(9)) | Filter.seen()) == "items [0, 1, 2, 3, 4, ...] or seen"


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (Query(allow=["i1", "x"]), QueryError, r"allow: 1 of 2 items are not known \(x\)"),
        (Query(where=Filter.items(["x"])), QueryError, "where items: 1 of 1"),
        (Query(where=~Filter.where("yeer > 1")), ConditionError, "did you mean 'year'"),
        (Query(where=Filter.where("in_stock") & Filter.items([])), QueryError, r"meets '\(in_stock\) and items \[\]'"),
        (Query(where="in_stock > 3"), ConditionError, r"in_stock > 3\n    \^"),
    ],
)
def test_bad_filters_are_explained(
    recommender: Recommender, query: Query, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        recommender.recommend(query)


def test_a_condition_that_cannot_be_read_is_refused_where_it_is_written() -> None:
    with pytest.raises(ConditionError) as raised:
        Filter.where("year >=\n 1990 adn in_stock")
    assert raised.value.position == 14
    lines = str(raised.value).splitlines()
    assert lines[1:] == ["    year >=  1990 adn in_stock", " " * 18 + "^"]


def test_an_empty_allow_list_allows_nothing(recommender: Recommender) -> None:
    assert recommender.recommend(Query(allow=[], time=1)).items == ()
