from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.loading import load_dataset
from shortlist.data.preparation import prepare
from shortlist.data.splitting import Split, split
from shortlist.errors import DataError
from shortlist.settings import Settings, SplitSettings


def log_of(rows: list[tuple[int, int, int, float]], **feedback: str) -> Dataset:
    users, items, times, values = zip(*rows, strict=True)
    table = pa.table({"user_id": users, "item_id": items, "timestamp": times, "value": values})
    data = {"columns": {"timestamp": "timestamp", "value": "value"}, "feedback": feedback}
    return prepare(table, settings=Settings.from_dict({"data": data}).data)


def ids(dataset: Dataset, rows: Any) -> list[int]:
    return dataset.items.ids_of(np.asarray(rows))  # type: ignore[return-value]


def test_last_out_by_hand() -> None:
    data = log_of(
        [(1, 10, 1, 5), (1, 20, 2, 1), (1, 30, 3, 5), (1, 40, 4, 5), (1, 50, 4, 5), (1, 60, 5, 1),
         (2, 10, 1, 5), (2, 20, 2, 5)],
        liked="value >= 2",
        disliked="value <= 1",
    )  # fmt: skip
    parts = split(data, SplitSettings())
    assert parts.test.user_idx.tolist() == [data.users.row(1)]  # user 2 has fewer than three positives: only trains
    assert ids(data, parts.test.targets.row(0)) == [50]
    # item 40 shares the target's second: seen, but no history
    assert ids(data, parts.test.queries.liked.row(0)) == [10, 30]
    assert ids(data, parts.test.queries.disliked.row(0)) == [20]
    assert sorted(ids(data, parts.test.seen.row(0))) == [10, 20, 30, 40]
    assert ids(data, parts.valid.targets.row(0)) == [40]
    assert sorted(ids(data, parts.valid.seen.row(0))) == [10, 20, 30]
    assert len(parts.train) == 3 + 2
    assert len(parts.train_and_valid) == 4 + 2


def test_by_time_nobody_knows_the_future() -> None:
    data = load_dataset(Settings.from_dict({"data": {"dataset": "ml-latest-small"}}))
    parts = split(data, SplitSettings(method="by_time"))
    cut = parts.description["test_from_ms"]
    assert parts.train.timestamp.max() < parts.description["valid_from_ms"] <= cut
    assert parts.train_and_valid.timestamp.max() < cut
    log = data.interactions
    for query in range(0, len(parts.test), 20):
        mine = log.user_idx == parts.test.user_idx[query]
        before = mine & (log.timestamp < cut)
        assert parts.test.queries.liked.row(query).tolist() == log.item_idx[before & log.in_history].tolist()
        assert set(parts.test.targets.row(query)) == set(log.item_idx[mine & (log.timestamp >= cut)])


def test_by_user_holds_users_out_whole(world: Dataset) -> None:
    parts = split(world, SplitSettings(method="by_user"), seed=3)
    held_out = set(parts.test.user_idx) | set(parts.valid.user_idx)
    assert len(parts.test) == 12
    assert not held_out & set(parts.train.user_idx)
    assert not set(parts.test.user_idx) & set(parts.train_and_valid.user_idx)
    positives = world.interactions.positives()
    for query, user in enumerate(parts.test.user_idx):
        assert parts.test.targets.row(query).tolist() == positives.row(user)[9:].tolist()  # 80 % of 12 asked with


def test_by_user_asks_with_a_random_part_where_asked_for(world: Dataset) -> None:
    settings = SplitSettings(method="by_user", query_part="random")
    parts = split(world, settings, seed=3)
    assert parts.test.user_idx.tolist() == split(world, SplitSettings(method="by_user"), seed=3).test.user_idx.tolist()
    assert parts.description["later_history"] == "allow"  # in the report, because live nobody has it
    positives, log = world.interactions.positives(), world.interactions
    places = []
    for query, user in enumerate(parts.test.user_idx):
        targets, mine = parts.test.targets.row(query).tolist(), positives.row(user).tolist()
        assert len(targets) == 3  # of 12, 80 % are asked with
        assert set(targets) | set(parts.test.seen.row(query)) == set(mine)
        rest = (log.user_idx == user) & ~np.isin(log.item_idx, targets)
        assert parts.test.queries.liked.row(query).tolist() == log.item_idx[rest & log.in_history].tolist()
        assert parts.test.queries.disliked.row(query).tolist() == log.item_idx[rest & log.disliked].tolist()
        places += [mine.index(target) for target in targets]
    assert min(places) < 3  # the first as well as the last
    assert max(places) > 8
    assert split(world, settings, seed=4).test.targets.values.tolist() != parts.test.targets.values.tolist()


def test_a_random_part_leaves_one_item_to_ask_with_and_one_to_find() -> None:
    data = log_of([(user, item, item, 5) for user in range(12) for item in (10, 20)])
    settings = SplitSettings(method="by_user", query_part="random", test_fraction=0.5, query_fraction=0.99)
    test = split(data, settings, seed=1).test
    assert (len(test), test.targets.lengths.tolist(), test.queries.liked.lengths.tolist()) == (6, [1] * 6, [1] * 6)
    assert set(test.targets.values) == {0, 1}


@pytest.mark.parametrize("method", ["last_out", "by_time", "by_user", "random"])
def test_what_every_split_promises(world: Dataset, method: Any) -> None:
    parts = split(world, SplitSettings(method=method), seed=1)
    again = split(world, SplitSettings(method=method), seed=1)
    assert parts.description == again.description
    trained = pairs(parts.train.user_idx, parts.train.item_idx)
    refitted = pairs(parts.train_and_valid.user_idx, parts.train_and_valid.item_idx)
    assert trained <= refitted
    for holdout, known in ((parts.valid, trained), (parts.test, refitted)):
        targets = pairs(holdout.user_idx[holdout.targets.row_of_value], holdout.targets.values)
        seen = pairs(holdout.user_idx[holdout.seen.row_of_value], holdout.seen.values)
        assert not targets & known, "a target was learned from"
        assert not targets & seen, "a target is seen"
        assert holdout.targets.lengths.min() >= 1
        history = pairs(holdout.user_idx[holdout.queries.liked.row_of_value], holdout.queries.liked.values)
        assert history <= seen
        assert set(holdout.queries.features) == {"town"}


def pairs(users: Any, items: Any) -> set[tuple[int, int]]:
    return set(zip(users.tolist(), items.tolist(), strict=True))


def test_files_keep_the_given_parts() -> None:
    train = pa.table({"user_id": [1, 1, 2, 2], "item_id": [10, 20, 10, 30]})
    valid = pa.table({"user_id": [1], "item_id": [30]})
    test = pa.table({"user_id": [1, 2], "item_id": [40, 20]})
    data = prepare({"train": train, "valid": valid, "test": test})
    parts = split(data, SplitSettings(method="files", train="t", valid="v", test="s"))
    answers = {data.users.id(u): ids(data, parts.test.targets.row(q)) for q, u in enumerate(parts.test.user_idx)}
    assert answers == {1: [40], 2: [20]}
    assert (len(parts.train), len(parts.train_and_valid)) == (4, 5)
    drawn = split(
        prepare({"train": train, "test": test}),
        SplitSettings(method="files", train="t", test="s", valid_fraction=0.25),
    )
    assert (len(drawn.train), len(drawn.train_and_valid)) == (3, 4)


def test_the_latest_share_of_every_users_rows_is_for_validation() -> None:
    """In the order of the file where there is no time; who has too few rows for the share only trains."""
    train = pa.table({"user_id": [2] * 8 + [1] * 5 + [3], "item_id": [*range(8), *range(4, -1, -1), 9]})
    data = prepare({"train": train, "test": pa.table({"user_id": [1, 2, 3], "item_id": [9, 9, 8]})})
    files = {"method": "files", "train": "t", "test": "s", "validation": "latest", "valid_fraction": 0.25}
    parts = split(data, SplitSettings.model_validate(files))
    asked = {data.users.id(u): ids(data, parts.valid.targets.row(q)) for q, u in enumerate(parts.valid.user_idx)}
    assert asked == {1: [0], 2: [6, 7]}
    history = {
        data.users.id(u): ids(data, parts.valid.queries.liked.row(q)) for q, u in enumerate(parts.valid.user_idx)
    }
    assert history == {1: [4, 3, 2, 1], 2: [0, 1, 2, 3, 4, 5]}
    assert (len(parts.train), len(parts.train_and_valid)) == (11, 14)


def test_seen_kept_on_request(world: Dataset) -> None:
    assert split(world, SplitSettings(seen="keep")).test.seen.values.tolist() == []


def test_refusals() -> None:
    short = log_of([(1, 10, 1, 5), (1, 20, 2, 5)])
    with pytest.raises(DataError, match=r'method = "last_out" leaves the validation part empty'):
        split(short, SplitSettings())
    timeless = prepare(pa.table({"user_id": [1, 1, 1], "item_id": [1, 2, 3]}))
    with pytest.raises(DataError, match=r'"by_time" needs a time'):
        split(timeless, SplitSettings(method="by_time"))
    assert isinstance(split(timeless, SplitSettings()), Split)  # the order of rows stands in for time


def test_what_shares_the_targets_moment_is_history_only_where_asked_for() -> None:
    """Four films rated in one second, the last of them the test."""
    data = log_of([(1, 10, 1, 5), (1, 20, 7, 5), (1, 30, 7, 5), (1, 40, 7, 5), (1, 50, 7, 5)])
    histories = {}
    for history in ("strictly_before", "in_order"):
        test = split(data, SplitSettings.model_validate({"history": history})).test
        assert ids(data, test.targets.row(0)) == [50]
        assert ids(data, test.seen.row(0)) == [10, 20, 30, 40]
        histories[history] = ids(data, test.queries.liked.row(0))
    assert histories == {"strictly_before": [10], "in_order": [10, 20, 30, 40]}


@pytest.mark.parametrize("method", ["last_out", "by_time", "by_user", "random"])
def test_a_query_has_its_first_targets_time_and_that_of_its_last_item(method: str) -> None:
    """By brute force; also where a random split lets a history run past its targets."""
    films = load_dataset(Settings.from_dict({"data": {"dataset": "ml-latest-small"}}))
    log, test = films.interactions, split(films, SplitSettings(method=method)).test
    time, last = test.queries.time, test.queries.last_time
    assert time is not None
    assert last is not None
    for n in range(0, len(test), 17):
        mine = np.flatnonzero(log.user_idx == test.user_idx[n])
        asked = mine[np.isin(log.item_idx[mine], test.targets.row(n))]
        assert time[n] == log.timestamp[asked].min()
        history = mine[np.isin(log.item_idx[mine], test.queries.liked.row(n)) & (log.timestamp[mine] <= time[n])]
        np.testing.assert_equal(last[n], float(log.timestamp[history].max()) if len(history) else np.nan)


def test_a_sample_keeps_queries_and_targets_together(world: Dataset) -> None:
    parts = split(world, SplitSettings())
    few = parts.test.sample(7)
    assert len(few) == len(few.targets) == len(few.queries) == len(few.seen) == 7
    place = {int(user): row for row, user in enumerate(parts.test.user_idx)}
    for row, user in enumerate(few.user_idx):
        assert few.targets.row(row).tolist() == parts.test.targets.row(place[int(user)]).tolist()
        assert few.queries.liked.row(row).tolist() == parts.test.queries.liked.row(place[int(user)]).tolist()
    assert parts.test.sample(10_000) is parts.test


def test_of_many_people_some_are_asked_for_validation(world: Dataset) -> None:
    all_of_them, some = (split(world, SplitSettings(**given)) for given in ({}, {"valid_queries": 9}))
    assert (len(all_of_them.valid), len(some.valid)) == (60, 9)
    assert set(some.valid.user_idx) < set(all_of_them.valid.user_idx)
    assert len(some.train_and_valid) == len(all_of_them.train_and_valid)
    assert len(some.test) == len(all_of_them.test)
