"""What a feature ranker learns from: the candidates a retriever really returned, and what the person then took.

A ranker orders lists that a retriever made for people whose next items it had not seen. It has to learn from such lists.
Lists of a retriever that was fitted on those very items would teach it to trust the retriever's order more than it deserves
(the target stands higher in them than it ever will), and with popularities that count the target, too. So the training log
is cut once more, the way the test is cut off:

    older part   ── a retriever is fitted on it, ``ItemStatistics`` are counted on it ──┐
    newer part   ── its positives, in windows, are the targets of queries asked with ───┴─ candidates, labels
                    all that happened strictly before (also in the newer part)

``by_time`` cuts on the clock, the other methods cut off each user's newest positives. The fitted ranker then serves behind
the retriever that was fitted on everything, with statistics of everything. What differs between the two is only that the
second retriever knows more; its scores enter standardised and as a place for that reason (``pair_features.standing``), and
validation, which selects the epochs, is asked through the second kind: behind a retriever fitted on the whole training part.

A share of the queries is asked as if the person had just come, with the end of their history: else the ranker would meet
newcomers for the first time while serving.

A target that was not retrieved is left out: no order of the candidates can show it. Queries without any other are left out too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged, slices, spans
from shortlist.data.splitting import Holdout
from shortlist.errors import DataError
from shortlist.evaluation.candidates import retrieved
from shortlist.models.base import Retriever
from shortlist.models.pair_features import standing
from shortlist.retrieval import ExactIndex
from shortlist.settings import FeatureRankerSettings, SplitSettings
from shortlist.training.batches import TrainingExamples

_EXTREMES = (0.01, 0.99)  # quantiles between which values are brought to [0, 1]


@dataclass(frozen=True, eq=False)
class RankingExamples:
    """Q queries with their candidates, T in all.

    Args:
        queries: Q.
        found: Q rows of candidates.
        stood: [T, 2] how they came out of retrieval.
        labels: by target [T]; NaN where it is not known. ``liked`` always is.
    """

    queries: QueryBatch
    found: Ragged
    stood: NDArray[np.float32]
    labels: Mapping[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.queries)


def older_rows(train: Interactions, share: float, split: SplitSettings) -> NDArray[np.bool_]:
    """[n] the rows of the older part.

    Args:
        train: what may be learned from.
        share: of the newer part: of all rows on the clock, or of each user's positives (one at least, of those with two).
        split: whose method says which.

    Raises:
        DataError: a part would be empty.
    """
    if split.method == "by_time":
        older = train.timestamp < np.quantile(train.timestamp, 1 - share, method="lower")
    else:
        positives = np.flatnonzero(train.liked)
        count = np.bincount(train.user_idx[positives], minlength=train.num_users)
        newer = np.where(count >= 2, np.maximum(np.round(share * count), 1), 0).astype(np.int64)
        # strictly before the first target's moment
        until = train.offsets[1:].copy()
        has = newer > 0
        until[has] = train.history_ends(
            positives[(np.cumsum(count) - newer)[has]], in_order=split.history == "in_order"
        )
        older = np.arange(len(train)) < until[train.user_idx]
    for name, size in (("older", int(train.liked[older].sum())), ("newer", int(train.liked[~older].sum()))):
        if size == 0:
            raise DataError(
                f"[ranker] share = {share} leaves the {name} part of the training log without a positive "
                f"({int(train.liked.sum()):,} in all). Give another share, or more data."
            )
    return older


def ranking_examples(
    dataset: Dataset,
    train: Interactions,
    older: NDArray[np.bool_],
    retriever: Retriever,
    chosen: FeatureRankerSettings,
    split: SplitSettings,
    *,
    targets: Sequence[str] = ("liked",),
    seed: int = 0,
) -> RankingExamples:
    """Ask a retriever for the candidates of the newer part's queries, and label them.

    Args:
        dataset: for features and availability.
        train: what may be learned from.
        older: [n] the rows ``retriever`` was fitted on.
        retriever: fitted on no row of the newer part.
        chosen: windows and numbers.
        split: whether seen items are candidates.
        targets: whose labels are wanted.
        seed: of which queries are drawn.

    Raises:
        DataError: no target is among the candidates, or a label is wanted that the log has not.
    """
    holdout, taken = newer_queries(dataset, train, older, chosen, split, seed=seed)
    queries = holdout.queries
    index = ExactIndex(retriever.encode_items())
    found, scores = retrieved(index, retriever.encode_queries(queries), holdout, chosen.candidates)
    stood = standing(found, scores)
    labels = {"liked": (_place_in(found, holdout.targets, dataset.num_items) >= 0).astype(np.float32)}
    row = _place_in(found, Ragged(train.item_idx[taken.values], taken.offsets), dataset.num_items)
    for target in targets:
        if target != "liked":
            known = _known(train, target)[taken.values]
            labels[target] = np.where(row >= 0, known[row], np.nan).astype(np.float32)
    has_any = np.bincount(found.row_of_value, labels["liked"], len(found)) > 0
    if not has_any.any():
        raise DataError(
            f"Of {len(found):,} queries none has a target among its {chosen.candidates} candidates: the ranker has nothing to "
            "learn. Raise [ranker] candidates, or look at the retriever's recall."
        )
    pairs = has_any[found.row_of_value]
    kept = np.flatnonzero(has_any)
    return RankingExamples(
        queries.take(kept), found.take(kept), stood[pairs], {name: one[pairs] for name, one in labels.items()}
    )


def newer_queries(
    dataset: Dataset,
    train: Interactions,
    older: NDArray[np.bool_],
    chosen: FeatureRankerSettings,
    split: SplitSettings,
    *,
    seed: int = 0,
) -> tuple[Holdout, Ragged]:
    """What the newer part would have been asked, and the rows of ``train`` in which each query's person then took anything.

    Those rows reach from the first target to the next window's: of what was taken in them it is known how it was found.
    """
    examples = TrainingExamples(dataset, train, in_order=split.history == "in_order")
    starts, stops = _windows(examples, older, chosen.target_window)
    if len(starts) > chosen.max_queries:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(starts))[: chosen.max_queries])
        starts, stops = starts[drawn], stops[drawn]
    batch = examples.batch(starts, stops)
    assert isinstance(batch.queries, QueryBatch)
    queries = replace(batch.queries, user_idx=batch.user_idx.astype(np.int64))
    queries = _some_as_newcomers(queries, chosen, np.random.default_rng([seed, 1]))
    seen = Ragged.empty(len(queries)) if split.seen == "keep" else batch.seen
    availability = dataset.availability if dataset.has_time else None
    bounds = np.append(examples.positives, len(train))
    taken = spans(bounds[starts], np.minimum(bounds[stops], train.offsets[batch.user_idx + 1]))
    return Holdout(queries, batch.user_idx, seen, batch.targets, availability=availability), taken


def _some_as_newcomers(queries: QueryBatch, chosen: FeatureRankerSettings, rng: np.random.Generator) -> QueryBatch:
    """A share of the queries keeps only the last m likes and dislikes, m uniform from 0 to ``max_history``."""
    new = rng.random(len(queries)) < chosen.newcomers
    most = np.where(new, rng.integers(0, chosen.max_history, len(queries), endpoint=True), np.iinfo(np.int32).max)
    kept = [
        slices(one.values, np.maximum(one.offsets[:-1], one.offsets[1:] - most), one.offsets[1:])
        for one in (queries.liked, queries.disliked)
    ]
    last = None if queries.last_time is None else np.where(most > 0, queries.last_time, np.nan)
    return replace(queries, liked=kept[0], disliked=kept[1], last_time=last)


def _windows(
    examples: TrainingExamples, older: NDArray[np.bool_], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First positive and the one after the last of every window over the newer part, user by user."""
    is_newer = ~older[examples.positives]  # of every user a tail
    first = np.full(examples.train.num_users, np.iinfo(np.int64).max)
    np.minimum.at(first, examples.user[is_newer], examples.place[is_newer])
    starts = np.flatnonzero(is_newer & ((examples.place - first[examples.user]) % size == 0))
    ends = np.searchsorted(examples.user, np.arange(1, examples.train.num_users + 1))
    return starts, np.minimum(starts + size, ends[examples.user[starts]])


def _place_in(found: Ragged, wanted: Ragged, num_items: int) -> NDArray[np.int64]:
    """[T] where in ``wanted.values`` each found item stands, in its own row; -1: it does not."""
    if not len(wanted.values):
        return np.full(len(found.values), -1, dtype=np.int64)
    keys = wanted.row_of_value * num_items + wanted.values
    order = np.argsort(keys, kind="stable")
    mine = found.row_of_value * num_items + found.values
    place = order[np.minimum(np.searchsorted(keys[order], mine), len(keys) - 1)]
    return np.where(keys[place] == mine, place, -1)


def _known(train: Interactions, target: str) -> NDArray[np.float32]:
    """[n] the label of every row, if it is taken."""
    if target == "disliked":
        if not train.disliked.any():
            raise DataError(
                '[ranker.targets] disliked: nothing in the training log is. Set [data.feedback] disliked = "value <= 2" or '
                "the like, or leave the target out."
            )
        return train.disliked.astype(np.float32)
    if train.value is None:
        raise DataError(
            "[ranker.targets] value: the log has no values. Set [data.columns] value, or leave the target out."
        )
    low, high = np.nanquantile(train.value, _EXTREMES)
    scaled: NDArray[np.float32] = np.clip((train.value - low) / max(float(high - low), 1e-12), 0, 1).astype(np.float32)
    return scaled
