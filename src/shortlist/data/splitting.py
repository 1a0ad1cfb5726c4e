"""Which interactions are learned from, and which queries are asked afterwards.

The methods themselves are in ``split_methods``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data import leakage
from shortlist.data.availability import Availability
from shortlist.data.dataset import Dataset
from shortlist.data.features import take_rows
from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged, is_among
from shortlist.data.split_methods import Mask, parts_of
from shortlist.errors import DataError
from shortlist.settings import SplitSettings


@dataclass(frozen=True, eq=False)
class Holdout:
    """Queries with the items they should have found.

    Args:
        queries: Q queries; histories hold only what happened strictly before the first target.
        user_idx: [Q] whose queries they are.
        seen: items taken out of the candidates (all rows empty where seen items are kept).
        targets: at least one item a query, none of them seen.
        negatives: items given to be ranked with the targets, none of them a target or seen; None: none are given.
        availability: what is not available at a query's time is neither candidate nor target; None: everything always is.
        num_unavailable: targets that were left out because they are not available at the query's time.
    """

    queries: QueryBatch
    user_idx: NDArray[np.int32]
    seen: Ragged
    targets: Ragged
    negatives: Ragged | None = None
    availability: Availability | None = None
    num_unavailable: int = 0

    def __len__(self) -> int:
        return len(self.user_idx)

    def take(self, rows: NDArray[Any]) -> Holdout:
        """Some of the queries."""
        return replace(
            self,
            queries=self.queries.take(rows),
            user_idx=self.user_idx[rows],
            seen=self.seen.take(rows),
            targets=self.targets.take(rows),
            negatives=None if self.negatives is None else self.negatives.take(rows),
        )

    def sample(self, most: int, seed: int = 0) -> Holdout:
        """At most so many of the queries, in their order."""
        if len(self) <= most:
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False)))


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
    parts = parts_of(dataset, settings, np.random.default_rng(seed))
    leakage.refuse_features_of_the_future(dataset, parts.train_and_valid)
    train = log.take(parts.train)
    valid = _holdout(dataset, *parts.valid, keep_seen=settings.seen == "keep")
    test = _with_negatives(_holdout(dataset, *parts.test, keep_seen=settings.seen == "keep"), dataset, settings)
    notes = dict(parts.notes)
    if dataset.not_asked is not None:
        asked = [np.flatnonzero(~dataset.not_asked[one.user_idx]) for one in (valid, test)]
        notes["num_queries_left_out"] = len(valid) + len(test) - sum(map(len, asked))
        valid, test = valid.take(asked[0]), test.take(asked[1])
    valid = valid.sample(settings.valid_queries, seed)
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
        **notes,
        **({} if test.availability is None else {"num_unavailable_targets": test.num_unavailable}),
    }
    return Split(train, valid, log.take(parts.train_and_valid), test, description)


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
    wanted = rows[np.sort(first_of_pair)]
    availability = dataset.availability if dataset.has_time else None
    rows = wanted if availability is None else _available(log, wanted, availability)
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
        user_idx=users.astype(np.int64),
    )
    return Holdout(
        queries=queries,
        user_idx=users.astype(np.int32),
        seen=Ragged.empty(len(users)) if keep_seen else per_query(seen),
        targets=per_query(rows),
        availability=availability,
        num_unavailable=len(wanted) - len(rows),
    )


def _available(log: Interactions, rows: NDArray[np.int64], availability: Availability) -> NDArray[np.int64]:
    """Target rows whose item is available when the user's first target is asked for, which then is itself."""
    rows = rows[availability.has(log.item_idx[rows], log.timestamp[rows])]
    _, first, user = np.unique(log.user_idx[rows], return_index=True, return_inverse=True)
    return rows[availability.has(log.item_idx[rows], log.timestamp[rows[first]][user])]


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
