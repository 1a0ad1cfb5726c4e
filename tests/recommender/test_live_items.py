"""Items that came, changed or went since the artifact was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import Schema
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.errors import ItemError, PlacelessError, QueryError, UnknownIdError
from shortlist.events.items import ItemChange
from shortlist.recommender import Query, Recommender, artifact
from shortlist.recommender.live_items import LiveItems
from shortlist.recommender.recommender import Recommender as Whole
from tests.live_world import EVEN, ITEMS, ODD, small_artifact
from tests.recommender.test_item_tower import network

NEW = 900
EVEN_USER, ODD_USER = 0, 1


@pytest.fixture(scope="module", params=["item_knn", "mf", "popularity"])
def recommender(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """Sparse vectors, dense ones, and of one dimension."""
    folder = tmp_path_factory.mktemp("artifacts") / str(request.param)
    return artifact.load(small_artifact(folder, model=request.param))


@pytest.fixture(scope="module")
def mf(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return artifact.load(small_artifact(tmp_path_factory.mktemp("artifacts") / "mf", model="mf"))


def even(**columns: Any) -> dict[str, Any]:
    return {"title": "New and even", "tags": ["even"], "size": 11.0, **columns}


def changes(said: Mapping[int, Mapping[str, Any] | None]) -> list[ItemChange]:
    return [ItemChange(str(item), columns, 1_000_000, n + 1) for n, (item, columns) in enumerate(said.items())]


def over(recommender: Recommender, said: Mapping[int, Mapping[str, Any] | None]) -> Recommender:
    live = LiveItems(recommender)
    return live.over(changes({item: columns and live.check(str(item), columns) for item, columns in said.items()}))


def listed(recommender: Recommender, **asked: Any) -> list[Any]:
    return [one.item_id for one in recommender.recommend(Query(**{"k": 40, **asked})).items]


def test_nothing_said_is_the_artifacts_own(recommender: Recommender) -> None:
    assert LiveItems(recommender).over([]) is recommender
    assert LiveItems(recommender).over(changes({NEW: None})) is recommender


def test_a_new_item_is_one_of_its_kind(recommender: Recommender) -> None:
    now = over(recommender, {NEW: even(), NEW + 1: {"tags": "odd"}})
    for user, kind, mine, other in ((EVEN_USER, EVEN, NEW, NEW + 1), (ODD_USER, ODD, NEW + 1, NEW)):
        found = listed(now, user_id=user)
        assert {NEW, NEW + 1} <= set(found)
        if recommender.retriever.name != "popularity":
            assert set(found[: found.index(mine)]) <= set(kind)
            assert found.index(mine) < found.index(other)
    assert NEW in listed(now, user_id=EVEN_USER, where='tags has "even"')
    assert listed(now, where='title = "New and even"') == [NEW]
    assert NEW not in listed(now, user_id=EVEN_USER, exclude=[NEW])
    assert listed(now, allow=[NEW, EVEN[0]], seen="keep") != []
    shown = now.recommend(Query(allow=[NEW])).items[0]
    assert shown.display == {"title": "New and even", "tags": ["even"], "size": 11}


def test_a_like_of_a_new_item_counts(mf: Recommender) -> None:
    now = over(mf, {NEW: even()})
    answer = now.recommend(Query(history=[NEW], k=5))
    assert {one.item_id for one in answer.items} <= set(EVEN)
    assert answer.items[0].reasons[0].item_id == NEW
    assert answer.items[0].reasons[0].title == "New and even"
    assert NEW not in listed(now, history=[NEW])
    assert NEW in {one.item_id for one in now.similar(EVEN[3], 20)}
    assert {one.item_id for one in now.similar(NEW, 5)} <= set(EVEN)


def test_a_changed_item_keeps_its_place_and_has_other_columns(recommender: Recommender) -> None:
    now = over(recommender, {EVEN[0]: {"title": "Otherwise", "tags": ["odd"]}})
    asked = Query(user_id=ODD_USER, k=30)
    before, after = recommender.recommend(asked).items, now.recommend(asked).items
    assert [(one.item_id, one.score) for one in before] == [(one.item_id, one.score) for one in after]
    assert EVEN[0] not in listed(now, where='tags has "even"', seen="keep")
    assert listed(now, where='title = "Otherwise"', seen="keep") == [EVEN[0]]
    with pytest.raises(QueryError, match="no item"):
        now.recommend(Query(where='title = "Item 0"'))


def test_a_deleted_item_is_nowhere(recommender: Recommender) -> None:
    gone = EVEN[3]
    now = over(recommender, {gone: None})
    for asked in (
        {"user_id": ODD_USER},
        {"seen": "keep"},
        {"seen": "keep", "allow": [gone, ODD[0]]},
        {"history": [gone]},
    ):
        assert gone in [*listed(recommender, **asked), gone]
        assert gone not in listed(now, **asked)
    assert gone not in {one.item_id for one in now.similar(EVEN[0], 39)}
    with pytest.raises(UnknownIdError, match="was deleted"):
        now.similar(gone)
    assert listed(over(recommender, {gone: even()}), where='title = "New and even"', seen="keep") == [gone]


def test_always_k_items_and_never_a_deleted_one(recommender: Recommender) -> None:
    """Any changes, in any order: what is there is what was said last, and the order is that of all scores."""
    live, rng, said = LiveItems(recommender), np.random.default_rng(1), dict[str, ItemChange]()
    for revision in range(1, 26):
        name = str(rng.choice([*ITEMS[:8], *range(NEW, NEW + 8)]))
        columns = (
            None if rng.random() < 0.4 else even(tags=[str(rng.choice(["even", "odd"]))], size=float(rng.integers(40)))
        )
        said.pop(name, None)
        said[name] = ItemChange(name, columns, 0, revision)
        now = live.over(list(said.values()))
        there = {one for one in [*map(str, ITEMS), *said] if one not in said or said[one].columns is not None}
        k = int(rng.integers(1, 41))
        found = now.recommend(Query(history=EVEN[:3], k=k, seen="keep")).items
        assert len({one.item_id for one in found}) == len(found) == min(k, len(there))
        assert {str(one.item_id) for one in found} <= there
        scores = dict(zip(now.dataset.items.ids.to_pylist(), scores_of(now), strict=True))
        assert [one.score for one in found] == pytest.approx(
            sorted((scores[int(one)] for one in there), reverse=True)[:k], abs=1e-5
        )


def scores_of(recommender: Recommender) -> NDArray[Any]:
    query = recommender.asking.read([Query(history=EVEN[:3])]).batch
    scores = recommender.retriever.encode_queries(query) @ recommender.item_vectors.T
    return (scores if isinstance(scores, np.ndarray) else scores.toarray())[0]


def test_a_time_from_which(mf: Recommender) -> None:
    now = over(mf, {NEW: even(available_from="2024-05-01T00:00:00Z", available_until=1_714_608_000)})
    for time, is_there in (("2024-04-30", False), ("2024-05-01T12:00", True), ("2024-05-02", False)):
        assert listed(now, time=time, where='title = "New and even"') == [NEW] * is_there
    assert len(listed(now, time="2024-04-30")) == 40


class Backwards:
    """A ranker that turns the list around, and fails on an item it cannot know."""

    name = "backwards"

    def score(self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None) -> Any:
        assert retrieved is not None
        assert candidates.values.max(initial=0) < 40
        assert queries.liked.values.max(initial=0) < 40
        return -retrieved


def test_a_ranker_leaves_new_items_where_the_retriever_put_them(mf: Recommender) -> None:
    ranked = Whole(mf.dataset, mf.retriever, mf.settings, ranker=Backwards())
    said = {NEW: even(), NEW + 1: {"tags": ["odd"]}}
    for asked in (Query(user_id=EVEN_USER, k=30), Query(history=[NEW, EVEN[0]], k=30, allow=[NEW + 1])):
        found = [one.item_id for one in over(mf, said).recommend(asked).items]
        turned = [one.item_id for one in over(ranked, said).recommend(asked).items]
        known = iter([one for one in found if one < NEW][::-1])
        assert turned == [one if one >= NEW else next(known) for one in found]


def test_steps_after_the_models_know_new_items(mf: Recommender) -> None:
    dataset, day = mf.dataset, 86_400_000
    steps: list[dict[str, Any]] = [
        {"step": "freshness", "half_life": "1d", "strength": 1.0},
        {"step": "diversity", "strength": 0.1},
        {"step": "boost", "where": 'tags has "even"', "strength": 0.1},
        {"step": "exposure", "method": "minimum_share", "share": 0.1},
        {"step": "popularity", "strength": 0.1},
        {"step": "calibration", "feature": "tags", "strength": 0.1},
    ]
    settings = type(mf.settings).from_dict({**mf.settings.to_dict(), "rerank": steps})
    live = LiveItems(Whole(dataset, mf.retriever, settings))
    now = live.over([ItemChange(str(NEW), even(), 30 * day, 1)])
    assert len(now.recommend(Query(user_id=EVEN_USER, k=20)).items) == 20
    freshest = now.reranked(now.settings.rerank[:1])
    assert freshest.recommend(Query(user_id=EVEN_USER, k=3, time=31 * day)).items[0].item_id == NEW


def test_two_towers_tell_new_and_changed_items(world: Dataset, tmp_path: Path, mf: Recommender) -> None:
    from shortlist.training.retrievers import serve

    model = network(world, similarity="cosine")
    recommender = Whole(world, serve(model, world, tmp_path / "served"), mf.settings)
    live = LiveItems(recommender)
    assert live.placed_by(str(NEW)) == live.placed_by(str(EVEN[0])) == "item_tower"
    row = world.items.row(EVEN[0])
    same = {"title": "Same", "tags": ["even"], "size": 0.0}
    now = live.over(changes({EVEN[0]: same, EVEN[1]: {"tags": ["odd"]}, NEW: {"tags": ["odd"], "size": 3.0}}))
    np.testing.assert_allclose(now.item_vectors[row], model.encode_items()[row], atol=1e-5)
    assert not np.allclose(now.item_vectors[world.items.row(EVEN[1])], model.encode_items()[world.items.row(EVEN[1])])
    np.testing.assert_allclose(np.linalg.norm(now.item_vectors[-1]), 1, atol=1e-5)


def test_another_artifact_takes_what_it_can(mf: Recommender, caplog: pytest.LogCaptureFixture) -> None:
    """Items it was trained with have its own vectors; what does not fit is left out and said once."""
    said = changes({EVEN[0]: even(extra="of another schema", size="no number"), NEW: {"shape": "round"}})
    said.append(ItemChange("no-number", even(), 0, 9))
    live = LiveItems(mf)
    for _ in range(2):
        now = live.over(said)
    assert now.dataset.num_items == mf.dataset.num_items
    assert now.display(now.dataset.items.rows([EVEN[0]])) == [{"title": "New and even", "tags": ["even"]}]
    assert len(caplog.records) == 2
    assert "round" not in caplog.text


BAD: list[tuple[str, Any, str]] = [
    ("900", [], "body: expected the item's columns"),
    ("900", {"tag": ["even"]}, "tag: items have no such column; did you mean 'tags'"),
    ("900", {"tags": ["even"], "size": "3"}, "size: expected a finite number, got '3'"),
    ("900", {"size": True}, "size: expected a finite number"),
    ("900", {"size": 10**400}, "size: expected a finite number"),
    ("900", {"tags": {"even": 1}}, "tags: expected a list"),
    ("900", {"tags": ["even", None]}, "tags: expected a list"),
    ("900", {"tags": ["x"] * 1001}, "got 1,001"),
    ("900", {"tags": ["even"], "title": 3.5}, "title: expected a text"),
    ("900", {"tags": ["even"], "title": "\ud800"}, "characters of Unicode"),
    ("900", {"tags": ["even"], "available_from": "soon"}, "available_from: expected ISO 8601"),
    ("900", {"tags": ["even"], "available_from": 2e9, "available_until": 1e9}, "available_until: .* is before"),
    ("900", {"title": "Nothing known"}, "tags, size: all are missing"),
    ("nine", {"tags": ["even"]}, "item_id: .* whole numbers of 64 bits"),
]


@pytest.mark.parametrize(("item", "columns", "message"), BAD, ids=[message[:24] for *_, message in BAD])
def test_what_cannot_be_kept_is_said(mf: Recommender, item: str, columns: Any, message: str) -> None:
    with pytest.raises(ItemError, match=message):
        LiveItems(mf).check(item, columns)


def test_without_features_nothing_says_where_a_new_item_belongs(mf: Recommender) -> None:
    bare = replace(mf.dataset, schema=Schema(()), item_features={}, display=mf.dataset.display.select(["title"]))
    live = LiveItems(Whole(bare, mf.retriever, mf.settings))
    with pytest.raises(PlacelessError, match="no features of items"):
        live.check(str(NEW), {"title": "New"})
    now = live.over(changes({EVEN[0]: live.check(str(EVEN[0]), {"title": "Changed"}), ODD[0]: None}))
    assert now.display(np.array([now.dataset.items.row(EVEN[0])])) == [{"title": "Changed"}]
    assert ODD[0] not in listed(now, seen="keep")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["title", "tags", "size", "available_from", "available_until"]) | st.text(max_size=3)


@given(anything | st.dictionaries(names, anything, max_size=4), st.sampled_from([str(NEW), str(EVEN[0])]) | st.text())
def test_whatever_is_sent_is_served_or_refused_in_words(mf: Recommender, document: object, item: str) -> None:
    live, document = LiveItems(mf), json.loads(json.dumps(document))
    try:
        columns = live.check(item, document)
    except ItemError:
        return
    kept = json.loads(json.dumps(columns, allow_nan=False))
    now = live.over([ItemChange(item, kept, 0, 1)])
    row = now.item_row(item)
    assert len(now.display(np.array([row]))) == 1
    assert now.recommend(Query(seen="keep", k=1, time=1e12)).items
