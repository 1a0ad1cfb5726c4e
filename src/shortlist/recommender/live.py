"""A recommender that knows what happened since it was trained: every answer begins with the user's events."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from shortlist.data.vocabulary import OutsideId
from shortlist.errors import EventError, ShortlistError, StoreError
from shortlist.events.event import plain_id
from shortlist.events.marks import Mark
from shortlist.events.state import UserState
from shortlist.events.store import EventStore, UserEvents
from shortlist.recommender.fallback import fallback_for
from shortlist.recommender.known import Known, with_known
from shortlist.recommender.meanings import Meanings
from shortlist.recommender.query import Answer, Explain, Query
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.remembered import Remembered, is_timeless
from shortlist.recommender.shaping import Shaping
from shortlist.recommender.together import Together
from shortlist.settings import RerankSettings

LOG = logging.getLogger("shortlist.recommender")
_AT_ONCE = 40  # as many as the service answers at once
_REST_SECONDS = 1.0  # after the store failed, questions do without it for so long


class LiveRecommender:
    """Answers like its recommender, for whom the history goes on in the event store.

    What a user said last of an item counts, in the store or in the artifact. The store is read for each question, so that what
    one process acknowledged, the next question to any other knows; an answer is given again only while it says the same.

    When the store does not answer, the artifact does alone; when the model fails or takes too long, what is popular lately
    answers under the same filters. The answer's ``stages`` say so.

    Args:
        recommender: an artifact.
        store: None: no events are kept.
        timeout: seconds the model may take; None: as long as it takes. What took longer still runs to its end, unseen.
    """

    def __init__(self, recommender: Recommender, store: EventStore | None = None, timeout: float | None = None) -> None:
        self.recommender, self.store, self.timeout = recommender, store, timeout
        self._pool = None if timeout is None else ThreadPoolExecutor(_AT_ONCE, "shortlist-model")
        self.meanings = Meanings(recommender.settings)
        self.fallback = fallback_for(recommender)
        self._shaping = Shaping(recommender)
        self._store_rests_until = 0.0
        self._memory, self._together = Remembered(), Together()

    def over(self, recommender: Recommender, fallback: Recommender) -> LiveRecommender:
        """The same for another catalogue of the same artifact."""
        other = copy(self)
        other.recommender, other.fallback = recommender, fallback
        return other

    def recommend(
        self, query: Query, *, explain: Explain = True, rerank: Sequence[RerankSettings] | None = None
    ) -> Answer:
        """Answer one query.

        Args:
            query: who asks, and for what.
            explain: whether reasons are given.
            rerank: steps in place of the artifact's, for this answer; None: the artifact's.

        Raises:
            SettingsError: a step of ``rerank`` does not fit the data.
            UnknownIdError, QueryError, ConditionError: as ``Recommender.recommend``; a user of whom there are events is not
                unknown.
        """
        began = time.perf_counter()
        recommender = self.recommender if rerank is None else self.reranked(rerank)
        known = self.known(query.user_id)
        lasts = rerank is None and known.reached and is_timeless(recommender)
        found = self._memory.find(recommender, query, explain, known.events) if lasts else None
        if found is not None:
            return found
        stages: dict[str, dict[str, Any]] = {}
        if self.store is not None and query.user_id is not None:
            state = known.state
            stages["events"] = (
                {"events": len(known.events.events), "liked": len(state.liked), "disliked": len(state.disliked)}
                if known.reached
                else {"status": "unavailable", "fallback": "artifact"}
            ) | {"seconds": round(time.perf_counter() - began, 6)}
        answer = self._answer(recommender, with_known(query, known, self.recommender), explain)
        user_id = None if query.user_id is None else recommender.dataset.users.typed(query.user_id)
        answer = replace(answer, user_id=user_id, stages={**stages, **answer.stages})
        if lasts and "fallback" not in answer.stages:
            self._memory.keep(recommender, query, explain, known.events, answer)
        return answer

    def again(self, query: Query, *, explain: Explain = True) -> Answer | None:
        """The answer that was given before, where nothing changed and to know that takes microseconds.

        It never waits: for no model, no database, no disk. None: ``recommend`` has to find out.
        """
        if not is_timeless(self.recommender):
            return None

        def mark() -> Mark | None:
            if self.store is None or query.user_id is None:
                return UserEvents().mark
            try:
                return self.store.mark(plain_id(query.user_id, "user_id"))
            except EventError:
                return UserEvents().mark  # no event can bear such an id

        return self._memory.find_unread(self.recommender, query, explain, mark)

    def reranked(self, steps: Sequence[RerankSettings]) -> Recommender:
        """The recommender under other steps; what they look up of the items is kept.

        Raises:
            SettingsError: a step does not fit the data, or asks for too much.
            ConditionError: a condition cannot be read.
        """
        if self._shaping.recommender is not self.recommender:
            self._shaping = Shaping(self.recommender)
        return self._shaping.under(steps)

    def with_events(self, query: Query, until: int | None = None) -> Query:
        """A query as ``recommend`` asks it: with what is known of its user now, or was known at a time (see ``known``)."""
        return with_known(query, self.known(query.user_id, until), self.recommender)

    def known(self, user_id: OutsideId | None, until: int | None = None) -> Known:
        """What is known of a user; never raises for want of the store.

        Args:
            user_id: who.
            until: only from events before this time, milliseconds since 1970; None: now.
        """
        if user_id is None:
            return Known()
        row = int(self.recommender.dataset.users.rows([user_id])[0])
        try:
            key = plain_id(user_id, "user_id")
        except EventError:
            return Known(row=row)  # no event can bear such an id
        if self.store is None:
            return Known(row=row)
        if time.monotonic() < self._store_rests_until:
            return Known(row=row, reached=False)
        try:
            events = self.store.of_user(key, self.meanings.events.history, self.meanings.lasting)
        except StoreError:
            self._store_rests_until = time.monotonic() + _REST_SECONDS
            return Known(row=row, reached=False)
        if until is not None:
            events = replace(events, events=[one for one in events.events if one.timestamp < until])
        return Known(events, UserState.of(events.events, self.meanings), -1 if events.forgotten else row)

    def is_cold(self, query: Query, answer: Answer) -> bool:
        """Whether the list rests on no like at all."""
        rows = self.recommender.dataset.users.rows([query.user_id]) if query.user_id is not None else np.array([-1])
        offsets = self.recommender.dataset.interactions.offsets
        trained = rows[0] >= 0 and offsets[rows[0]] < offsets[rows[0] + 1]
        return not (query.history or trained or answer.stages.get("events", {}).get("liked"))

    def _answer(self, recommender: Recommender, query: Query, explain: Explain) -> Answer:
        try:
            if self._pool is None:
                return self._together.recommend(recommender, query, explain=explain)
            asked = self._pool.submit(self._together.recommend, recommender, query, explain=explain)
            if wait([asked], self.timeout).done:
                return asked.result()
            asked.cancel()
            reason = f"the model took more than {self.timeout:g} s"
            LOG.error("%s, %s answers", reason, self.fallback.retriever.name)
        except ShortlistError:
            raise  # what was asked is at fault
        except Exception as error:
            reason = f"the model failed ({type(error).__name__})"
            LOG.exception("%s, %s answers", reason, self.fallback.retriever.name)
        answer = self.fallback.recommend(query, explain=False)
        stage = {"reason": reason, "answer": self.fallback.retriever.name}
        return replace(answer, stages={"fallback": stage, **answer.stages})
