"""What is said by hand of a query and a candidate: numbers that feature rankers look at beside what they learn.

They come from the query, the candidate, the retriever's score and ``ItemStatistics`` alone, by one road while training and
while serving. Nothing here is learned.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shortlist.data.feature_spec import FeatureSpec, Schema
from shortlist.data.features import FIRST_VALUE, CategoryColumn, FeatureTable, NumberColumn, TagsColumn
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.item_statistics import ItemStatistics

_HOUR, _MINUTE = 3.6e6, 6e4
_RECENT = 5  # newest items whose mean nearness is told apart from that of all
_AT_THE_ITEM = ("popularity", "popularity.recent", "popularity.newest", "log_hours_since_first")
_OF_THE_QUERY = ("log_hours_since_learned", "log_liked", "log_disliked", "log_minutes_since_last")
_NEAR = ("near.last", "near.recent", "near.mean", "near.most", "near.disliked")


def standing(candidates: Ragged, retrieved: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """How each candidate came out of retrieval, [T, 2]: its score, standardised among its query's candidates; log(place).

    A retriever fitted anew scores on another scale, so that the plain score would not mean the same.

    Args:
        candidates: best first where ``retrieved`` is None.
        retrieved: [T] scores; None: they are not known, and 0 stands for them.

    >>> standing(Ragged.from_rows([[7, 8], [9]]), np.array([3.0, 1.0, 5.0], np.float32)).round(2).tolist()
    [[1.0, 0.0], [-1.0, 0.6899999976158142], [0.0, 0.0]]
    """
    row, place = candidates.row_of_value, np.arange(len(candidates.values))
    out = np.zeros((len(row), 2), dtype=np.float32)
    if retrieved is not None:
        scores, count = retrieved.astype(np.float64), np.maximum(candidates.lengths, 1)
        centred = scores - (np.bincount(row, scores, len(candidates)) / count)[row]
        spread = np.sqrt(np.bincount(row, centred**2, len(candidates)) / count)[row]
        out[:, 0] = centred / np.where(spread > 1e-12, spread, 1)
        place = np.empty_like(place)
        place[np.lexsort((-scores, row))] = np.arange(len(row))
    out[:, 1] = np.log1p(place - candidates.offsets[row])
    return out


class PairFeatures:
    """The numbers of every (query, candidate), in the order of ``names``.

    Args:
        schema: the features.
        item_features: of the corpus.
        statistics: of its items.
        max_history: most recent liked (and disliked) items that are looked at.

    ======================================  ==========================================================================
    ``retrieval.score``, ``.log_place``     see ``standing``
    ``popularity``, ``….recent``, ``….newest``  see ``ItemStatistics``
    ``log_hours_since_first``, ``…_last``   log(1 + hours) from the item's first and last positive to the question
    ``log_hours_since_learned``             likewise from the end of the log that is known: how old popularities are
    ``log_liked``, ``log_disliked``         log(1 + items in the query's history)
    ``log_minutes_since_last``              log(1 + minutes) since the last of them
    ``popularity.above_history``            the item's popularity less the mean of the history's
    ``near.…``                              cosine in the retriever's space with the last liked item, the mean with the
                                            last five and with all, the largest, the mean with the disliked
    ``share.NAME``, ``disliked_share.NAME``  of tags and categories: mean over the item's own of the share of the history
                                            that has it, too
    ``item.NAME``, ``gap.NAME``             of numbers: the item's, and how far it is from the history's mean
    ======================================  ==========================================================================

    NaN where something is not known.
    """

    def __init__(
        self, schema: Schema, item_features: FeatureTable, statistics: ItemStatistics, max_history: int
    ) -> None:
        self.schema, self.item_features, self.statistics = schema, item_features, statistics
        self.max_history = max_history
        self._coded: dict[str, tuple[FeatureSpec, Ragged]] = {}
        self._numbers: dict[str, NDArray[np.float32]] = {}
        for spec in schema.side("item"):
            column = item_features[spec.name]
            if isinstance(column, NumberColumn):
                self._numbers[spec.name] = column.values
            elif isinstance(column, CategoryColumn) and spec.kind == "category":
                codes = Ragged.from_lengths(column.codes, np.ones(len(column.codes), dtype=np.int64))
                self._coded[spec.name] = spec, codes.where(codes.values >= FIRST_VALUE)
            elif isinstance(column, TagsColumn):
                self._coded[spec.name] = spec, column.codes.where(column.codes.values >= FIRST_VALUE)
        self._units = np.concatenate([statistics.vectors, np.zeros_like(statistics.vectors[:1])])  # the last pads
        shares = [f"{side}share.{name}" for name in self._coded for side in ("", "disliked_")]
        numbers = [f"{what}.{name}" for name in self._numbers for what in ("item", "gap")]
        self.names: tuple[str, ...] = (
            *("retrieval.score", "retrieval.log_place", *_AT_THE_ITEM, "log_hours_since_last", *_OF_THE_QUERY),
            *("popularity.above_history", *_NEAR, *shares, *numbers),
        )

    def of(self, queries: QueryBatch, candidates: Ragged, stood: NDArray[np.float32]) -> NDArray[np.float32]:
        """[T, F] float32.

        Args:
            queries: B.
            candidates: B rows of item indices, T in all; maybe only some of those that were retrieved.
            stood: [T, 2], ``standing`` of them among all that were retrieved.
        """
        row, item, known = candidates.row_of_value, candidates.values, self.statistics
        liked, disliked = queries.liked.last(self.max_history), queries.disliked.last(self.max_history)
        unknown = np.full(len(queries), np.nan)
        time = unknown if queries.time is None else queries.time
        last_time = unknown if queries.last_time is None else queries.last_time
        popularity = known.popularity[item]
        columns = [stood[:, 0], stood[:, 1], popularity, known.recent[item, 0], known.recent[item, 1]]
        columns += [_log_since(one[item], time[row], _HOUR) for one in (known.first, known.last)]
        columns += [_log_since(known.until[0], time, _HOUR)[row]]
        columns += [np.log1p(one.lengths)[row] for one in (queries.liked, queries.disliked)]
        columns += [_log_since(last_time, time, _MINUTE)[row]]
        columns += [popularity - np.nan_to_num(_means(liked, known.popularity))[row]]
        columns += self._nearness(liked, disliked, candidates)
        for spec, codes in self._coded.values():
            own = codes.take(item)
            columns += [_shares(history, codes, own, row, spec.num_codes) for history in (liked, disliked)]
        for values in self._numbers.values():
            columns += [values[item], np.abs(values[item] - _means(liked, values)[row])]
        return np.stack(columns, axis=1).astype(np.float32)

    def _nearness(self, liked: Ragged, disliked: Ragged, candidates: Ragged) -> list[NDArray[np.float32]]:
        """The columns of ``_NEAR``; 0 where the history is empty."""
        row, item, pad = candidates.row_of_value, candidates.values, len(self._units) - 1
        lengths, width = liked.lengths, max(1, int(liked.lengths.max(initial=1)))
        history = np.full((len(liked), width), pad, dtype=np.int64)  # the newest in the last column
        place = np.arange(len(liked.values)) - liked.offsets[1:][liked.row_of_value]
        history[liked.row_of_value, place] = liked.values
        place_of = np.arange(len(item)) - candidates.offsets[row]
        padded = candidates.padded(max(1, int(candidates.lengths.max(initial=1))), fill=0)
        cosines = self._units[history] @ self._units[padded].transpose(0, 2, 1)  # [B, L, C]; 0 where it is padded
        count = np.maximum(lengths, 1)[:, None]
        recent = cosines[:, -_RECENT:].sum(axis=1) / np.minimum(count, _RECENT)
        most = np.where((history == pad)[:, :, None], -np.inf, cosines).max(axis=1)
        summaries = (cosines[:, -1], recent, cosines.sum(axis=1) / count, np.where(lengths[:, None] > 0, most, 0))
        against = np.zeros((len(disliked), self._units.shape[1]), dtype=np.float32)
        np.add.at(against, disliked.row_of_value, self._units[disliked.values])
        against /= np.maximum(disliked.lengths, 1)[:, None]
        return [
            *(one[row, place_of] for one in summaries),
            np.einsum("td,td->t", against[row], self._units[item]),
        ]


def _log_since(then: NDArray[np.float64] | np.float64, now: NDArray[np.float64], unit: float) -> NDArray[np.float64]:
    """Log(1 + units of time); 0 where ``then`` is later: what comes after the question is not told of."""
    since: NDArray[np.float64] = np.log1p(np.maximum(now - then, 0) / unit)
    return since


def _means(history: Ragged, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """[B] mean over each history of what is known; NaN where nothing is."""
    of_items, row = values[history.values].astype(np.float64), history.row_of_value
    known = ~np.isnan(of_items)
    count = np.bincount(row, known, len(history))
    total = np.bincount(row, np.where(known, of_items, 0), len(history))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _shares(history: Ragged, codes: Ragged, own: Ragged, row: NDArray[np.int64], num_codes: int) -> NDArray[np.float64]:
    """[T] mean over a candidate's codes of the share of its query's history that has the code."""
    theirs = codes.take(history.values)
    asker = history.row_of_value[theirs.row_of_value]
    key = asker * num_codes + theirs.values
    profile = np.bincount(key, minlength=len(history) * num_codes).reshape(len(history), num_codes)
    share = profile / np.maximum(history.lengths, 1)[:, None]
    found = share[row[own.row_of_value], own.values]
    mean: NDArray[np.float64] = np.bincount(own.row_of_value, found, len(own)) / np.maximum(own.lengths, 1)
    return mean
