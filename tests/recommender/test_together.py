"""Questions asked at once are answered together, and as if each were alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shortlist.errors import QueryError, UnknownIdError
from shortlist.recommender import Query, Recommender
from shortlist.recommender.together import Together


class Held:
    """A recommender that waits for a word in its first batch, and remembers the size of each."""

    def __init__(self, recommender: Recommender) -> None:
        self.recommender, self.sizes = recommender, []  # type: ignore[var-annotated]
        self.began, self.go_on = threading.Event(), threading.Event()

    def recommend(self, query: Query, *, explain: bool) -> Any:
        return self._asked(1, lambda: self.recommender.recommend(query, explain=explain))

    def recommend_many(self, queries: list[Query], *, explain: bool) -> Any:
        return self._asked(len(queries), lambda: self.recommender.recommend_many(queries, explain=explain))

    def _asked(self, size: int, answer: Callable[[], Any]) -> Any:
        self.sizes.append(size)
        self.began.set()
        assert self.go_on.wait(20)
        return answer()


def ask_all(together: Together, asked: list[tuple[Any, Query]], held: Held) -> list[Any]:
    """The first alone, all others while it is answered; answers or errors."""

    def ask(recommender: Any, query: Query) -> Any:
        try:
            return together.recommend(recommender, query, explain=True)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(asked)) as pool:
        first = pool.submit(ask, *asked[0])
        assert held.began.wait(20)
        others = []
        for number, one in enumerate(asked[1:], start=1):
            others.append(pool.submit(ask, *one))
            while len(together._waiting) < number:
                assert not first.done()
        held.go_on.set()
        return [first.result(20), *(one.result(20) for one in others)]


def test_who_comes_meanwhile_goes_together(small: Recommender) -> None:
    held, together = Held(small), Together(most=8)
    queries = [Query(user_id=user, k=5, where='tags has "odd"' if user % 3 else None) for user in range(21)]
    answers = ask_all(together, [(held, query) for query in queries], held)
    assert held.sizes == [1, 8, 8, 4]
    for query, answer in zip(queries, answers, strict=True):
        alone = small.recommend(query)
        assert (answer.user_id, answer.items) == (alone.user_id, alone.items)
    assert together.recommend(small, queries[0], explain=False).items[0].reasons == ()
    assert not together._is_led


def test_nobody_fails_for_another(small: Recommender) -> None:
    held, together = Held(small), Together(most=8)
    queries = [Query(user_id=1), Query(user_id=2), Query(user_id="nobody"), Query(user_id=3, k=0), Query(user_id=4)]
    answers = ask_all(together, [(held, query) for query in queries], held)
    assert [type(one).__name__ for one in answers] == ["Answer", "Answer", "UnknownIdError", "QueryError", "Answer"]
    assert held.sizes == [1, 4, 1, 1, 1, 1]
    assert answers[4].items == small.recommend(queries[4]).items
    with pytest.raises(UnknownIdError):
        together.recommend(small, queries[2], explain=True)
    with pytest.raises(QueryError):
        together.recommend(small, queries[3], explain=True)


def test_each_catalogue_for_itself(small: Recommender) -> None:
    """A reload comes while questions wait: those of the old and of the new one are not mixed."""
    held, other, together = Held(small), Held(small), Together()
    other.go_on.set()
    asked = [(held, 0), (held, 1), (held, 2), (other, 3), (other, 4), (held, 5)]
    answers = ask_all(together, [(one, Query(user_id=user, k=3)) for one, user in asked], held)
    assert [one.user_id for one in answers] == [0, 1, 2, 3, 4, 5]
    assert (held.sizes, other.sizes) == ([1, 2, 1], [2])


def test_many_threads(small: Recommender) -> None:
    together = Together()
    with ThreadPoolExecutor(20) as pool:
        found = list(
            pool.map(lambda user: together.recommend(small, Query(user_id=user), explain=True), [*range(60)] * 3)
        )
    assert [one.user_id for one in found] == [*range(60)] * 3
    assert all(one.items == small.recommend(Query(user_id=one.user_id)).items for one in found[:20])
