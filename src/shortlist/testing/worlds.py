"""Small worlds whose answer is known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.settings import Settings


def two_tastes(users: int = 60, items: int = 40, length: int = 12, seed: int = 0) -> Dataset:
    """Half of the people take only even items, the other half only odd ones, in random order.

    Item ``i`` has id ``100 + i``, the tag ``even`` or ``odd``, and a number; users have a category that does not help.
    Whoever liked even items must be recommended even ones.
    """
    rng = np.random.default_rng(seed)
    taste = np.arange(users) % 2
    taken = np.stack([rng.permutation(np.arange(t, items, 2))[:length] for t in taste])
    log = pa.table(
        {
            "user_id": np.repeat(np.arange(users), length),
            "item_id": 100 + taken.ravel(),
            "timestamp": np.tile(np.arange(length), users) * 60,
            "value": rng.integers(1, 6, users * length).astype(float),
        }
    )
    catalogue = pa.table(
        {
            "item_id": 100 + np.arange(items),
            "title": [f"Item {i}" for i in range(items)],
            "tags": ["even" if i % 2 == 0 else "odd" for i in range(items)],
            "size": np.arange(items, dtype=float),
        }
    )
    people = pa.table({"user_id": np.arange(users), "town": ["A", "B", "C", "D"] * (users // 4) + ["A"] * (users % 4)})
    settings = Settings.from_dict(
        {
            "data": {
                "columns": {"timestamp": "timestamp", "value": "value", "title": "title"},
                "feedback": {"disliked": "value <= 1"},
            },
            "features": {
                "item": {"tags": {"kind": "tags"}, "size": {"kind": "number"}},
                "user": {"town": {"kind": "category"}},
            },
        }
    )
    return prepare(log, people, catalogue, settings.data, settings.features)


def two_moods(users: int = 80, items: int = 40, length: int = 12, seed: int = 0) -> Dataset:
    """Each time anybody takes an item, they are in one of two moods, at random, and take an item of that mood.

    The mood is a feature of the moment, the item's is its tag ``kind``; which item of the mood is chance. A history is a
    mixture of both and says nothing of what comes next: who knows people by their histories cannot know, and who multiplies
    the moment's feature with the item's can. Items of number 4 and 5 modulo 6, their category ``grade``, are disliked.
    """
    rng = np.random.default_rng(seed)
    order = [np.argsort(rng.random((users, items // 2)), axis=1) * 2 + mood for mood in (0, 1)]
    mood = rng.integers(0, 2, (users, length))
    user = np.arange(users)[:, None]
    wild, calm = np.cumsum(mood, axis=1) - 1, np.cumsum(1 - mood, axis=1) - 1
    taken = np.where(mood == 1, order[1][user, wild], order[0][user, calm]).ravel()
    names = np.array(["calm", "wild"])
    log = pa.table(
        {
            "user_id": np.repeat(np.arange(users), length),
            "item_id": 100 + taken,
            "timestamp": np.tile(np.arange(length), users) * 3600,
            "value": np.where(taken % 6 >= 4, 1.0, 5.0),
            "mood": names[mood.ravel()],
        }
    )
    kinds, grades = names[np.arange(items) % 2], [str(i % 6) for i in range(items)]
    catalogue = pa.table({"item_id": 100 + np.arange(items), "kind": kinds, "grade": grades})
    columns = {"timestamp": "timestamp", "value": "value"}
    settings = Settings.from_dict(
        {
            "data": {"columns": columns, "feedback": {"disliked": "value <= 1"}},
            "features": {
                "item": {"kind": {"kind": "tags"}, "grade": {"kind": "category"}},
                "context": {"mood": {"kind": "category"}},
            },
        }
    )
    return prepare(log, None, catalogue, settings.data, settings.features)
