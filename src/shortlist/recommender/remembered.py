"""Answers that would come out the same again: kept while nothing that they rest on has changed."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shortlist.events.marks import MOST_EVENTS, Mark
from shortlist.events.store import Happened, UserEvents
from shortlist.recommender.query import Answer, Explain, Query
from shortlist.recommender.recommender import Recommender

_TIMELESS_RANKERS = {"gmf", "mlp", "neumf", "logistic_mf"}
_TIMELESS_STEPS = {"diversity", "calibration", "popularity", "rules", "boost"}
_TIMELESS_FEATURES = {None, "history_count"}
_MOST_IDS = 200  # longer questions cost more to compare than they would save


@dataclass(frozen=True)
class _Kept:
    """An answer and what it rests on besides the question."""

    recommender: weakref.ref[Recommender]
    events: Sequence[Happened]
    mark: Mark
    answer: Answer


class Remembered:
    """The last answers, for who asks the same again before anything happened.

    An answer rests on the question, on one ``Recommender`` (which never changes: a new artifact or item makes another one), on
    what the store has of who asks, and on the moment. The first three are compared, event by event; where the moment plays
    a part (``is_timeless``), nothing is kept. So what another process wrote is seen as ever. May be asked by several threads.

    Args:
        limit: recommended items held at most, in all answers, about 1.5 KB each; the least recently asked leave.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self.limit = limit
        self._held: OrderedDict[str, _Kept] = OrderedDict()
        self._items = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def find(self, recommender: Recommender, query: Query, explain: Explain, known: UserEvents) -> Answer | None:
        """The answer, where it is held and would be the same."""
        kept = self._of(recommender, query, explain)
        same = kept is not None and kept.mark.forgotten == known.forgotten and kept.events == known.events
        return kept.answer if kept is not None and same else None

    def find_unread(
        self, recommender: Recommender, query: Query, explain: Explain, mark: Callable[[], Mark | None]
    ) -> Answer | None:
        """The same without the events of who asks, by their mark, which is asked for only where an answer is held."""
        kept = self._of(recommender, query, explain)
        return kept.answer if kept is not None and kept.mark == mark() else None

    def keep(self, recommender: Recommender, query: Query, explain: Explain, known: UserEvents, answer: Answer) -> None:
        """Remember an answer, in the place of an older one to the same question; given again, its stages say so."""
        key = _key(query, explain)
        if key is None or len(known.events) > MOST_EVENTS or len(answer.items) > self.limit // 10:
            return
        again = replace(answer, stages={**answer.stages, "remembered": {"answer": "as before, nothing has changed"}})
        kept = _Kept(weakref.ref(recommender), known.events, known.mark, again)
        with self._lock:
            self._forget(key)
            self._held[key] = kept
            self._items += len(answer.items) + 1
            while self._items > self.limit:
                self._forget(next(iter(self._held)))

    def _of(self, recommender: Recommender, query: Query, explain: Explain) -> _Kept | None:
        key = _key(query, explain)
        if key is None:
            return None
        with self._lock:
            kept = self._held.get(key)
            if kept is None or kept.recommender() is not recommender:
                return None
            self._held.move_to_end(key)
            return kept

    def _forget(self, key: str) -> None:
        old = self._held.pop(key, None)
        if old is not None:
            self._items -= len(old.answer.items) + 1


def is_timeless(recommender: Recommender) -> bool:
    """Whether the same question has the same answer a moment later."""
    funnel = recommender.funnel
    return (
        recommender.dataset.availability is None
        and all(spec.computed in _TIMELESS_FEATURES for spec in recommender.dataset.schema.query)
        and (funnel.ranker is None or funnel.ranker.name in _TIMELESS_RANKERS)
        and all(step.name in _TIMELESS_STEPS for step in funnel.rerankers)
    )


def _key(query: Query, explain: Explain) -> str | None:
    """The question as text, in which 7, "7" and true are three; None: it is not one to be remembered."""
    lists = (query.history, query.disliked, query.exclude, query.allow or (), query.forget)
    if query.features or query.time is not None or not all(isinstance(one, (list, tuple)) for one in lists):
        return None
    return None if sum(map(len, lists)) > _MOST_IDS else f"{explain}{query!r}"
