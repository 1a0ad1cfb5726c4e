"""Asking a recommender what it would have shown, and how likely, in the place of answers that were given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.errors import ShortlistError
from shortlist.experiments.outcomes import Outcomes
from shortlist.recommender import Answer, Query
from shortlist.recommender.live import LiveRecommender
from shortlist.reranking.plackett_luce import at_places, given_above

Codes = NDArray[np.int64]
Values = NDArray[np.float64]
_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Replay:
    """What a target would have shown in the place of some answers.

    Args:
        is_answered: [A] whether it would have answered at all.
        chance, chance_above: [n] how likely it shows the shown item at its place, and given those above it; 0 of answers that
            it would not have given.
        wanted: [m] answer, item (code in ``Outcomes.items``, or -1) and place of what it would have shown.
    """

    is_answered: NDArray[np.bool_]
    chance: Values
    chance_above: Values
    wanted: tuple[Codes, Codes, Codes]


def replay(found: Outcomes, answers: Codes, live: LiveRecommender) -> Replay:
    """Ask again, with what was known of each user at the time.

    Args:
        found: what was shown.
        answers: [a] ascending, which of them are asked again; their ``asked`` is known.
        live: the target, and the store that knows the users' events.

    A target that draws is asked for one draw: what it would have shown varies, and is right on average.
    """
    starts = np.searchsorted(found.answer, np.arange(len(found.arm) + 1))
    is_answered = np.zeros(len(found.arm), dtype=bool)
    chance, above = np.zeros(len(found.answer)), np.zeros(len(found.answer))
    codes = dict(zip(found.items.to_pylist(), range(len(found.items)), strict=True))
    wanted: list[tuple[Codes, Codes, Codes]] = []
    for first in range(0, len(answers), _AT_ONCE):
        chosen = answers[first : first + _AT_ONCE]
        for number, answer in zip(chosen.tolist(), _asked_again(found, chosen, live), strict=True):
            if answer is None:
                continue
            rows = slice(starts[number], starts[number + 1])
            shown = found.items.take(found.item[rows]).to_pylist()
            is_answered[number] = True
            chance[rows], above[rows] = _chances(answer, live.recommender.dataset.items.rows(shown), shown)
            size = len(shown)  # rewards beyond what was shown are unknown
            own = np.array([codes.get(str(one.item_id), -1) for one in answer.items[:size]], dtype=np.int64)
            wanted.append((np.full(len(own), number), own, np.arange(len(own))))
    joined = [np.concatenate([np.empty(0, dtype=np.int64), *(one[part] for one in wanted)]) for part in range(3)]
    return Replay(is_answered, chance, above, (joined[0], joined[1], joined[2]))


def _asked_again(found: Outcomes, answers: Codes, live: LiveRecommender) -> Sequence[Answer | None]:
    """None: the target does not know the user, or cannot be asked so."""
    queries: list[Query | None] = []
    for number in answers.tolist():
        said = json.loads(found.asked[number].as_py())
        at = int(found.time[number])
        query = Query(**{"time": at, **said, "user_id": found.users[int(found.user[number])].as_py()})
        queries.append(live.with_events(query, at) if live.known(query.user_id, at).is_somebody else None)
    asked = [query for query in queries if query is not None]
    try:
        given: list[Answer | None] = list(live.recommender.recommend_many(asked))
    except ShortlistError:  # one of them cannot be answered
        given = [_answer(query, live) for query in asked]
    answered = iter(given)
    return [None if query is None else next(answered) for query in queries]


def _answer(query: Query, live: LiveRecommender) -> Answer | None:
    try:
        return live.recommender.recommend(query, explain=False)
    except ShortlistError:
        return None


def _chances(answer: Answer, rows: NDArray[np.int32], shown: Sequence[str]) -> tuple[Values, Values]:
    """[k] how likely the target shows each item at its place; and given those above it."""
    chance = np.zeros(len(shown))
    if answer.draw is None:
        own = [str(one.item_id) for one in answer.items]
        for place, item in enumerate(shown[: len(own)]):
            chance[place] = item == own[place]
        return chance, chance
    row_of = dict(zip(answer.draw.item_idx.tolist(), range(len(answer.draw.item_idx)), strict=True))
    order = np.array([row_of.get(row, -1) for row in rows.tolist()], dtype=np.int64)
    could = np.flatnonzero(order >= 0)
    above = np.zeros(len(shown))
    if len(could):
        chance[could] = at_places(answer.draw.logits, order[could], could)
    first = int(np.argmax(order < 0)) if (order < 0).any() else len(order)
    if first:
        above[:first] = given_above(answer.draw.logits, order[:first])
    return chance, above
