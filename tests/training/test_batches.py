from __future__ import annotations

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import split
from shortlist.settings import Settings, SplitSettings
from shortlist.training.batches import BagExamples, TrainingExamples


@pytest.fixture(scope="module")
def films() -> Dataset:
    given = {"data": {"dataset": "ml-latest-small", "feedback": {"disliked": "value <= 2"}}}
    return load_dataset(Settings.from_dict(given))


@pytest.mark.parametrize("window", [1, 4])
def test_no_leak(films: Dataset, window: int) -> None:
    """Histories hold exactly what happened strictly before the first target's time; found by brute force."""
    train = split(films, SplitSettings()).train
    examples = TrainingExamples(films, train, window)
    starts = np.random.default_rng(0).choice(len(examples.positives) - 1, 300, replace=False)
    batch = examples.batch(starts, starts + 1)
    for n, start in enumerate(starts):
        row = examples.positives[start]
        mine = (train.user_idx == train.user_idx[row]) & (train.timestamp < train.timestamp[row])
        assert batch.queries.liked.row(n).tolist() == train.item_idx[mine & train.in_history].tolist()
        assert batch.queries.disliked.row(n).tolist() == train.item_idx[mine & train.disliked].tolist()
        known = train.timestamp[mine & (train.in_history | train.disliked)]
        assert batch.queries.time is not None
        assert batch.queries.last_time is not None
        assert batch.queries.time[n] == train.timestamp[row]
        np.testing.assert_equal(batch.queries.last_time[n], float(known.max()) if len(known) else np.nan)
        assert batch.targets.row(n).tolist() == [train.item_idx[row]]
        before = (train.user_idx == train.user_idx[row]) & (np.arange(len(train)) < row)
        assert batch.seen.row(n).tolist() == train.item_idx[before].tolist()


@pytest.mark.parametrize("window", [1, 4])
def test_every_positive_is_a_target_once_an_epoch(world: Dataset, window: int) -> None:
    examples = TrainingExamples(world, world.interactions, window)
    for seed in range(3):
        batches = list(examples.epoch(16, np.random.default_rng(seed)))
        assert all(len(batch) <= 16 for batch in batches)
        assert max(batch.targets.lengths.max() for batch in batches) <= window
        targets = np.concatenate([batch.targets.values for batch in batches])
        assert sorted(targets) == sorted(world.interactions.item_idx.tolist())


def test_the_cuts_move_between_epochs(world: Dataset) -> None:
    examples = TrainingExamples(world, world.interactions, 4)
    first, second = (
        [b.targets.lengths.tolist() for b in examples.epoch(1000, np.random.default_rng(s))] for s in (0, 1)
    )
    assert first != second


def test_features_are_the_users_own(world: Dataset) -> None:
    examples = TrainingExamples(world, world.interactions)
    batch = examples.batch(np.array([0, 13]), np.array([1, 14]))
    towns = world.user_features["town"].codes[world.interactions.user_idx[[0, 13]]]  # type: ignore[union-attr]
    assert batch.queries.features["town"].codes.tolist() == towns.tolist()  # type: ignore[union-attr]


def test_a_bag_is_parted_into_query_and_target(films: Dataset) -> None:
    """Nothing of a target is in its query, as a like or a dislike; together they are what the user took."""
    train = split(films, SplitSettings()).train
    bags = BagExamples(films, train, 0.3)
    positives, asked, total = train.positives(), [], 0
    for batch in bags.epoch(64, np.random.default_rng(0)):
        for row in range(len(batch)):
            targets, seen = set(batch.targets.row(row).tolist()), set(batch.seen.row(row).tolist())
            liked, disliked = set(batch.queries.liked.row(row).tolist()), set(batch.queries.disliked.row(row).tolist())
            assert not targets & (liked | disliked | seen)
            assert liked | disliked == seen
            asked.append(len(targets) / (len(targets) + len(seen)))
        total += len(batch.targets.values)
    assert len(asked) == np.count_nonzero(positives.lengths >= 2)
    assert total == len(bags)
    assert np.mean(asked) == pytest.approx(0.3, abs=0.02)


def test_bags_are_drawn_anew_and_from_the_seed(films: Dataset) -> None:
    bags = BagExamples(films, split(films, SplitSettings()).train, 0.5)
    first, again, other = (
        next(iter(bags.epoch(1000, np.random.default_rng(seed)))).targets.values.tolist() for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_histories_in_order_hold_what_stands_before(films: Dataset) -> None:
    train = split(films, SplitSettings()).train
    examples = TrainingExamples(films, train, 1, in_order=True)
    starts = np.arange(50, 90)
    batch = examples.batch(starts, starts + 1)
    for n, start in enumerate(starts):
        row = examples.positives[start]
        before = (train.user_idx == train.user_idx[row]) & (np.arange(len(train)) < row)
        assert batch.queries.liked.row(n).tolist() == train.item_idx[before & train.in_history].tolist()


def test_a_whole_bag_is_target_and_query_at_once(films: Dataset) -> None:
    train = split(films, SplitSettings()).train
    bags = BagExamples(films, train, 1.0)
    batch = next(iter(bags.epoch(50, np.random.default_rng(0))))
    for n, user in enumerate(batch.user_idx):
        mine = train.user_idx == user
        assert batch.targets.row(n).tolist() == train.item_idx[mine & train.liked].tolist()
        assert batch.queries.liked.row(n).tolist() == train.item_idx[mine & train.in_history].tolist()
    assert len(bags) == int(train.liked[np.isin(train.user_idx, bags.users)].sum())
