"""What somebody does now is part of the next answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shortlist.errors import StoreError, UnknownIdError
from shortlist.events import Event, EventStore
from shortlist.recommender import Query, Recommender
from shortlist.recommender.live import LiveRecommender
from tests.live_world import EVEN, ODD

USER = 1  # of odd taste


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"{tmp_path}/events.db") as store:
        yield store


@pytest.fixture
def live(small: Recommender, store: EventStore) -> LiveRecommender:
    return LiveRecommender(small, store)


def say(store: EventStore, *words: tuple[Any, str], user: Any = USER) -> None:
    store.add([Event.of(user, item, word) for item, word in words])


def listed(live: LiveRecommender, user: Any = USER, **options: Any) -> list[Any]:
    return [one.item_id for one in live.recommend(Query(user_id=user, **{"k": 5, **options})).items]


def test_without_events_it_answers_as_the_artifact(live: LiveRecommender, small: Recommender) -> None:
    for query in (Query(user_id=USER, k=5), Query(history=[100, 102], k=5)):
        assert live.recommend(query).items == small.recommend(query).items
    with pytest.raises(UnknownIdError, match="no user 'nobody'"):
        live.recommend(Query(user_id="nobody"))


def test_likes_are_history_as_if_the_client_had_sent_them(live: LiveRecommender, small: Recommender) -> None:
    say(live.store, (EVEN[0], "like"), (EVEN[1], "view"), (EVEN[2], "purchase"))  # type: ignore[arg-type]
    same = small.recommend(Query(user_id=USER, history=EVEN[:3], k=40))
    answer = live.recommend(Query(user_id=USER, k=40))
    assert answer.items == same.items
    assert answer.items != small.recommend(Query(user_id=USER, exclude=EVEN[:3], k=40)).items
    assert answer.stages["events"] == {**answer.stages["events"], "events": 3, "liked": 3, "disliked": 0}
    again = live.recommend(Query(user_id=USER, history=[EVEN[5]], k=5))
    assert again.items == small.recommend(Query(user_id=USER, history=[*EVEN[:3], EVEN[5]], k=5)).items


def test_a_dislike_is_gone_at_once_and_a_like_brings_it_no_further(live: LiveRecommender, store: EventStore) -> None:
    first = listed(live)[0]
    say(store, (first, "dislike"))
    assert first not in listed(live, k=40)
    assert first not in listed(live, k=40, seen="keep")
    say(store, (first, "view"))
    assert first not in listed(live, k=40, seen="keep"), "to see it again is not to like it"
    say(store, (first, "like"))
    assert first in listed(live, k=40, seen="keep")
    assert first not in listed(live, k=40), "now it is seen"
    second = listed(live)[0]
    say(store, (second, "hide"), (second, "like"))
    assert second not in listed(live)
    say(store, (second, "clear"))
    assert second in listed(live), "all that was said of it is taken back"


def test_what_was_learned_can_be_taken_back(live: LiveRecommender, small: Recommender, store: EventStore) -> None:
    log = small.dataset.interactions
    rows = small.history_rows(USER)
    disliked = next(i for i in small.dataset.items.ids_of(log.item_idx[rows[log.disliked[rows]]]))
    liked = small.dataset.items.ids_of(log.item_idx[rows[log.in_history[rows]]])
    assert disliked not in listed(live, k=40, seen="keep")
    say(store, (disliked, "view"))
    assert disliked not in listed(live, k=40, seen="keep"), "a view takes back no dislike"
    say(store, (disliked, "undislike"))
    assert disliked in listed(live, k=40, seen="keep")
    assert disliked not in listed(live, k=40), "still seen"
    say(store, *((item, "unlike") for item in liked))
    say(store, (EVEN[0], "like"))
    assert {item % 2 for item in listed(live)} == {0}, "of the old likes nothing is left"


def test_the_newer_of_what_was_learned_and_what_was_said(
    live: LiveRecommender, small: Recommender, store: EventStore
) -> None:
    log = small.dataset.interactions
    mine = (log.user_idx == small.dataset.users.row(USER)) & log.disliked
    disliked = small.dataset.items.ids_of(log.item_idx[mine])
    assert disliked
    store.add([Event.of(USER, item, "like", -1) for item in disliked])
    assert not set(disliked) & set(listed(live, k=40, seen="keep")), "the artifact's dislike is newer"
    say(store, *((item, "like") for item in disliked))
    assert set(disliked) <= set(listed(live, k=40, seen="keep"))


def test_a_user_nobody_has_learned_of(live: LiveRecommender, store: EventStore) -> None:
    say(store, (ODD[0], "like"), (ODD[1], "like"), (ODD[2], "hide"), ("not yet known", "like"), user="new-7")
    answer = live.recommend(Query(user_id="new-7", k=5))
    assert answer.user_id == "new-7"
    assert {one.item_id % 2 for one in answer.items} == {1}  # type: ignore[operator]
    assert not {ODD[0], ODD[1], ODD[2]} & {one.item_id for one in answer.items}
    say(store, (EVEN[0], "like"), user=777)
    assert live.recommend(Query(user_id="777", k=1)).user_id == 777, "7 and '7' are one user"


def test_seen_alone_is_not_returned_and_no_history(
    live: LiveRecommender, small: Recommender, store: EventStore
) -> None:
    first = listed(live)[0]
    say(store, (first, "skip"))
    assert listed(live) == [one.item_id for one in small.recommend(Query(user_id=USER, exclude=[first], k=5)).items]
    assert listed(live, seen="keep", k=40).count(first) == 1


def test_what_the_client_says_now_is_newer(live: LiveRecommender, small: Recommender, store: EventStore) -> None:
    say(store, (ODD[0], "dislike"), (ODD[1], "like"))
    answer = live.recommend(Query(user_id="9", history=[ODD[0]], disliked=[ODD[1]], k=40, seen="keep"))
    say(store, (ODD[0], "dislike"), (ODD[1], "like"), user=9)
    again = live.recommend(Query(user_id="9", history=[ODD[0]], disliked=[ODD[1]], k=40, seen="keep"))
    assert again.items == answer.items
    assert ODD[0] in [one.item_id for one in again.items]
    assert ODD[1] not in [one.item_id for one in again.items]


def test_ratings_mean_what_the_artifacts_conditions_say(live: LiveRecommender, store: EventStore) -> None:
    store.add([Event.of("r", EVEN[0], "rating", value=5), Event.of("r", EVEN[1], "rating", value=1)])
    state = live.known("r").state
    assert (state.liked, state.disliked) == ((str(EVEN[0]),), (str(EVEN[1]),))


def test_a_forgotten_user_is_nobody(live: LiveRecommender, small: Recommender, store: EventStore) -> None:
    assert len(listed(live, k=40)) < 40
    say(store, (EVEN[0], "like"))
    store.delete_user(str(USER))
    answer = live.recommend(Query(user_id=USER, k=40))
    assert len(answer.items) == 40
    assert answer.items == small.recommend(Query(k=40)).items
    say(store, (EVEN[0], "like"))
    assert live.recommend(Query(user_id=USER)).items == small.recommend(Query(history=[EVEN[0]])).items


def test_when_the_last_like_came_is_known(live: LiveRecommender, store: EventStore, monkeypatch: Any) -> None:
    asked: list[Query] = []
    answers = live.recommender.recommend
    monkeypatch.setattr(live.recommender, "recommend", lambda query, explain: asked.append(query) or answers(query))
    store.add([Event.of(USER, EVEN[0], "like", 1_700_000_000), Event.of(USER, EVEN[1], "skip", 1_700_000_050)])
    live.recommend(Query(user_id=USER))
    live.recommend(Query(user_id=USER, history=[EVEN[3]]))
    assert [query.last_time for query in asked] == [1_700_000_000_000.0, None]
    batch = live.recommender.asking.batch(asked[:1], live.recommender.dataset.users.rows([USER]).astype("int64"))
    assert batch.last_time is not None
    assert batch.last_time.tolist() == [1_700_000_000_000.0]


def test_without_the_store_the_artifact_answers_and_says_so(
    live: LiveRecommender, small: Recommender, store: EventStore, tmp_path: Path
) -> None:
    say(store, (listed(live)[0], "dislike"))
    file = tmp_path / "events.db"
    file.rename(tmp_path / "away")
    answer = live.recommend(Query(user_id=USER, k=5))
    assert answer.items == small.recommend(Query(user_id=USER, k=5)).items
    assert answer.stages["events"]["status"] == "unavailable"
    (tmp_path / "away").rename(file)
    live._store_rests_until = 0
    assert live.recommend(Query(user_id=USER, k=5)).stages["events"]["disliked"] == 1


def test_a_model_that_fails_is_replaced_by_what_is_popular(
    live: LiveRecommender, store: EventStore, monkeypatch: Any
) -> None:
    def broken(batch: object) -> None:
        raise RuntimeError("no")

    popular = listed(LiveRecommender(live.fallback, store))
    say(store, (popular[0], "dislike"))
    monkeypatch.setattr(live.recommender.retriever, "encode_queries", broken)
    answer = live.recommend(Query(user_id=USER, k=4, where='tags has "even" or tags has "odd"'))
    assert [one.item_id for one in answer.items] == popular[1:]
    assert answer.stages["fallback"] == {"reason": "the model failed (RuntimeError)", "answer": "recent_popularity"}


def test_a_model_that_takes_too_long(small: Recommender, store: EventStore, monkeypatch: Any) -> None:
    live, ended, encode = LiveRecommender(small, store, timeout=0.2), threading.Event(), small.retriever.encode_queries
    first = LiveRecommender(small, store).recommend(Query(user_id=USER, k=3)).items
    live.timeout = 60
    assert live.recommend(Query(user_id=USER, k=3)).items == first
    with pytest.raises(UnknownIdError):
        live.recommend(Query(user_id="nobody"))
    live.timeout = 0.2
    monkeypatch.setattr(small.retriever, "encode_queries", lambda batch: (ended.wait(10), encode(batch))[1])
    assert live.recommend(Query(user_id=USER, k=3)).items == first, "what was answered before needs no model"
    answer = live.recommend(Query(user_id=USER, k=4))
    ended.set()
    assert answer.stages["fallback"] == {"reason": "the model took more than 0.2 s", "answer": "recent_popularity"}
    assert len(answer.items) == 4


def test_questions_do_not_wait_for_a_store_that_is_down(live: LiveRecommender, monkeypatch: Any) -> None:
    calls: list[str] = []

    def gone(user_id: str, *_: object) -> None:
        calls.append(user_id)
        raise StoreError("gone")

    monkeypatch.setattr(live.store, "of_user", gone)
    for _ in range(5):
        assert live.recommend(replace(Query(user_id=USER), k=3)).stages["events"]["fallback"] == "artifact"
    assert len(calls) == 1
