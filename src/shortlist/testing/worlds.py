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
