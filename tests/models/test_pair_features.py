"""What is said by hand of a query and a candidate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.data.feature_spec import FeatureSpec, Schema
from shortlist.data.features import CategoryColumn, Column, NumberColumn, TagsColumn
from shortlist.data.interactions import Interactions
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.item_statistics import ItemStatistics, newest_spans
from shortlist.models.pair_features import PairFeatures, standing

HOUR = 3_600_000
SCHEMA = Schema(
    (
        FeatureSpec("genre", "item", "tags", values=("a", "b", "c")),
        FeatureSpec("maker", "item", "category", values=("x", "y")),
        FeatureSpec("year", "item", "number"),
    )
)
ITEMS: dict[str, Column] = {
    "genre": TagsColumn(Ragged.from_rows([[2, 3], [2], [4], [0]])),  # a b, a, c, missing
    "maker": CategoryColumn(np.array([2, 3, 2, 1], np.int32)),  # x, y, x, unseen
    "year": NumberColumn(np.array([1.0, 2.0, 4.0, np.nan], np.float32)),
}
VECTORS = np.array([[3, 4, 9], [1, 0, 9], [0, 2, 9], [-1, 0, 9]], np.float32)  # the last dimension is a bias
LOG = Interactions(
    user_idx=np.array([0, 0, 1, 1], np.int32),
    item_idx=np.array([0, 1, 0, 2], np.int32),
    timestamp=np.array([1, 3, 2, 9]) * HOUR,
    liked=np.array([True, True, True, False]),
    disliked=np.zeros(4, bool),
    num_users=2,
)
SPANS = (1.0 * HOUR, 0.5 * HOUR)


def features(max_history: int = 3) -> PairFeatures:
    statistics = ItemStatistics.of(LOG, VECTORS, SPANS, has_item_bias=True, has_time=True)
    return PairFeatures(SCHEMA, ITEMS, statistics, max_history)


def queries() -> QueryBatch:
    return QueryBatch(
        liked=Ragged.from_rows([[3, 0, 1], []]),
        disliked=Ragged.from_rows([[2], []]),
        time=np.array([5.0, np.nan]) * HOUR,
        last_time=np.array([4.0, np.nan]) * HOUR,
    )


CANDIDATES = Ragged.from_rows([[2, 1, 0], [3]])


def table() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    made, stood = features(), standing(CANDIDATES, np.array([3.0, 2.0, 1.0, 7.0], np.float32))
    values = made.of(queries(), CANDIDATES, stood)
    assert values.shape == (4, len(made.names))
    assert values.dtype == np.float32
    return dict(zip(made.names, values.T, strict=True))


def test_statistics_count_positives_alone() -> None:
    known = features().statistics
    mean = 3 / 4
    np.testing.assert_allclose(known.popularity, np.log((np.array([2, 1, 0, 0]) + 1) / (mean + 1)), rtol=1e-5)
    assert known.first[:2].tolist() == [HOUR, 3 * HOUR]
    assert known.last[:2].tolist() == [2 * HOUR, 3 * HOUR]
    assert np.isnan(known.first[2:]).all(), "what was taken and not liked is no positive"
    mean = np.array([2, 1]) / 4  # positives in the last hour and in the last half
    np.testing.assert_allclose(known.recent[0], np.log((np.array([1, 0]) + 1) / (mean + 1)), rtol=1e-5)
    np.testing.assert_allclose(known.recent[1], np.log((np.array([1, 1]) + 1) / (mean + 1)), rtol=1e-5)
    np.testing.assert_allclose(known.vectors[0], [0.6, 0.8], rtol=1e-6)


def test_known_answers() -> None:
    found = table()
    np.testing.assert_allclose(found["retrieval.score"][:3], [1.2247, 0, -1.2247], atol=1e-4)
    np.testing.assert_allclose(found["retrieval.log_place"], np.log([1, 2, 3, 1]), rtol=1e-5)
    np.testing.assert_allclose(found["log_hours_since_first"], np.log1p([np.nan, 2, 4, np.nan]), rtol=1e-5)
    np.testing.assert_allclose(found["log_hours_since_learned"][:3], np.log1p(2), rtol=1e-5)
    np.testing.assert_allclose(found["log_minutes_since_last"][:3], np.log1p(60), rtol=1e-5)
    np.testing.assert_allclose(found["log_liked"], np.log1p([3, 3, 3, 0]), rtol=1e-5)
    # history in directions: (-1, 0), (.6, .8), (1, 0); candidates (0, 1), (1, 0), (.6, .8)
    np.testing.assert_allclose(found["near.last"], [0, 1, 0.6, 0], atol=1e-6)
    np.testing.assert_allclose(found["near.mean"], [0.8 / 3, 0.6 / 3, (-0.6 + 1 + 0.6) / 3, 0], atol=1e-6)
    np.testing.assert_allclose(found["near.most"], [0.8, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(found["near.disliked"], [1, 0, 0.8, 0], atol=1e-6)
    # of the three liked, two have a, one has b, none has c; one is by x and one by y
    np.testing.assert_allclose(found["share.genre"], [0, 2 / 3, (2 / 3 + 1 / 3) / 2, 0], atol=1e-6)
    np.testing.assert_allclose(found["disliked_share.genre"], [1, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found["share.maker"], [1 / 3, 1 / 3, 1 / 3, 0], atol=1e-6)
    np.testing.assert_allclose(found["item.year"], [4, 2, 1, np.nan])
    np.testing.assert_allclose(found["gap.year"], [2.5, 0.5, 0.5, np.nan])


def test_what_comes_later_is_not_told_of() -> None:
    early = replace(queries(), time=np.array([0.5, 0.5]) * HOUR)
    made = features()
    values = made.of(early, CANDIDATES, np.zeros((4, 2), np.float32))
    since = values[:, made.names.index("log_hours_since_first")]
    assert since[1] == since[2] == 0


def test_only_the_recent_history_counts() -> None:
    made = features(max_history=1)
    values = dict(zip(made.names, made.of(queries(), CANDIDATES, np.zeros((4, 2), np.float32)).T, strict=True))
    np.testing.assert_allclose(values["near.mean"], values["near.last"], atol=1e-6)
    np.testing.assert_allclose(values["log_liked"][0], np.log1p(3), rtol=1e-5)


def test_alone_as_in_company() -> None:
    made, stood = features(), standing(CANDIDATES, None)
    together = made.of(queries(), CANDIDATES, stood)
    for row in range(2):
        one, own = np.array([row]), slice(CANDIDATES.offsets[row], CANDIDATES.offsets[row + 1])
        alone = made.of(queries().take(one), CANDIDATES.take(one), stood[own])
        np.testing.assert_allclose(alone, together[own], atol=1e-6)


def test_sparse_vectors_say_nothing() -> None:
    from scipy.sparse import csr_array

    statistics = ItemStatistics.of(LOG, csr_array(VECTORS), SPANS, has_item_bias=False, has_time=False)
    made = PairFeatures(SCHEMA, ITEMS, statistics, 3)
    values = dict(zip(made.names, made.of(queries(), CANDIDATES, np.zeros((4, 2), np.float32)).T, strict=True))
    assert (values["near.last"] == 0).all()
    assert np.isnan(values["log_hours_since_first"]).all()


def test_standing_does_not_depend_on_the_scale() -> None:
    scores = np.array([0.3, 0.2, 0.25, 7.0], np.float32)
    np.testing.assert_allclose(standing(CANDIDATES, scores), standing(CANDIDATES, 100 * scores - 3), atol=1e-3)
    assert standing(CANDIDATES, scores)[:, 1] == pytest.approx(np.log([1, 3, 2, 1]))


def test_spans_are_those_of_the_newest_part() -> None:
    log = replace(LOG, liked=np.ones(4, bool), timestamp=np.array([0, 10, 20, 100]))
    tenth, hundredth = newest_spans(log)
    assert 0 < hundredth < tenth < 80


def test_there_and_back() -> None:
    known = features().statistics
    again = ItemStatistics.from_arrays({**known.arrays(), "another": np.zeros(3)})
    for name, array in known.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
