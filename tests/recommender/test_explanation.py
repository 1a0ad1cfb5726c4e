"""Scores taken apart: worked by hand where that can be done, and adding up everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import CategoryColumn, NumberColumn
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.models.item_item import ItemItem
from shortlist.models.mf import MatrixFactorization
from shortlist.models.ncf import NCF
from shortlist.recommender import Query, Recommender
from shortlist.recommender.explanation import MAX_NAMED, explain_ranker, explain_retriever
from shortlist.recommender.occlusion import Part, known_of
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.recommender.sources import SimilarToLast, Source
from shortlist.reranking import Slate
from shortlist.retrieval import ExactIndex, ScoredItems
from shortlist.settings import MFSettings, Settings
from shortlist.testing import check_explanation
from shortlist.training.retrievers import fit_retriever, serve

AGE = FeatureSpec("age", "user", "number")
HOUR = FeatureSpec.of_moment("hour", "hour")


def asks(liked: list[int], disliked: list[int] | None = None, **more: Any) -> QueryBatch:
    return QueryBatch(Ragged.from_rows([liked]), Ragged.from_rows([disliked or []]), **more)


class Playing:
    """A retriever of one dimension: its score is a function of the query."""

    name, has_item_bias = "playing", False

    def __init__(self, score: Any, max_history: int | None = None) -> None:
        self.score, self.max_history, self.asked = score, max_history, 0

    def encode_queries(self, queries: QueryBatch) -> np.ndarray:  # type: ignore[type-arg]
        self.asked += len(queries)
        one = [self.score(queries.take(np.array([row]))) for row in range(len(queries))]
        return np.array(one, dtype=np.float32)[:, None]

    def encode_items(self) -> np.ndarray:  # type: ignore[type-arg]
        return np.ones((10, 1), dtype=np.float32)


def test_matrix_factorization_by_hand() -> None:
    """H = [[1, 0], [0, 1], [2, 1]], α0 = ½, λ = 1: A = [[4.5, 1], [1, 3]], whose inverse is [[3, −1], [−1, 4.5]] / 12.5."""
    vectors = np.array([[1, 0], [0, 1], [2, 1]], np.float32)
    settings = MFSettings(embedding_dim=2, regularization=1.0, regularization_exponent=0.0, unobserved_weight=0.5)
    found = check_explanation(MatrixFactorization(vectors, settings), asks([0, 1, 0]), np.array([2], np.int32), ())
    assert found.parts == (Part("liked", item=0), Part("liked", item=1))
    np.testing.assert_allclose(found.contributions[:, 0], [(3 * 2 - 1) / 12.5, (-2 + 4.5) / 12.5], rtol=1e-6)
    assert found.baseline.tolist() == [0]
    np.testing.assert_allclose(found.score, [0.6], rtol=1e-6)


def test_item_weights_are_the_parts() -> None:
    weights = np.array([[0, 1, 2], [3, 0, 4], [5, 6, 0]], np.float32)  # from the row to the column
    found = check_explanation(ItemItem("ease", weights.T.copy()), asks([2, 0]), np.array([1, 0], np.int32), ())
    assert {part.item: found.contributions[n].tolist() for n, part in enumerate(found.parts)} == {0: [1, 0], 2: [6, 5]}


def test_many_liked_items_of_a_sum_are_named_by_size() -> None:
    rng = np.random.default_rng(0)
    model = ItemItem("ease", rng.normal(size=(200, 200)).astype(np.float32))
    found = check_explanation(model, asks(list(range(100))), np.array([150], np.int32), ())
    *named, rest = found.parts
    assert len(named) == MAX_NAMED
    assert rest == Part("liked", count=100 - MAX_NAMED)
    own = model.item_vectors[150, :100]
    assert {part.item for part in named} == set(np.argsort(-np.abs(own))[:MAX_NAMED].tolist())


def test_a_mean_is_taken_apart_as_it_is_made() -> None:
    values = np.array([1.0, 5.0, -2.0, 4.0])
    mean = Playing(lambda one: 7 + values[one.liked.values].mean() if len(one.liked.values) else 7)
    found = explain_retriever(mean, asks([0, 1, 2, 3]), np.array([0], np.int32), ())
    assert found.baseline.tolist() == [7]
    # leave-one-out differences from the mean of the others, and an equal part of the mean: nearly x / 4
    alone = (values - (values.sum() - values) / 3) / 4
    np.testing.assert_allclose(found.contributions[:, 0], alone + values.mean() / 4, atol=1e-6)
    assert mean.asked == 2 + 4


def test_a_sum_is_exact_and_what_acts_together_is_shared() -> None:
    """score = 2 · likes + 3 · age + 5 · likes · age: half of the product goes to either."""

    def score(one: QueryBatch) -> float:
        age = float(np.nan_to_num(one.features["age"].values[0]))  # type: ignore[union-attr]
        return 2 * len(one.liked.values) + 3 * age + 5 * len(one.liked.values) * age

    query = asks([4, 6], features={"age": NumberColumn(np.array([2.0], np.float32))})
    found = explain_retriever(Playing(score), query, np.array([0, 1], np.int32), (AGE,))
    parts = dict(zip(found.parts, found.contributions.tolist(), strict=True))
    assert parts[Part("feature", name="age")] == [6 + 10] * 2
    assert parts[Part("liked", item=4)] == parts[Part("liked", item=6)] == [2 + 5] * 2
    assert found.score.tolist() == [30, 30]


def test_what_changes_nothing_is_no_part() -> None:
    query = asks([1], [2], features={"age": NumberColumn(np.array([2.0], np.float32))}, time=np.array([1e12]))
    found = explain_retriever(
        Playing(lambda one: len(one.disliked.values)), query, np.array([0], np.int32), (AGE, HOUR)
    )
    assert found.parts == (Part("disliked"),)
    assert found.contributions.tolist() == [[1]]
    nothing = explain_retriever(Playing(lambda one: 3.0), asks([]), np.array([0], np.int32), (HOUR,))
    assert (nothing.parts, nothing.score.tolist(), nothing.baseline.tolist()) == ((), [3], [3])


def test_the_moment_is_one_part() -> None:
    """Without it neither the hour is known nor when the last item came; and without items no time of the last one."""

    def score(one: QueryBatch) -> float:
        assert one.time is not None
        assert one.last_time is not None
        if not len(one.liked.values):
            assert np.isnan(one.last_time[0])
        return 4.0 * (not np.isnan(one.time[0])) + 2.0 * (not np.isnan(one.last_time[0]))

    query = asks([1], time=np.array([1e12]), last_time=np.array([1e11]))
    found = explain_retriever(Playing(score), query, np.array([0], np.int32), (HOUR,))
    parts = {part.kind: one.tolist() for part, one in zip(found.parts, found.contributions, strict=True)}
    assert parts == {"liked": [1], "moment": [5]}


def test_older_items_are_one_part_and_weigh_as_far_as_they_are_seen() -> None:
    history = np.arange(8, dtype=np.int32)
    known = known_of(asks(history.tolist()), (), at_most=3, window=5, time_counts=False)
    assert known.liked == (*(Part("liked", item=item) for item in (5, 6, 7)), Part("liked", count=5))
    assert known.weights.tolist() == [0.2, 0.2, 0.2, 0.4]  # of the five that are older two are in the window
    variants = known.variants(np.ones((2, 1), dtype=bool), np.array([1, 3]))
    assert [variants.liked.row(row).tolist() for row in range(2)] == [[0, 1, 2, 3, 4, 5, 7], [5, 6, 7]]
    again = known_of(asks([7, 3, 7]), (), at_most=5, time_counts=False)
    assert again.liked == (Part("liked", item=3), Part("liked", item=7))
    assert again.variants(np.ones((1, 1), dtype=bool), np.array([1])).liked.row(0).tolist() == [3]


def test_the_last_item_is_all_that_a_neighbour_search_knows() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    found = check_explanation(SimilarToLast(vectors), asks([0, 1]), np.array([2, 0], np.int32), ())
    assert found.parts == (Part("liked", item=1),)
    np.testing.assert_allclose(found.contributions, [[0.8, 0.6]])
    assert not check_explanation(SimilarToLast(vectors), asks([]), np.array([2], np.int32), ()).parts


def test_a_ranker_of_ids_is_told_from_the_mean_person() -> None:
    tables = {"users.gmf": np.float32([[1, 0], [3, 2], [90, 90]]), "items.gmf": np.float32([[1, 1], [0, 2]])}
    ranker = NCF(
        "gmf", tables | {"head.weight": np.zeros(0), "head.bias": np.float32([0.5])}, np.array([1, 1, 0], bool)
    )
    found, items = ScoredItems(np.array([1, 0], np.int32), np.zeros(2, np.float32), "x"), np.array([0, 1], np.int32)
    explained = explain_ranker(ranker, asks([], user_idx=np.array([0])), found, items, ())
    assert explained is not None
    assert explained.score.tolist() == [1.5, 0.5]
    assert explained.baseline.tolist() == [3.5, 2.5]  # for [2, 1]; the third was not trained with
    assert explained.contributions.tolist() == [[-2, -2]]
    for nobody in (-1, 2):
        assert explain_ranker(ranker, asks([], user_idx=np.array([nobody])), found, items, ()) is None


class Half:
    """A ranker of no known kind."""

    name = "half"

    def score(self, queries: QueryBatch, candidates: Ragged, retrieved: Any = None) -> np.ndarray:  # type: ignore[type-arg]
        return -candidates.values.astype(np.float32)


class Swap:
    """Exchanges the first two."""

    name, strength = "swap", 1.0

    def rerank(self, slate: Slate, k: int) -> Slate:
        order = np.arange(len(slate))
        order[:2] = order[:2][::-1]
        return slate.ordered(order)


SETTINGS = Settings.from_dict({"retriever": {"model": "mf", "embedding_dim": 8}})


@pytest.fixture(scope="module")
def retriever(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> ServedRetriever:
    fitted = fit_retriever(world, split(world, SETTINGS.split), SETTINGS).retriever
    return serve(fitted, world, tmp_path_factory.mktemp("served") / "mf")


def test_an_answer_in_full(world: Dataset, retriever: ServedRetriever) -> None:
    recommender = Recommender(world, retriever, SETTINGS, ranker=Half(), rerankers=[Swap()], candidates=10)
    history = [100, 104, 108]
    answer = recommender.recommend(Query(history=history, k=4), explain="full")
    document = json.loads(json.dumps(answer.to_dict()))
    for item in document["items"]:
        (attribution,) = item["attributions"]
        assert (attribution["stage"], attribution["model"]) == ("retrieval", "mf")
        parts = attribution["parts"]
        assert attribution["baseline"] + sum(one["contribution"] for one in parts) == pytest.approx(
            attribution["score"]
        )
        assert sum(abs(one["share"]) for one in parts) == pytest.approx(1, abs=1e-5)
        assert {one["item_id"] for one in parts} == set(history)
        sizes = [abs(one["contribution"]) for one in parts]
        assert sizes == sorted(sizes, reverse=True)
        raising = [one for one in parts if one["contribution"] > 0]
        assert item["reasons"] == sorted(raising, key=lambda one: -one["contribution"])[:3]
        first, ranked, swapped = item["moves"]
        assert first["stage"] == "retrieval"
        assert first["lifted"] is None
        assert first["score"] == pytest.approx(attribution["score"], rel=1e-4)
        assert ranked["lifted"] == first["place"] - ranked["place"]
        assert swapped["lifted"] == {1: 1, 2: -1}.get(item["rank"], 0)
        assert swapped["place"] == item["rank"]
        assert ranked["score"] == swapped["score"] == item["score"]
    brief = recommender.recommend(Query(history=history, k=4))
    assert [item.reasons for item in brief.items] == [item.reasons for item in answer.items]
    assert "moves" not in brief.items[0].to_dict()
    assert not recommender.recommend(Query(history=history, k=4), explain=False).items[0].reasons
    assert recommender.recommend(Query(history=history, allow=[]), explain="full").items == ()


def test_each_source_speaks_for_what_it_gave(world: Dataset, retriever: ServedRetriever) -> None:
    recommender = Recommender(world, retriever, SETTINGS)
    nearest = SimilarToLast(recommender.similarity_vectors)
    recommender.funnel.sources = (Source("similar_to_last", nearest, ExactIndex(nearest.encode_items()), 5),)
    recommender.funnel.candidates = 10
    answer = recommender.recommend(Query(history=[100, 104, 109], k=10), explain="full")
    for item in answer.items:
        stages = [one.stage for one in item.attributions]
        given = bool(item.places["similar_to_last"])
        assert stages == ["retrieval", *(["similar_to_last"] if given else [])]
        if given:
            assert [part.item_id for part in item.attributions[1].parts] == [109]
    assert {len(item.attributions) for item in answer.items} == {1, 2}


def test_a_retriever_that_knows_nobody_has_no_reasons(world: Dataset) -> None:
    recommender = Recommender(world, replace_encoder(world), SETTINGS)
    (item,) = recommender.recommend(Query(user_id=3, k=1), explain="full").items
    assert item.reasons == item.attributions[0].parts == ()
    assert item.attributions[0].score == item.attributions[0].baseline == pytest.approx(item.score)


def replace_encoder(world: Dataset) -> Any:
    from shortlist.models.popularity import Popularity

    return Popularity(np.arange(world.num_items))


def test_features_of_any_kind_can_be_taken_away() -> None:
    spec = replace(AGE, name="town", kind="category")

    def score(one: QueryBatch) -> float:
        return float(one.features["town"].codes[0])  # type: ignore[union-attr]

    query = asks([], features={"town": CategoryColumn(np.array([3], np.int32))})
    found = explain_retriever(Playing(score), query, np.array([0], np.int32), (spec,))
    assert (found.parts, found.contributions.tolist()) == ((Part("feature", name="town"),), [[3]])
