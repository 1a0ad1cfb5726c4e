"""An answer is given again only while it says the same."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shortlist.data.availability import Availability
from shortlist.data.feature_spec import FeatureSpec
from shortlist.errors import QueryError
from shortlist.events import Event, EventStore
from shortlist.recommender import Query, Recommender
from shortlist.recommender.live import LiveRecommender
from shortlist.recommender.remembered import Remembered, is_timeless
from shortlist.settings import Settings
from tests.live_world import EVEN, ODD

USER = 1


@pytest.fixture
def live(small: Recommender, tmp_path: Path) -> Iterator[LiveRecommender]:
    with EventStore(f"{tmp_path}/events.db") as store:
        yield LiveRecommender(small, store)


def is_remembered(live: LiveRecommender, query: Query, **options: Any) -> bool:
    return "remembered" in live.recommend(query, **options).stages


def test_the_same_question_is_answered_without_the_model(live: LiveRecommender, monkeypatch: Any) -> None:
    query = Query(user_id=USER, k=5, where='tags has "odd"')
    first = live.recommend(query)
    monkeypatch.setattr(live, "_answer", lambda *_: pytest.fail("the model was asked"))
    again = live.recommend(query)
    assert again.items == first.items
    assert again.user_id == first.user_id
    assert again.stages == {**first.stages, "remembered": again.stages["remembered"]}
    assert again.json is live.recommend(query).json, "encoded once"


@pytest.mark.parametrize(
    "other",
    [
        Query(user_id=USER, k=6),
        Query(user_id=USER, k=5, seen="keep"),
        Query(user_id=USER, k=5, exclude=[100]),
        Query(user_id=USER, k=5, allow=[101, 103]),
        Query(user_id=USER, k=5, where="size > 3"),
        Query(user_id=USER, k=5, history=[100]),
        Query(user_id=USER, k=5, disliked=[101]),
        Query(user_id=3, k=5),
    ],
)
def test_another_question_is_another(live: LiveRecommender, other: Query, small: Recommender) -> None:
    live.recommend(Query(user_id=USER, k=5))
    answer = live.recommend(other)
    assert "remembered" not in answer.stages
    assert answer.items == small.recommend(other).items


def test_a_type_is_no_other(live: LiveRecommender) -> None:
    live.recommend(Query(user_id=USER, k=1))
    with pytest.raises(QueryError):
        live.recommend(Query(user_id=USER, k=True))
    assert "explain" not in live.recommend(Query(user_id=USER, k=1), explain=False).stages


def test_what_another_process_wrote_is_seen(live: LiveRecommender, tmp_path: Path) -> None:
    query = Query(user_id=USER, k=40)
    first = [one.item_id for one in live.recommend(query).items]
    with EventStore(f"{tmp_path}/events.db") as other:
        other.add([Event.of(USER, first[0], "dislike"), Event.of(3, 100, "like")])
        assert first[0] not in [one.item_id for one in live.recommend(query).items]
        assert is_remembered(live, query)
        other.add([Event.of(USER, first[0], "clear")])
        assert first[0] in [one.item_id for one in live.recommend(query).items]
        other.delete_user(str(USER))
        forgotten = live.recommend(query)
        assert "remembered" not in forgotten.stages
        assert len(forgotten.items) == 40, "nothing is seen any more"


def test_another_catalogue_has_other_answers(live: LiveRecommender, small: Recommender) -> None:
    """As a reload or a new item makes one."""
    query, other = Query(user_id=USER, k=5), copy(live)
    live.recommend(query)
    other.recommender = copy(small)
    assert not is_remembered(other, query)
    assert is_remembered(other, query)


def test_an_answer_of_less_than_all_is_not_kept(live: LiveRecommender, monkeypatch: Any) -> None:
    query = Query(user_id=USER, k=5)
    with monkeypatch.context() as patch:
        patch.setattr(live.recommender.retriever, "encode_queries", lambda _: 1 / 0)
        assert "fallback" in live.recommend(query).stages
    assert not {"fallback", "remembered"} & set(live.recommend(query).stages)


def test_where_the_moment_counts_nothing_is_kept(live: LiveRecommender, small: Recommender) -> None:
    assert is_timeless(small)
    fresh = Settings.from_dict({"rerank": [{"step": "freshness", "half_life": "30d"}]}).rerank
    assert not is_timeless(small.reranked(fresh))
    timed, windows = copy(small), copy(small)
    timed.dataset, windows.dataset = copy(small.dataset), copy(small.dataset)
    hour = FeatureSpec.of_moment("hour", "hour")
    object.__setattr__(timed.dataset, "schema", type(small.dataset.schema)((*small.dataset.schema.query, hour)))
    ever = np.full(40, np.inf)
    object.__setattr__(windows.dataset, "availability", Availability(-ever, ever))
    assert not is_timeless(timed)
    assert not is_timeless(windows)
    live.recommender = small.reranked(fresh)
    assert not any(is_remembered(live, Query(user_id=USER, k=5)) for _ in range(2))
    live.recommender = small
    assert not any(is_remembered(live, Query(user_id=USER, k=5, time=1e9)) for _ in range(2))
    assert not any(is_remembered(live, Query(k=5, features={"town": "A"})) for _ in range(2))


def test_memory_is_bounded(small: Recommender) -> None:
    memory, known = Remembered(limit=220), LiveRecommender(small).known(None).events
    queries = [Query(history=[one], k=10) for one in (*EVEN, *ODD)]
    for query in queries:
        memory.keep(small, query, True, known, small.recommend(query))
        memory.find(small, queries[0], True, known)
    assert len(memory) == 220 // 11
    assert memory.find(small, queries[0], True, known) is not None, "it is asked again and again"
    assert memory.find(small, queries[1], True, known) is None
    assert memory.find(small, queries[-1], True, known) is not None
    long = Query(history=[100] * 300, k=10)
    memory.keep(small, long, True, known, small.recommend(queries[0]))
    assert memory.find(small, long, True, known) is None
