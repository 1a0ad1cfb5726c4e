"""What is not available at a query's time is neither candidate nor target of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shortlist.data.availability import Availability
from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.data.splitting import split
from shortlist.evaluation.candidates import candidates_of
from shortlist.evaluation.evaluator import evaluate
from shortlist.models.popularity import Popularity
from shortlist.recommender import Query, Recommender
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.settings import Settings

START = 444_444 * 3_600  # in 2020
SETTINGS = Settings.from_dict(
    {
        "data": {"columns": {"timestamp": "timestamp", "available_from": "from"}},
        "split": {"method": "by_time", "valid_fraction": 0.2, "test_fraction": 0.4},
    }
)


def news(seed: int = 0) -> Dataset:
    """A new item every hour; people take what is at most 5 hours old, and nothing that is not there yet."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(6 * 60, 40 * 60, 600)) * 60
    item = time // 3600 - rng.integers(0, 5, 600)
    log = pa.table({"user_id": rng.integers(0, 40, 600), "item_id": item, "timestamp": START + time})
    published = pa.table({"item_id": np.arange(40), "from": START + np.arange(40) * 3600})
    return prepare(log, items=published, settings=SETTINGS.data)


def test_candidates_and_targets_are_what_is_there() -> None:
    data = news()
    test = split(data, SETTINGS.split).test
    assert test.availability is not None
    assert test.queries.time is not None
    hours = np.array(data.items.ids_of(np.arange(data.num_items)), dtype=float)
    there = (START + hours * 3600) * 1000 <= test.queries.time[:, None]
    mask = candidates_of(test).mask(data.num_items)
    there[test.seen.row_of_value, test.seen.values] = False
    assert (mask == there).all()
    assert mask[test.targets.row_of_value, test.targets.values].all()
    assert 0 < there.sum() < there.size
    # later targets of a query are left out where they did not exist when it was asked, and told
    always = split(replace(data, availability=None), SETTINGS.split)
    assert test.num_unavailable == len(always.test.targets.values) - len(test.targets.values) > 0
    assert split(data, SETTINGS.split).description["num_unavailable_targets"] == test.num_unavailable
    assert "num_unavailable_targets" not in always.description
    # news as a favourite of chance: what does not exist yet no longer stands in front
    model = Popularity(hours.astype(np.float32))
    assert evaluate(model, test, (5,)).mean("recall", 5) > evaluate(model, always.test, (5,)).mean("recall", 5)
    assert evaluate(model, test, (5,)).num_candidates.tolist() == mask.sum(axis=1).tolist()


def test_an_interaction_out_of_its_items_window_asks_nothing() -> None:
    """The first one within a window is when its user is asked."""
    data = news()
    assert data.availability is not None
    start, end = data.availability.start.copy(), data.availability.end.copy()
    gone = np.arange(0, data.num_items, 3)
    end[gone] = start[gone]  # never there
    parts = split(replace(data, availability=Availability(start, end)), SETTINGS.split)
    log, asked = data.interactions, dict[int, float]()
    targets: dict[int, list[int]] = {}
    for user, item, time in zip(log.user_idx.tolist(), log.item_idx.tolist(), log.timestamp.tolist(), strict=True):
        before = (log.user_idx == user) & (log.item_idx == item) & (log.timestamp < parts.description["test_from_ms"])
        if time < parts.description["test_from_ms"] or before.any() or item in gone:
            continue
        moment = asked.setdefault(user, time)
        if start[item] <= moment and item not in targets.setdefault(user, []):
            targets[user].append(item)
    assert parts.test.user_idx.tolist() == sorted(targets)
    assert parts.test.queries.time is not None
    for row, user in enumerate(parts.test.user_idx.tolist()):
        assert parts.test.queries.time[row] == asked[user]
        assert parts.test.targets.row(row).tolist() == targets[user]
    assert not candidates_of(parts.test).mask(data.num_items)[:, gone].any()


def test_what_is_measured_is_what_is_served() -> None:
    data = news()
    test = split(data, SETTINGS.split).test
    model = Popularity(np.arange(data.num_items, dtype=np.float32))
    lists = evaluate(model, test, (10,)).lists
    served = Recommender(
        data, ServedRetriever(Path(), "p", model.encode_items(), model.encode_queries, has_item_bias=False), SETTINGS
    )
    assert test.queries.time is not None
    for row in range(len(test)):
        seen = data.items.ids_of(test.seen.row(row))
        query = Query(exclude=seen, time=float(test.queries.time[row]), k=10)
        answer = [item.item_id for item in served.recommend(query, explain=False).items]
        assert answer == data.items.ids_of(lists[row][lists[row] >= 0])


@pytest.mark.parametrize(
    "times",
    [
        [3600, None, 253_402_300_799],
        [3_600_000.0, None, 253_402_300_799_000.0],
        ["1970-01-01T01:00:00", None, "9999-12-31T23:59:59"],
    ],
)
def test_windows_are_read_in_any_unit(times: list[object]) -> None:
    log = pa.table({"user_id": [1, 1, 1], "item_id": [1, 2, 3]})
    items = pa.table({"item_id": [1, 2, 3], "until": times})
    settings = Settings.from_dict({"data": {"columns": {"available_until": "until"}}})
    availability = prepare(log, items=items, settings=settings.data).availability
    assert availability is not None
    assert availability.end.tolist() == [3_600_000, np.inf, 253_402_300_799_000]
    assert availability.start.tolist() == [-np.inf] * 3
