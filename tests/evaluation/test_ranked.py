"""Targets under a ranker that orders what a retriever found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout
from shortlist.errors import EvaluationError
from shortlist.evaluation.ranked import RankedCandidates
from shortlist.evaluation.sampled import sampled_ranks, sampled_ranks_of
from shortlist.models.popularity import Popularity


class ByNumber:
    """Likes high item numbers."""

    name = "by_number"

    def score(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        return candidates.values.astype(np.float32)


class AsTheyCame:
    name = "as_they_came"

    def score(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        return np.zeros(len(candidates.values), np.float32)


def holdout() -> Holdout:
    queries = QueryBatch(Ragged.empty(3), Ragged.empty(3), user_idx=np.arange(3))
    seen, targets = Ragged.from_rows([[0], [], []]), Ragged.from_rows([[2], [5, 1], [0]])
    return Holdout(queries, np.arange(3, dtype=np.int32), seen, targets)


@pytest.fixture
def retriever() -> Popularity:
    return Popularity(np.array([6, 5, 4, 3, 2, 1], np.float32))  # finds 0, 1, 2 … in this order


def test_the_ranker_orders_the_candidates_and_nothing_else(retriever: Popularity) -> None:
    candidates = RankedCandidates(retriever, holdout(), 3)
    assert [candidates.found.row(i).tolist() for i in range(3)] == [[1, 2, 3], [0, 1, 2], [0, 1, 2]]
    # query 0: 3, 2, 1; query 1: 5 is no candidate and stays sixth, 1 is second of 2, 1, 0; query 2: 0 is last
    assert candidates.ranks(ByNumber()).values.tolist() == [2, 6, 2, 3]
    evaluation = candidates.evaluation(ByNumber(), (2, 4))
    assert evaluation.ranks.values.tolist() == [2, 6, 2, 3]
    assert evaluation.lists.tolist() == [[3, 2, 1, -1], [2, 1, 0, -1], [2, 1, 0, -1]]
    assert evaluation.num_candidates.tolist() == [5, 6, 6]


def test_equal_scores_leave_what_the_retriever_said(retriever: Popularity) -> None:
    candidates = RankedCandidates(retriever, holdout(), 3)
    assert candidates.ranks(AsTheyCame()).values.tolist() == candidates.retrieved_ranks.values.tolist() == [2, 6, 2, 1]
    assert candidates.figure(AsTheyCame(), "recall@2") == pytest.approx((1 + 0.5 + 1) / 3)


def test_scores_that_are_no_numbers_are_refused(retriever: Popularity) -> None:
    class Broken(ByNumber):
        def score(
            self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
        ) -> NDArray[np.float32]:
            return np.full(len(candidates.values), np.nan, np.float32)

    with pytest.raises(EvaluationError, match="9 of 9 scores are NaN"):
        RankedCandidates(retriever, holdout(), 3).evaluation(Broken(), (2,))


def test_among_given_negatives_a_ranker_loses_ties() -> None:
    given = replace(holdout(), negatives=Ragged.from_rows([[4, 1], [0, 2, 3], [1]]))
    assert sampled_ranks_of(ByNumber(), given).values.tolist() == [2, 1, 4, 2]
    assert sampled_ranks_of(AsTheyCame(), given).values.tolist() == [3, 4, 5, 2]
    with pytest.raises(EvaluationError, match="no given negatives"):
        sampled_ranks_of(ByNumber(), holdout())


class AsRetrieved:
    """Says what it is told."""

    name = "as_retrieved"

    def score(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        assert retrieved is not None
        assert retrieved.shape == candidates.values.shape
        return retrieved


def test_rankers_are_told_the_retriever_s_scores(retriever: Popularity) -> None:
    candidates = RankedCandidates(retriever, holdout(), 3)
    scores = retriever.encode_items()[:, 0]
    np.testing.assert_array_equal(candidates.retrieved, scores[candidates.found.values])
    assert candidates.ranks(AsRetrieved()).values.tolist() == candidates.retrieved_ranks.values.tolist()
    assert candidates.figure_of(candidates.retrieved, "ndcg@2") == candidates.figure(AsRetrieved(), "ndcg@2")
    assert candidates.labels.tolist() == [False, True, False, False, True, False, True, False, False]
    given = replace(holdout(), negatives=Ragged.from_rows([[4, 1], [0, 2, 3], [1]]))
    assert (
        sampled_ranks_of(AsRetrieved(), given, retriever).values.tolist()
        == sampled_ranks(retriever, given).values.tolist()
    )


def test_some_queries_of_a_holdout() -> None:
    given = replace(holdout(), negatives=Ragged.from_rows([[4, 1], [0, 2, 3], [1]]))
    some = given.take(np.array([2, 0]))
    assert some.user_idx.tolist() == [2, 0]
    assert some.targets.values.tolist() == [0, 2]
    assert some.seen.lengths.tolist() == [0, 1]
    assert some.negatives is not None
    assert some.negatives.values.tolist() == [1, 4, 1]
