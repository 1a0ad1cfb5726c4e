"""Users as people look for them: by the beginning of an id."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from shortlist.data.vocabulary import OutsideId, Vocabulary
from shortlist.recommender import Recommender
from shortlist.recommender.known import Known


class Catalogue:
    """Search over one recommender's users."""

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender
        self._user_texts = [str(one) for one in recommender.dataset.users.ids.to_pylist()]

    def over(self, recommender: Recommender) -> Catalogue:
        """The same people, with other items."""
        other = copy(self)
        other.recommender = recommender
        return other

    def users(self, search: str, limit: int) -> list[dict[str, Any]]:
        """Users whose id begins with the search; the most active where nothing is searched."""
        users: Vocabulary = self.recommender.dataset.users
        rows = [row for row, text in enumerate(self._user_texts) if text.startswith(search.strip())]
        rows.sort(key=lambda row: (self._user_texts[row] != search.strip(), row))
        lengths = np.diff(self.recommender.dataset.interactions.offsets)
        return [{"user_id": users.id(row), "history_length": int(lengths[row])} for row in rows[:limit]]

    def user(self, user_id: OutsideId, known: Known) -> dict[str, Any]:
        """One user's features, and history with live events, oldest first.

        Raises:
            UnknownIdError: neither the artifact nor the store knows them.
        """
        dataset = self.recommender.dataset
        if not known.is_somebody:
            dataset.users.row("" if known.events.forgotten else user_id)  # says that there is no such user
        history = [*self._trained(known.row), *self._live(known)]
        if dataset.has_time:
            history.sort(key=lambda one: one["timestamp"])
        features: dict[str, Any] = {}
        if known.row >= 0 and dataset.user_table.num_columns:
            values = dataset.user_table.slice(known.row, 1).to_pylist()[0]
            features = {name: value for name, value in values.items() if value is not None}
        shown = dataset.users.id(known.row) if known.row >= 0 else dataset.users.typed(user_id)
        return {"user_id": shown, "features": features, "history": history, "num_events": len(known.events.events)}

    def _trained(self, row: int) -> list[dict[str, Any]]:
        """What the artifact knows of a user."""
        dataset, log = self.recommender.dataset, self.recommender.dataset.interactions
        rows = np.arange(log.offsets[row], log.offsets[row + 1]) if row >= 0 else np.empty(0, dtype=np.int64)
        ids, shown = dataset.items.ids_of(log.item_idx[rows]), self.recommender.display(log.item_idx[rows])
        history = []
        for n, one in enumerate(rows.tolist()):
            entry: dict[str, Any] = {"item_id": ids[n], **shown[n], "liked": bool(log.in_history[one])}
            entry["disliked"] = bool(log.disliked[one])
            if dataset.has_time:
                entry["timestamp"] = int(log.timestamp[one]) // 1000
            if log.value is not None:
                entry["value"] = float(log.value[one])
            history.append(entry)
        return history

    def _live(self, known: Known) -> list[dict[str, Any]]:
        """What happened since; liked and disliked as they count now."""
        items = self.recommender.dataset.items
        rows = items.rows([one.item_id for one in known.events.events])
        shown = self.recommender.display(rows[rows >= 0])
        place, liked, disliked = iter(shown), set(known.state.liked), set(known.state.disliked)
        history = []
        for row, one in zip(rows.tolist(), known.events.events, strict=True):
            named = {"item_id": items.id(row), **next(place)} if row >= 0 else {"item_id": items.typed(one.item_id)}
            said = {"liked": one.item_id in liked, "disliked": one.item_id in disliked, "event": one.event}
            value = {} if one.value is None else {"value": one.value}
            history.append({**named, **said, "timestamp": one.timestamp // 1000, **value})
        return history
