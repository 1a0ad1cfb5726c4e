"""The stages of the path: who gets what, and what each stage says of itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.models.base import Ranker
from shortlist.recommender import Query, Recommender
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.reranking import Reranker, Slate, unit
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_retriever, serve

SETTINGS = Settings.from_dict({"retriever": {"model": "mf", "embedding_dim": 8}})


class Backwards:
    """Ranks the higher index first, and counts what it is asked."""

    name = "backwards"

    def __init__(self) -> None:
        self.asked: list[Ragged] = []

    def score(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> np.ndarray:  # type: ignore[type-arg]
        assert len(queries) == len(candidates)
        assert retrieved is not None
        for start, end in zip(candidates.offsets[:-1], candidates.offsets[1:], strict=True):
            assert (np.diff(retrieved[start:end]) <= 0).all(), "the retriever's scores, best first"
        self.asked.append(candidates)
        return candidates.values.astype(np.float32)


@dataclass
class LastFirst:
    """Puts the last candidate first, and remembers what it was told of the asker."""

    name: str = "last_first"
    strength: float = 1.0

    def rerank(self, slate: Slate, k: int) -> Slate:
        self.told = slate
        return slate.ordered(np.append(len(slate) - 1, np.arange(len(slate) - 1)))


@pytest.fixture(scope="module")
def served(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> ServedRetriever:
    fitted = fit_retriever(world, split(world, SETTINGS.split), SETTINGS).retriever
    return serve(fitted, world, tmp_path_factory.mktemp("served") / "r")


def test_the_retriever_alone_says_little(world: Dataset, served: ServedRetriever) -> None:
    answer = Recommender(world, served, SETTINGS).recommend(Query(user_id=3, k=5))
    assert set(answer.stages) == {"encode", "retrieve", "explain"}
    assert answer.stages["retrieve"]["candidates"] == 5
    assert all(not item.places and "places" not in item.to_dict() for item in answer.items)
    assert set(answer.stages["explain"]) == {"seconds"}


def test_a_ranker_orders_what_the_retriever_found(world: Dataset, served: ServedRetriever) -> None:
    ranker = Backwards()
    assert isinstance(ranker, Ranker)
    alone = Recommender(world, served, SETTINGS)
    recommender = Recommender(world, served, SETTINGS, ranker=ranker, candidates=9)
    queries = [Query(user_id=3, k=4), Query(history=[100, 104], k=2), Query(user_id=5, k=12)]
    found = alone.search([Query(user_id=3, k=9), Query(history=[100, 104], k=9), queries[2]])
    for answer, query, expected in zip(recommender.recommend_many(queries), queries, found, strict=True):
        best = np.sort(expected.item_idx)[::-1][: query.k]
        assert world.items.rows([item.item_id for item in answer.items]).tolist() == best.tolist()
        assert [item.score for item in answer.items] == best.tolist()
        places = {int(row): i + 1 for i, row in enumerate(expected.item_idx)}
        assert [item.places["retrieval"] for item in answer.items] == [places[int(row)] for row in best]
        assert [item.places["ranker"] for item in answer.items] == [item.rank for item in answer.items]
    assert ranker.asked[0].lengths.tolist() == [9, 9, 12]
    recommender.recommend(Query(user_id=3, k=4))
    assert ranker.asked[1].lengths.tolist() == [9]
    with_k = recommender.recommend(Query(user_id=3, k=4)).stages
    assert with_k["retrieve"]["candidates"] == with_k["rank"]["candidates"] == 9
    assert with_k["rank"]["model"] == "backwards"


def test_re_rankers_follow_in_order(world: Dataset, served: ServedRetriever) -> None:
    first, second = LastFirst(), LastFirst()
    assert isinstance(first, Reranker)
    alone = Recommender(world, served, SETTINGS).search([Query(user_id=3, k=10)])[0]
    recommender = Recommender(world, served, SETTINGS, rerankers=[first, second], candidates=10)
    answer = recommender.recommend(Query(user_id=3, k=3, time=1_000_000))
    expected = alone.item_idx[[8, 9, 0]]
    assert world.items.rows([item.item_id for item in answer.items]).tolist() == expected.tolist()
    np.testing.assert_array_equal([item.score for item in answer.items], alone.score[[8, 9, 0]])
    assert [dict(item.places) for item in answer.items] == [
        {"retrieval": 9, "last_first": 10, "last_first 2": 1},
        {"retrieval": 10, "last_first": 1, "last_first 2": 2},
        {"retrieval": 1, "last_first": 2, "last_first 2": 3},
    ]
    steps = answer.stages["rerank"]["steps"]
    assert [(one["step"], one["strength"], one["in"], one["out"]) for one in steps] == [("last_first", 1.0, 10, 10)] * 2
    dropped = {name: world.items.rows(ids).tolist() for name, ids in answer.stages["explain"]["dropped"].items()}
    assert dropped == {"last_first": [alone.item_idx[2]], "last_first 2": [alone.item_idx[1]]}
    asker = recommender.asking.read([Query(user_id=3)]).batch
    assert first.told.liked.tolist() == asker.liked.row(0).tolist()
    assert first.told.disliked.tolist() == asker.disliked.row(0).tolist()
    assert first.told.time == 1e9


def test_batch_equals_single_through_all_stages(world: Dataset, served: ServedRetriever) -> None:
    recommender = Recommender(world, served, SETTINGS, ranker=Backwards(), rerankers=[LastFirst()], candidates=20)
    queries = [Query(user_id=one, k=7) for one in range(10)]
    for query, together in zip(queries, recommender.recommend_many(queries), strict=True):
        alone = recommender.recommend(query, explain=False)
        assert [item.item_id for item in alone.items] == [item.item_id for item in together.items]


def test_no_candidate_is_no_failure(world: Dataset, served: ServedRetriever) -> None:
    recommender = Recommender(world, served, SETTINGS, ranker=Backwards(), rerankers=[LastFirst()])
    query = Query(user_id=3, allow=[])
    recommender.funnel.rerankers = ()
    assert recommender.recommend(query).items == ()
    assert recommender.search([query, Query(user_id=4, k=2)])[0].item_idx.tolist() == []


def test_a_list_deals_its_values_out_anew() -> None:
    slate = Slate.of(np.array([5, 6, 7], np.int32), np.array([3, 2, 1], np.float32))
    turned = slate.ordered(np.array([2, 0]))
    assert (turned.item_idx.tolist(), turned.score.tolist(), turned.relevance.tolist()) == ([7, 5], [1, 3], [3, 1])
    again = slate.resorted(np.array([0.0, 1.0, 1.0]))
    assert (again.item_idx.tolist(), again.relevance.tolist()) == ([6, 7, 5], [1, 1, 0])
    assert len(unit(np.empty(0))) == 0
