"""What follows what: against a count by hand, and on a world in which the last item says all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from shortlist.data.interactions import Interactions
from shortlist.data.preparation import prepare
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.errors import SettingsError
from shortlist.models.sequential_rules import SequentialRules
from shortlist.retrieval import dot
from shortlist.settings import SequentialRulesSettings, Settings
from shortlist.training.baselines import fit_baselines
from shortlist.training.retrievers import fit_retriever

ITEMS = 7


def log_of(rng: np.random.Generator, users: int = 30, length: int = 9) -> Interactions:
    """Few moments, so that many fall together; a fifth is not liked."""
    n = users * length
    user = np.repeat(np.arange(users, dtype=np.int32), length)
    time = np.sort(rng.integers(0, 8, (users, length)), axis=1).ravel()
    liked = rng.random(n) < 0.8
    return Interactions(user, rng.integers(0, ITEMS, n).astype(np.int32), time, liked, ~liked, num_users=users)


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_counts_are_those_by_hand(steps: int, in_order: bool) -> None:
    log = log_of(np.random.default_rng(steps))
    expected = np.zeros((ITEMS, ITEMS))
    for user in range(log.num_users):
        mine = np.flatnonzero((log.user_idx == user) & log.liked)
        for place, row in enumerate(mine):
            for distance, before in enumerate(mine[:place][::-1], start=1):
                i, j = log.item_idx[before], log.item_idx[row]
                if distance <= steps and i != j and (in_order or log.timestamp[before] < log.timestamp[row]):
                    expected[i, j] += 1 / distance
    settings = SequentialRulesSettings(steps=steps)
    model = SequentialRules.fit(log, ITEMS, settings, in_order=in_order)
    histories = Ragged.from_rows([[5, 2], [2, 5, 4], [0], []])
    scores = dot(model.encode_queries(QueryBatch(histories, Ragged.empty(4))), model.encode_items())
    np.testing.assert_allclose(scores, [expected[2], expected[4], expected[0], np.zeros(ITEMS)], rtol=1e-5)


def test_the_most_frequent_followers_are_kept() -> None:
    log = log_of(np.random.default_rng(0))
    every = SequentialRules.fit(log, ITEMS, SequentialRulesSettings()).encode_items().toarray().T
    few = SequentialRules.fit(log, ITEMS, SequentialRulesSettings(neighbours=2)).encode_items().toarray().T
    assert ((few > 0).sum(axis=1) == 2).all()
    for all_of, kept in zip(every, few, strict=True):
        best = np.lexsort((np.arange(ITEMS), -all_of))[:2]
        assert set(np.flatnonzero(kept)) == set(best)
        np.testing.assert_array_equal(kept[best], all_of[best])


def test_where_the_last_item_says_all_it_leads() -> None:
    """A ring of twenty items: the next is the one after; where people begin is chance, and they return too seldom for sets."""
    rng = np.random.default_rng(0)
    user, place = np.repeat(np.arange(200), 6), np.tile(np.arange(6), 200)
    item = (np.repeat(rng.integers(0, 20, 200), 6) + place) % 20
    columns = {"timestamp": "timestamp"}
    evaluated = {"baselines": ["popularity", "sequential_rules"]}
    settings = Settings.from_dict({"data": {"columns": columns}, "evaluation": evaluated})
    ring = prepare(
        pa.table({"user_id": user, "item_id": item, "timestamp": user * 100 + place}), settings=settings.data
    )
    parts = split(ring, settings.split)
    fitted = fit_baselines(ring, parts, settings)
    assert fitted.selected["sequential_rules"]["validation"] == 1.0
    first = fitted.retrievers["sequential_rules"]
    scores = dot(first.encode_queries(parts.test.queries), first.encode_items())
    assert (np.argmax(scores, axis=1) == parts.test.targets.values).all()


def test_without_times_it_says_so() -> None:
    timeless = prepare(pa.table({"user_id": [1, 1, 1, 1], "item_id": [1, 2, 3, 4]}))
    settings = Settings.from_dict({"evaluation": {"baselines": ["sequential_rules"]}})
    left_out = fit_baselines(timeless, split(timeless, settings.split), settings)
    assert left_out.notes == ["The baseline sequential_rules is left out: the interactions have no time."]
    asked = Settings.from_dict({"retriever": {"model": "sequential_rules"}})
    with pytest.raises(SettingsError, match="timestamp"):
        fit_retriever(timeless, split(timeless, asked.split), asked)
