"""Refuses splits whose test part has leaked into what models learn from or are told.

A leak raises every figure, and most of all those of models that memorise (Ji et al., *A Critical Study on Data Leakage
in Recommender System Offline Evaluation*, TOIS 2023). Splits that Shortlist makes cannot overlap; given files and given
feature tables can.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.features import NumberColumn
from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged, is_among
from shortlist.errors import DataError

_PARTS = ("train", "valid", "test")
_SHOWN = 3
_MATCHING = 0.95  # a feature counts the future where it fits so large a share of the rows that could tell


def refuse_overlap(dataset: Dataset, part: NDArray[np.int8], *, same_time_only: bool) -> None:
    """Refuse rows that stand in two parts.

    Args:
        dataset: with all rows.
        part: [n] 0 train, 1 validation, 2 test.
        same_time_only: a pair of user and item may stand in two parts at different times (seen items are kept as
            candidates).

    Raises:
        DataError: names the parts and the rows.
    """
    log = dataset.interactions
    key = log.user_idx.astype(np.int64) * dataset.num_items + log.item_idx
    if same_time_only and dataset.has_time:
        _, moment = np.unique(log.timestamp, return_inverse=True)
        key = key * (int(moment.max(initial=0)) + 1) + moment
    for first, second in ((1, 2), (0, 2), (0, 1)):
        rows = np.flatnonzero(part == second)
        shared = rows[is_among(key[rows], key[part == first])]
        if not len(shared):
            continue
        name, other = _PARTS[first], _PARTS[second]
        if (first, second) == (1, 2) and len(shared) == len(rows):
            what = f"the validation set is the test set: all {len(rows):,} rows of test stand in valid too"
            why = "Settings selected on it are selected on the test."
        else:
            what = f"{len(shared):,} of {len(rows):,} rows of {other} stand in {name} too"
            why = f"What a model has learned from {name} is no question for {other}."
        raise DataError(
            f'[split] method = "files": {what}, such as {_named(dataset, log, shared)}. {why} '
            "Take the shared rows out of one of the files."
        )


def refuse_later_history(dataset: Dataset, history: NDArray[np.bool_], targets: NDArray[np.bool_]) -> None:
    """Refuse histories that hold what happened after the first target of the same user.

    Args:
        dataset: with times.
        history, targets: [n] rows that are told, rows that are asked for.

    Raises:
        DataError: names the rows, and the setting that allows them.
    """
    log = dataset.interactions
    first = np.full(log.num_users, np.iinfo(np.int64).max)
    np.minimum.at(first, log.user_idx[targets], log.timestamp[targets])
    later = np.flatnonzero(history & (log.timestamp > first[log.user_idx]))
    if len(later):
        raise DataError(
            f'[split] method = "files": {len(later):,} rows of the histories look past the split: they happened after '
            f"the first test interaction of the same user, such as {_named(dataset, log, later)}. Live, nobody has them. Cut by "
            'time, or, if a random split is meant, set [split] later_history = "allow"; the report will say so.'
        )


def refuse_learned(
    dataset: Dataset,
    time: NDArray[np.float64] | None,
    user_idx: NDArray[np.int32],
    targets: Ragged,
    learned: Interactions,
    part: str,
) -> None:
    """Refuse queries whose targets an artifact to go on from has learned.

    What somebody took before the query's time, and takes again, may have been learned.

    Args:
        dataset: for names.
        time: [Q] of the queries; None: unknown.
        user_idx: [Q] who asks.
        targets: Q rows of items.
        learned: positives, in the indices of ``dataset``.
        part: ``validation`` or ``test``.

    Raises:
        DataError: with examples.
    """
    _, rows = learned_targets(dataset, time, user_idx, targets, learned)
    if len(rows):
        raise DataError(
            f"--from: the artifact has learned {len(rows):,} of the {len(targets.values):,} targets of the {part} part, such as "
            f"{_named(dataset, learned, rows)}: figures would tell what it remembers. Go on with a log that has grown at its "
            'end, split by "last_out" or "by_time", or train anew without --from.'
        )


def learned_targets(
    dataset: Dataset,
    time: NDArray[np.float64] | None,
    user_idx: NDArray[np.int32],
    targets: Ragged,
    learned: Interactions,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Targets that an artifact has learned: their queries, and the rows of ``learned``. Arguments as ``refuse_learned``."""
    query = targets.row_of_value
    key = user_idx[query].astype(np.int64) * dataset.num_items + targets.values
    known = learned.user_idx.astype(np.int64) * dataset.num_items + learned.item_idx
    order = np.lexsort((learned.timestamp, known))
    last = np.searchsorted(known[order], key, side="right") - 1
    found = np.flatnonzero(last >= 0)
    rows = order[last[found]]
    same = known[rows] == key[found]
    if time is not None:
        same &= learned.timestamp[rows] >= time[query[found]]
    return query[found][same].astype(np.int64), rows[same].astype(np.int64)


def refuse_features_of_the_future(dataset: Dataset, before_test: NDArray[np.bool_]) -> None:
    """Refuse number features of users and items that were computed from the whole log, test part included.

    Seen are counts of interactions and means of values: a feature that equals the figure over all rows, where that
    differs from the figure before the test. Other ways to look ahead (a rank, a ratio, a model's output) are not seen.

    Args:
        dataset: all rows and features.
        before_test: [n] rows a model may know.

    Raises:
        DataError: names the feature, what it equals, and an example.
    """
    log = dataset.interactions
    for side, index, features, vocabulary in (
        ("user", log.user_idx, dataset.user_features, dataset.users),
        ("item", log.item_idx, dataset.item_features, dataset.items),
    ):
        numbers = [spec for spec in dataset.schema if spec.side == side and spec.kind == "number"]
        if not numbers:
            continue
        size = len(vocabulary)
        for what, whole, known in _histories_in_numbers(index, log.value, before_test, size):
            telling = np.flatnonzero(
                np.isfinite(whole) & (np.abs(whole - known) > 0.005 * np.maximum(np.abs(whole), 1))
            )
            for spec in numbers:
                column = features[spec.name]
                assert isinstance(column, NumberColumn)
                plain = spec.plain_numbers(column.values)
                fits = np.abs(plain[telling] - whole[telling]) <= 1e-4 * np.maximum(np.abs(whole[telling]), 1)
                if len(telling) >= _SHOWN and fits.mean() >= _MATCHING:
                    row = int(telling[fits][0])
                    raise DataError(
                        f"The {side} feature {spec.name!r} looks past the split: for {int(fits.sum()):,} of "
                        f"{len(telling):,} {side}s it is the {what}, test part included, such as {side} "
                        f"{vocabulary.id(row)!r}: {plain[row]:g}, where {known[row]:g} was known before the test. "
                        "Compute it on the training part, or leave the feature out."
                    )


def _histories_in_numbers(
    index: NDArray[np.int32], values: NDArray[np.float32] | None, before_test: NDArray[np.bool_], size: int
) -> list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """(what, over all rows, before the test) for every figure that is looked for."""
    whole = np.bincount(index, minlength=size).astype(np.float64)
    known = np.bincount(index[before_test], minlength=size).astype(np.float64)
    found = [("number of interactions", whole, known)]
    if values is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.bincount(index, values, size) / whole
            known_mean = np.bincount(index[before_test], values[before_test], size) / known
        found.append(("mean value of the interactions", mean, np.nan_to_num(known_mean)))
    return found


def _named(dataset: Dataset, log: Interactions, rows: NDArray[Any]) -> str:
    shown = rows[:_SHOWN]
    users, items = dataset.users.ids_of(log.user_idx[shown]), dataset.items.ids_of(log.item_idx[shown])
    names = []
    for user, item, row in zip(users, items, shown, strict=True):
        time = f" at {_time(int(log.timestamp[row]))}" if dataset.has_time else ""
        names.append(f"user {user!r} item {item!r}{time}")
    return "; ".join(names)


def _time(milliseconds: int) -> str:
    moment = np.datetime64(milliseconds, "ms")
    return str(moment if milliseconds % 1000 else moment.astype("datetime64[s]"))
