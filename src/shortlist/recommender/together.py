"""Questions that come while others are answered are answered together, by whichever of their threads is next."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from shortlist.recommender.query import Answer, Explain, Query
from shortlist.recommender.recommender import Recommender


@dataclass(eq=False)
class _Asked:
    """A question that waits in a thread of its own: until it is answered, or is to lead."""

    recommender: Recommender
    query: Query
    explain: Explain
    answer: Answer | None = None
    error: BaseException | None = None
    wake: threading.Event = field(default_factory=threading.Event)

    def result(self) -> Answer:
        if self.error is not None:
            raise self.error
        assert self.answer is not None
        return self.answer


class Together:
    """One batch at a time. Nobody waits for company: who comes first is answered alone, who comes meanwhile goes next.

    Most of what a question costs surrounds its arithmetic, and a batch shares it; and threads that compute at once in one
    Python process mostly wait for each other. Each gets what it would get alone, errors too.

    Args:
        most: questions in one batch: the last of them waits for the first one's answer.
    """

    def __init__(self, most: int = 16) -> None:
        self.most = most
        self._waiting: deque[_Asked] = deque()
        self._is_led = False
        self._lock = threading.Lock()

    def recommend(self, recommender: Recommender, query: Query, *, explain: Explain) -> Answer:
        """As ``recommender.recommend``, from any number of threads."""
        mine = _Asked(recommender, query, explain)
        with self._lock:
            self._waiting.append(mine)
            waits, self._is_led = self._is_led, True
        if waits:
            mine.wake.wait()
            if mine.answer is not None or mine.error is not None:
                return mine.result()
        batch = self._next()
        try:
            _answer(batch)
        finally:
            self._hand_over(batch)
        return mine.result()

    def _next(self) -> list[_Asked]:
        """The first that waits, which leads, and those after it that can be asked with it."""
        with self._lock:
            first = self._waiting.popleft()
            batch = [first]
            while self._waiting and len(batch) < self.most:
                one = self._waiting[0]
                if one.recommender is not first.recommender or one.explain != first.explain:
                    break
                batch.append(self._waiting.popleft())
            return batch

    def _hand_over(self, batch: list[_Asked]) -> None:
        with self._lock:
            self._is_led = bool(self._waiting)
            successor = [self._waiting[0]] if self._waiting else []
        for one in (*successor, *batch):
            one.wake.set()


def _answer(batch: list[_Asked]) -> None:
    """Fill in answers or errors; where the batch fails, everybody is asked alone, so that nobody fails for another."""
    first = batch[0]
    if len(batch) > 1:
        try:
            answers = first.recommender.recommend_many([one.query for one in batch], explain=first.explain)
        except Exception:
            answers = []
        for one, answer in zip(batch, answers, strict=False):
            one.answer = answer
    for one in batch:
        if one.answer is None:
            try:
                one.answer = one.recommender.recommend(one.query, explain=one.explain)
            except BaseException as error:
                one.error = error
