"""The ways to cut a log: each ends in three masks over the interactions for validation, and three for the test.

What a query may know (its history), what is taken out of its candidates (seen), and what it should have found (targets).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data import leakage
from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.errors import DataError
from shortlist.settings import SplitSettings

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Parts:
    """Masks over the interactions.

    Args:
        train, train_and_valid: what is learned from.
        valid, test: history, seen and targets of the queries.
        notes: for the report.
    """

    train: Mask
    train_and_valid: Mask
    valid: tuple[Mask, Mask, Mask]
    test: tuple[Mask, Mask, Mask]
    notes: Mapping[str, Any]


def parts_of(dataset: Dataset, settings: SplitSettings, rng: np.random.Generator) -> Parts:
    """Cut as the settings say.

    Args:
        dataset: whose log is cut.
        settings: method and shares.
        rng: of the random choices.
    """
    if settings.method == "last_out":
        return _last_out(dataset.interactions, settings)
    if settings.method == "by_time":
        return _by_time(dataset, settings)
    if settings.method == "by_user":
        return _by_user(dataset.interactions, settings, rng)
    return _by_part(dataset, settings, _assignment(dataset, settings, rng))


def _last_out(log: Interactions, settings: SplitSettings) -> Parts:
    """Each user's last positive is the test, the one before is for validation; users with fewer than 3 only train."""
    positives = np.flatnonzero(log.liked)
    counts = np.bincount(log.user_idx[positives], minlength=log.num_users)
    asked = np.flatnonzero(counts >= 3)
    last = np.cumsum(counts)[asked] - 1
    row = np.arange(len(log))

    def parts(targets: NDArray[np.int64]) -> tuple[Mask, Mask, Mask]:
        until_history = np.zeros(log.num_users, dtype=np.int64)
        until = np.zeros(log.num_users, dtype=np.int64)
        until_history[asked] = log.history_ends(targets, in_order=settings.history == "in_order")
        until[asked] = targets
        is_target = np.zeros(len(log), dtype=bool)
        is_target[targets] = True
        return row < until_history[log.user_idx], row < until[log.user_idx], is_target

    valid_rows = positives[last - 1]

    def before(targets: NDArray[np.int64]) -> Mask:
        until = np.full(log.num_users, len(log), dtype=np.int64)
        until[asked] = targets
        return row < until[log.user_idx]

    test_rows = positives[last]
    return Parts(before(valid_rows), before(test_rows), parts(valid_rows), parts(test_rows), {})


def _by_time(dataset: Dataset, settings: SplitSettings) -> Parts:
    """One cut on the global clock: nothing after it is known to anybody."""
    log = dataset.interactions
    if not dataset.has_time:
        raise DataError('[split] method = "by_time" needs a time: set [data.columns] timestamp.')
    shares = [1 - settings.valid_fraction - settings.test_fraction, 1 - settings.test_fraction]
    first, second = np.quantile(log.timestamp, [max(share, 0.0) for share in shares], method="lower")
    before_valid, before_test = log.timestamp < first, log.timestamp < second
    valid = (before_valid, before_valid, log.liked & ~before_valid & before_test)
    test = (before_test, before_test, log.liked & ~before_test)
    return Parts(before_valid, before_test, valid, test, {"valid_from_ms": int(first), "test_from_ms": int(second)})


def _by_user(log: Interactions, settings: SplitSettings, rng: np.random.Generator) -> Parts:
    """Strong generalization: held-out users are asked with a part of their own history."""
    positives = np.bincount(log.user_idx[log.liked], minlength=log.num_users)
    able = rng.permutation(np.flatnonzero(positives >= 2))
    num_test, num_valid = (
        round(settings.test_fraction * len(able)),
        round(settings.valid_fraction * len(able)),
    )
    role = np.zeros(log.num_users, dtype=np.int8)  # 0 train, 1 valid, 2 test
    role[able[:num_test]], role[able[num_test : num_test + num_valid]] = 2, 1
    limit = np.clip(np.floor(settings.query_fraction * positives), 1, np.maximum(positives - 1, 1))
    if settings.query_part == "random":
        in_history = in_query = _random_part(log, limit, rng)
    else:
        in_query = _positives_before(log) < limit[log.user_idx]
        # unless asked for, nothing that shares the first target's time is history
        first_target = np.full(log.num_users, len(log), dtype=np.int64)
        target_rows = np.flatnonzero(log.liked & ~in_query)
        ends = log.history_ends(target_rows, in_order=settings.history == "in_order")
        np.minimum.at(first_target, log.user_idx[target_rows], ends)
        in_history = in_query & (np.arange(len(log)) < first_target[log.user_idx])

    def parts(which: int) -> tuple[Mask, Mask, Mask]:
        mine = role[log.user_idx] == which
        return mine & in_history, mine & in_query, mine & ~in_query & log.liked

    role_of_row = role[log.user_idx]
    notes: dict[str, Any] = {"num_test_users": num_test}
    if settings.query_part == "random":
        notes["later_history"] = "allow"
    return Parts(role_of_row == 0, role_of_row <= 1, parts(1), parts(2), notes)


def _positives_before(log: Interactions) -> NDArray[np.int64]:
    """[n] how many positives of the same user stand before each row."""
    before: NDArray[np.int64] = np.cumsum(log.liked) - log.liked
    before -= before[np.minimum(log.offsets[:-1], len(log) - 1)][log.user_idx]
    return before


def _random_part(log: Interactions, limit: NDArray[np.float64], rng: np.random.Generator) -> Mask:
    """All but positives, and a random ``limit`` of every user's positives."""
    rows = np.flatnonzero(log.liked)
    shuffled = rows[np.lexsort((rng.random(len(rows)), log.user_idx[rows]))]
    part = ~log.liked
    # the user of each place is the same in ``rows`` and ``shuffled``
    part[shuffled] = _positives_before(log)[rows] < limit[log.user_idx[rows]]
    return part


def _assignment(dataset: Dataset, settings: SplitSettings, rng: np.random.Generator) -> NDArray[np.int8]:
    """Part of every row: 0 train, 1 valid, 2 test."""
    log = dataset.interactions
    if settings.method == "random":
        place = _random_place(log, settings, rng)
        first_test, first_valid = 1 - settings.test_fraction, 1 - settings.test_fraction - settings.valid_fraction
        return ((place >= first_valid).astype(np.int8) + (place >= first_test)).astype(np.int8)
    if dataset.parts is None:
        raise DataError('[split] method = "files" needs a data set that was read from the files of its parts.')
    if settings.valid:
        return dataset.parts
    part = np.where(dataset.parts == 0, 0, 2).astype(np.int8)
    train = np.flatnonzero(part == 0)
    if settings.validation == "last_out":
        # what comes after a user's last positive of train is no history of it: it is held out with it
        positives = train[log.liked[train]]
        last = np.full(log.num_users, len(log), dtype=np.int64)
        last[log.user_idx[positives]] = positives
        part[train] = train >= last[log.user_idx[train]]
    else:
        known = log.take(train)
        place = _place_in_time(known) if settings.validation == "latest" else _random_place(known, settings, rng)
        part[train] = place >= 1 - settings.valid_fraction
    return part


def _place_in_time(log: Interactions) -> NDArray[np.float64]:
    """A place in [0, 1) for every row, evenly spread over its user's, the earliest first."""
    place: NDArray[np.float64] = (np.arange(len(log)) - log.offsets[log.user_idx]) / np.diff(log.offsets)[log.user_idx]
    return place


def _random_place(log: Interactions, settings: SplitSettings, rng: np.random.Generator) -> NDArray[np.float64]:
    """A place in [0, 1) for every row, evenly spread: over all rows, or over every user's."""
    order = rng.permutation(len(log))
    place = np.empty(len(log))
    if settings.stratify == "none":
        place[order] = np.arange(len(log)) / max(len(log), 1)
        return place
    order = order[np.argsort(log.user_idx[order], kind="stable")]
    counts = np.diff(log.offsets)[log.user_idx]
    place[order] = (np.arange(len(log)) - log.offsets[:-1][log.user_idx]) / counts
    return place


def _by_part(dataset: Dataset, settings: SplitSettings, part: NDArray[np.int8]) -> Parts:
    log = dataset.interactions
    train, before_test, notes = part == 0, part <= 1, {}
    if settings.method == "files":
        leakage.refuse_overlap(dataset, part, same_time_only=settings.seen == "keep")
        if settings.later_history == "allow":
            notes["later_history"] = "allow"
        elif dataset.has_time:
            leakage.refuse_later_history(dataset, before_test & log.in_history, (part == 2) & log.liked)
    return Parts(
        train,
        before_test,
        (train, train, (part == 1) & log.liked),
        (before_test, before_test, (part == 2) & log.liked),
        notes,
    )
