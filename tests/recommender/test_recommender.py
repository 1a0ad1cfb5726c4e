from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.errors import ConditionError, QueryError, UnknownIdError
from shortlist.evaluation.evaluator import evaluate
from shortlist.recommender import Answer, Query, Recommendation, Recommender
from shortlist.recommender.evaluation import evaluate as evaluate_again
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.retrieval import Candidates
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_retriever, serve

CHILDREN = (
    1,
    588,
    364,
    595,
    2081,
)  # Toy Story, Aladdin, The Lion King, Beauty and the Beast, The Little Mermaid
HORROR = (
    1258,
    1974,
    1347,
    1982,
    2710,
)  # The Shining, Friday the 13th, A Nightmare on Elm Street, Halloween, Blair Witch


def genres(answer: Answer) -> list[set[str]]:
    return [set(item.display.get("genres", ())) for item in answer.items]


def test_childrens_films_bring_childrens_films(demo: Recommender) -> None:
    found = genres(demo.recommend(Query(history=CHILDREN)))
    assert sum(bool(one & {"Children", "Animation"}) for one in found) >= 6
    assert sum("Horror" in one for one in found) <= 1


def test_horror_films_bring_horror_films(demo: Recommender) -> None:
    found = genres(demo.recommend(Query(history=HORROR)))
    assert sum("Horror" in one for one in found) >= 6
    assert sum("Children" in one for one in found) <= 1


def test_similar_films_are_kin(demo: Recommender) -> None:
    titles = [one.title for one in demo.similar(1196, 5)]  # The Empire Strikes Back
    assert "Star Wars: Episode IV - A New Hope (1977)" in titles
    assert "Star Wars: Episode VI - Return of the Jedi (1983)" in titles
    shining = demo.similar(1258, 10)
    assert sum("Horror" in one.display["genres"] for one in shining) >= 6
    assert all(one.item_id != 1258 for one in shining)


@pytest.mark.parametrize("user", [15, "15", 547, 1])
def test_known_users_get_nothing_they_have(demo: Recommender, user: int | str) -> None:
    answer = demo.recommend(Query(user_id=user, k=100))
    have = set(demo.dataset.items.ids_of(demo.dataset.interactions.item_idx[demo.history_rows(user)]))
    assert len(answer.items) == 100
    assert not have & {item.item_id for item in answer.items}
    assert answer.user_id == int(user)


def test_batch_equals_single(demo: Recommender) -> None:
    queries = [
        Query(user_id=1),
        Query(history=CHILDREN, k=3),
        Query(history=HORROR, disliked=[1], exclude=[2710, 593], where='genres has "Horror" and year < 1990'),
        Query(),
        Query(user_id=15, seen="keep", k=20),
    ]
    for query, together in zip(queries, demo.recommend_many(queries), strict=True):
        alone = demo.recommend(query, explain=False)
        assert [item.item_id for item in alone.items] == [item.item_id for item in together.items]
        np.testing.assert_allclose([i.score for i in alone.items], [i.score for i in together.items], atol=1e-4)


def test_forbidden_is_absent_and_k_come_back(demo: Recommender) -> None:
    first = [item.item_id for item in demo.recommend(Query(history=CHILDREN, k=20)).items]
    answer = demo.recommend(Query(history=CHILDREN, k=20, exclude=first[:5], disliked=first[5:7]))
    got = [item.item_id for item in answer.items]
    assert len(got) == 20
    assert not set(got) & {*first[:7], *CHILDREN}


def test_where(demo: Recommender) -> None:
    answer = demo.recommend(Query(history=CHILDREN, k=15, where='genres has "Western" and year >= 1960'))
    assert len(answer.items) == 15
    assert all("Western" in i.display["genres"] and i.display["year"] >= 1960 for i in answer.items)
    few = demo.recommend(Query(k=50, where='title = "Toy Story (1995)" or title = "Jumanji (1995)"'))
    assert {item.item_id for item in few.items} == {1, 2}  # all that are allowed


def test_a_dislike_moves_the_list_away(demo: Recommender) -> None:
    neutral = demo.recommend(Query(history=[*CHILDREN, *HORROR], k=30))
    turned = demo.recommend(Query(history=CHILDREN, disliked=HORROR, k=30))
    horror = [sum("Horror" in one for one in genres(answer)) for answer in (neutral, turned)]
    assert horror[1] < horror[0]
    assert not set(HORROR) & {item.item_id for item in turned.items}


def test_the_last_word_counts(demo: Recommender) -> None:
    """A known user's like, now disliked, is a dislike."""
    liked = demo.dataset.items.id(int(demo.dataset.interactions.item_idx[demo.history_rows(1)][0]))
    batch = demo.asking.batch([Query(user_id=1, disliked=[liked])], np.array([demo.dataset.users.row(1)]))
    row = demo.dataset.items.row(liked)
    assert row not in batch.liked.row(0)
    assert batch.disliked.row(0).tolist().count(row) == 1


def test_reasons_are_liked_items_that_raise_the_score(demo: Recommender) -> None:
    answer = demo.recommend(Query(history=CHILDREN))
    for item in answer.items:
        assert item.reasons
        assert {reason.item_id for reason in item.reasons} <= set(CHILDREN)
        amounts = [reason.contribution for reason in item.reasons]
        assert amounts == sorted(amounts, reverse=True)
        assert amounts[-1] > 0
        assert not item.attributions
        assert not item.moves


def test_offline_equals_online(demo: Recommender) -> None:
    """A target's rank in the report is its place in the list that is served."""
    test = split(demo.dataset, demo.settings.split, demo.settings.seed).test
    ranks = evaluate(demo.retriever, test, (10,)).ranks
    vectors = demo.retriever.encode_queries(test.queries)
    lists = demo.index.search(vectors, 100, Candidates(test.seen))
    checked = 0
    for query in range(len(test)):
        place = np.flatnonzero(lists[query].item_idx == test.targets.row(query)[0])
        if len(place):
            assert ranks.row(query)[0] == place[0] + 1
            checked += 1
    assert checked > 100


def test_evaluated_again_it_gives_its_report(demo: Recommender) -> None:
    assert demo.report is not None
    again = evaluate_again(demo)
    assert list(again.models) == [
        "softmax_dnn",
        "popularity",
        "recent_popularity",
        "item_knn",
        "sequential_rules",
        "ease",
        "mf",
    ]
    for model, figures in demo.report.models.items():
        for name, figure in figures.items():
            assert again.models[model][name]["value"] == pytest.approx(figure["value"], abs=2e-3), (
                model,
                name,
            )


def test_the_model_beats_popularity_twice(demo: Recommender) -> None:
    assert demo.report is not None
    figures = {model: one["ndcg@10"]["value"] for model, one in demo.report.models.items()}
    assert figures["softmax_dnn"] > 2 * figures["popularity"]


def test_sparse_item_vectors_answer_like_dense_ones(world: Dataset, tmp_path: Path) -> None:
    """item_knn keeps a corner of its weights: asked, searched and compared as they are, or written out in full."""
    settings = Settings.from_dict({"retriever": {"model": "item_knn", "neighbours": 5}})
    served = serve(fit_retriever(world, split(world, settings.split), settings).retriever, world, tmp_path / "r")
    sparse = served.encode_items()
    assert not isinstance(sparse, np.ndarray)
    dense = ServedRetriever(
        served.folder,
        "dense",
        sparse.toarray(),
        lambda queries: served.encode_queries(queries).toarray(),
        has_item_bias=False,
    )
    one, other = Recommender(world, served, settings), Recommender(world, dense, settings)
    for query in (Query(user_id=3, k=40), Query(history=[101, 103], k=40)):
        assert scores(one.recommend(query).items) == pytest.approx(scores(other.recommend(query).items), abs=1e-5)
    for item in (100, 117):
        assert scores(one.similar(item, 40)) == pytest.approx(scores(other.similar(item, 40)), abs=1e-5)
        assert {i.item_id % 2 for i in one.similar(item, 3)} == {item % 2}  # type: ignore[operator]


def scores(items: tuple[Recommendation, ...]) -> dict[str | int, float]:
    return {item.item_id: item.score for item in items}


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (Query(user_id=99999), UnknownIdError, "no user 99999 among the 671"),
        (Query(k=0), QueryError, "expected 1 to 9,066"),
        (Query(k=9067), QueryError, "got 9067"),
        (Query(k=True), QueryError, "got True"),
        (Query(history=[1, 424242, "x"]), QueryError, r"history: 2 of 3 items are not known \(424242, x\)"),
        (Query(disliked=[424242]), QueryError, "disliked: 1 of 1"),
        (Query(exclude=[424242]), QueryError, "exclude: 1 of 1"),
        (Query(features={"age": 3}), QueryError, "no query feature 'age'; none are allowed here"),
        (Query(where="year > 3000"), QueryError, "no item of 9,066 meets 'year > 3000'"),
        (Query(where="yeer > 3000"), ConditionError, "did you mean 'year'"),
    ],
)
def test_bad_questions_are_explained(demo: Recommender, query: Query, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        demo.recommend(query)
