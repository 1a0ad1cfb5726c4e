"""What the event store and the artifact know of who asks, and the question with that in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from shortlist.data.vocabulary import OutsideId
from shortlist.events.state import UserState
from shortlist.events.store import UserEvents
from shortlist.recommender.query import Query
from shortlist.recommender.recommender import Recommender


@dataclass(frozen=True)
class Known:
    """What the store and the artifact know of who asks.

    Args:
        events, state: as the store keeps them, and what they say.
        row: of the user in the artifact's vocabulary; -1: unknown there, or forgotten since.
        reached: whether the store answered.
    """

    events: UserEvents = field(default_factory=UserEvents)
    state: UserState = field(default_factory=UserState)
    row: int = -1
    reached: bool = True

    @property
    def is_somebody(self) -> bool:
        """Whether anything is known of this user."""
        return self.row >= 0 or bool(self.events.events)


def with_known(query: Query, known: Known, recommender: Recommender) -> Query:
    """The query as if the client had said all that the store knows; what it says itself is newer."""
    forgotten = known.events.forgotten
    if not known.events.events:
        return replace(query, user_id=None) if forgotten else query
    items, state = recommender.dataset.items, known.state
    said_now = set(items.rows([*query.history, *query.disliked]).tolist())

    def ids(texts: Sequence[str], leave: set[int]) -> list[OutsideId]:
        rows = items.rows(texts)
        return items.ids_of(np.array([row for row in rows.tolist() if row >= 0 and row not in leave], dtype=np.int64))

    removes_seen = query.seen == "remove" and recommender.settings.split.seen == "remove"
    history = ids(state.liked, said_now | _still_disliked(known, recommender))
    disliked = ids(state.disliked, said_now)
    excluded = ids(sorted(state.seen), said_now) if removes_seen else []
    return replace(
        query,
        user_id=query.user_id if known.row >= 0 else None,
        history=[*history, *query.history],
        disliked=[*disliked, *query.disliked],
        exclude=[*query.exclude, *excluded],
        forget=ids(sorted(state.cleared), set()),
        last_time=None if said_now else _last_time(known, recommender),
    )


def _still_disliked(known: Known, recommender: Recommender) -> set[int]:
    """Items the artifact has as disliked, and no like since has taken back: to view one again is none."""
    if known.row < 0:
        return set()
    dataset, log, state = recommender.dataset, recommender.dataset.interactions, known.state
    mine = slice(log.offsets[known.row], log.offsets[known.row + 1])
    times = log.timestamp[mine] if dataset.has_time else np.zeros(mine.stop - mine.start, dtype=np.int64)
    disliked = log.disliked[mine]
    disliked_at = dict(zip(log.item_idx[mine][disliked].tolist(), times[disliked].tolist(), strict=True))
    liked_at = {
        int(row): at
        for row, at, one in zip(dataset.items.rows(state.liked), state.liked_at, state.liked, strict=True)
        if one in state.said
    }
    return {row for row, at in disliked_at.items() if liked_at.get(row, -1) < at}


def _last_time(known: Known, recommender: Recommender) -> float | None:
    times = [] if known.state.last_time is None else [float(known.state.last_time)]
    log = recommender.dataset.interactions
    if known.row >= 0:
        times += log.last_times(log.offsets[[known.row]], log.offsets[[known.row + 1]]).tolist()
    return max((one for one in times if one == one), default=None)
