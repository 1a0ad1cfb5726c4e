"""Which interactions are learned from, and which queries are asked afterwards.

Every method ends in three masks over the interactions: what a query may know (its history), what is taken out of its
candidates (seen), and what it should have found (targets).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data import leakage
from shortlist.data.dataset import Dataset
from shortlist.data.features import take_rows
from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged, is_among
from shortlist.errors import DataError
from shortlist.settings import SplitSettings

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Holdout:
    """Queries with the items they should have found.

    Args:
        queries: Q queries; histories hold only what happened strictly before the first target.
        user_idx: [Q] whose queries they are.
        seen: items taken out of the candidates (all rows empty where seen items are kept).
        targets: at least one item a query, none of them seen.
        negatives: items given to be ranked with the targets, none of them a target or seen; None: none are given.
    """

    queries: QueryBatch
    user_idx: NDArray[np.int32]
    seen: Ragged
    targets: Ragged
    negatives: Ragged | None = None

    def __len__(self) -> int:
        return len(self.user_idx)


@dataclass(frozen=True, eq=False)
class Split:
    """One way to learn from a part of the data and be asked about the rest.

    Args:
        train: what models are fitted on while epochs and settings are selected.
        valid: selects them.
        train_and_valid: what the selected models are fitted on before the test.
        test: is looked at once.
        description: method and counts, for the report.
    """

    train: Interactions
    valid: Holdout
    train_and_valid: Interactions
    test: Holdout
    description: Mapping[str, Any]


def split(dataset: Dataset, settings: SplitSettings, seed: int = 0) -> Split:
    """Split a data set.

    Args:
        dataset: with at least one query left for validation and test.
        settings: method and shares.
        seed: of the random choices (``by_user``, ``random``).

    Raises:
        DataError: a part would be empty, or the test part leaks into what models know (``shortlist.data.leakage``).
    """
    log = dataset.interactions
    if settings.method == "last_out":
        parts = _last_out(log, settings)
    elif settings.method == "by_time":
        parts = _by_time(dataset, settings)
    elif settings.method == "by_user":
        parts = _by_user(log, settings, np.random.default_rng(seed))
    else:
        parts = _by_part(dataset, settings, _assignment(dataset, settings, np.random.default_rng(seed)))
    leakage.refuse_features_of_the_future(dataset, parts.train_and_valid)
    train = log.take(parts.train)
    valid = _holdout(dataset, *parts.valid, keep_seen=settings.seen == "keep")
    test = _with_negatives(_holdout(dataset, *parts.test, keep_seen=settings.seen == "keep"), dataset, settings)
    for name, size in (
        ("training part", len(train)),
        ("validation part", len(valid)),
        ("test part", len(test)),
    ):
        if size == 0:
            raise DataError(
                f'[split] method = "{settings.method}" leaves the {name} empty ({len(log):,} interactions, '
                f"{int(log.liked.sum()):,} positives). Use another method or other shares, or more data."
            )
    description = {
        "method": settings.method,
        "seen": settings.seen,
        "history": settings.history,
        "seed": seed,
        "num_train_interactions": len(train),
        "num_valid_queries": len(valid),
        "num_test_queries": len(test),
        "num_test_targets": len(test.targets.values),
        "fingerprint": _fingerprint(dataset, train, valid, test),
        **parts.notes,
    }
    return Split(train, valid, log.take(parts.train_and_valid), test, description)


@dataclass(frozen=True)
class _Parts:
    train: Mask
    train_and_valid: Mask
    valid: tuple[Mask, Mask, Mask]  # history, seen, targets
    test: tuple[Mask, Mask, Mask]
    notes: Mapping[str, Any]


def _last_out(log: Interactions, settings: SplitSettings) -> _Parts:
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
    return _Parts(before(valid_rows), before(test_rows), parts(valid_rows), parts(test_rows), {})


def _by_time(dataset: Dataset, settings: SplitSettings) -> _Parts:
    """One cut on the global clock: nothing after it is known to anybody."""
    log = dataset.interactions
    if not dataset.has_time:
        raise DataError('[split] method = "by_time" needs a time: set [data.columns] timestamp.')
    shares = [1 - settings.valid_fraction - settings.test_fraction, 1 - settings.test_fraction]
    first, second = np.quantile(log.timestamp, [max(share, 0.0) for share in shares], method="lower")
    before_valid, before_test = log.timestamp < first, log.timestamp < second
    valid = (before_valid, before_valid, log.liked & ~before_valid & before_test)
    test = (before_test, before_test, log.liked & ~before_test)
    return _Parts(before_valid, before_test, valid, test, {"valid_from_ms": int(first), "test_from_ms": int(second)})


def _by_user(log: Interactions, settings: SplitSettings, rng: np.random.Generator) -> _Parts:
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
    return _Parts(role_of_row == 0, role_of_row <= 1, parts(1), parts(2), notes)


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
        part[train] = _random_place(log.take(train), settings, rng) >= 1 - settings.valid_fraction
    return part


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


def _by_part(dataset: Dataset, settings: SplitSettings, part: NDArray[np.int8]) -> _Parts:
    log = dataset.interactions
    train, before_test, notes = part == 0, part <= 1, {}
    if settings.method == "files":
        leakage.refuse_overlap(dataset, part, same_time_only=settings.seen == "keep")
        if settings.later_history == "allow":
            notes["later_history"] = "allow"
        elif dataset.has_time:
            leakage.refuse_later_history(dataset, before_test & log.in_history, (part == 2) & log.liked)
    return _Parts(
        train,
        before_test,
        (train, train, (part == 1) & log.liked),
        (before_test, before_test, (part == 2) & log.liked),
        notes,
    )


def _with_negatives(holdout: Holdout, dataset: Dataset, settings: SplitSettings) -> Holdout:
    """The given negatives of each query, without its targets and what it has seen."""
    if settings.method != "files" or dataset.negatives is None:
        return holdout
    given = dataset.negatives.take(holdout.user_idx)
    if not given.lengths.all():
        user = dataset.users.id(int(holdout.user_idx[np.flatnonzero(given.lengths == 0)[0]]))
        raise DataError(
            f"negatives: {int((given.lengths == 0).sum()):,} of {len(holdout):,} test users have none, such as user "
            f"{user!r}. Give every test user its items, or leave [split] negatives out."
        )
    key = given.row_of_value * dataset.num_items + given.values
    taken = holdout.targets.concat_rows(holdout.seen)
    return replace(
        holdout, negatives=given.where(~is_among(key, taken.row_of_value * dataset.num_items + taken.values))
    )


def _holdout(dataset: Dataset, history: Mask, seen: Mask, targets: Mask, *, keep_seen: bool) -> Holdout:
    """One query a user that has a target it has not seen."""
    log = dataset.interactions
    pair = log.user_idx.astype(np.int64) * dataset.num_items + log.item_idx
    rows = np.flatnonzero(targets)
    if not keep_seen:
        rows = rows[~is_among(pair[rows], pair[seen])]
    _, first_of_pair = np.unique(pair[rows], return_index=True)
    rows = rows[np.sort(first_of_pair)]
    users, first_row = np.unique(log.user_idx[rows], return_index=True)
    query_of_user = np.full(log.num_users, -1, dtype=np.int64)
    query_of_user[users] = np.arange(len(users))

    def per_query(mask_or_rows: NDArray[Any]) -> Ragged:
        chosen = np.flatnonzero(mask_or_rows) if mask_or_rows.dtype == np.bool_ else mask_or_rows
        query = query_of_user[log.user_idx[chosen]]
        return Ragged.from_row_of_value(log.item_idx[chosen[query >= 0]], query[query >= 0], len(users))

    features = take_rows(dataset.user_features, users) | take_rows(log.context, rows[first_row])
    time = log.timestamp[rows[first_row]].astype(np.float64)
    queries = QueryBatch(
        liked=per_query(history & log.in_history),
        disliked=per_query(history & log.disliked),
        features=features,
        time=time if dataset.has_time else None,
        last_time=_last_times(log, history, users, time) if dataset.has_time else None,
    )
    return Holdout(
        queries=queries,
        user_idx=users.astype(np.int32),
        seen=Ragged.empty(len(users)) if keep_seen else per_query(seen),
        targets=per_query(rows),
    )


def _last_times(
    log: Interactions, history: Mask, users: NDArray[np.int32], time: NDArray[np.float64]
) -> NDArray[np.float64]:
    """When the last item entered each user's history, as far as that was not after the query; NaN: never."""
    asked = np.full(log.num_users, np.nan)
    asked[users] = time
    known = np.flatnonzero(history & (log.in_history | log.disliked))
    known = known[log.timestamp[known] <= asked[log.user_idx[known]]]
    last = np.full(log.num_users, np.nan)
    np.fmax.at(last, log.user_idx[known], log.timestamp[known])
    return last[users]


def _fingerprint(dataset: Dataset, train: Interactions, valid: Holdout, test: Holdout) -> str:
    digest = hashlib.sha256(dataset.fingerprint.encode())
    for array in (
        train.user_idx,
        train.item_idx,
        valid.user_idx,
        valid.targets.values,
        test.user_idx,
        test.targets.values,
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
