"""Negatives of users who come again and again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.data.ragged import Ragged
from shortlist.negatives import Unobserved

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=6)


@given(rows=ROWS, seed=st.integers(0, 1000))
def test_never_an_own_item_and_all_others_alike(rows: list[list[int]], seed: int) -> None:
    sampler = Unobserved(Ragged.from_rows(rows), 10)
    users = np.array([u for u, row in enumerate(rows) if len(set(row)) < 10] * 3, dtype=int)
    drawn = sampler.of_rows(users, 5, np.random.default_rng(seed))
    for user, items, log_q in zip(users, drawn.item_idx, drawn.log_q, strict=True):
        left = set(range(10)) - set(rows[user])
        assert set(items.tolist()) <= left
        np.testing.assert_allclose(np.exp(log_q), 1 / len(left), rtol=1e-5)


def test_every_item_that_is_left_comes_equally_often() -> None:
    sampler = Unobserved(Ragged.from_rows([[0, 2, 3, 2], [], [4]]), 5)
    drawn = sampler.of_rows(np.array([0, 1, 2]), 60_000, np.random.default_rng(0)).item_idx
    for user, left in enumerate(([1, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3])):
        items, counts = np.unique(drawn[user], return_counts=True)
        assert items.tolist() == left
        np.testing.assert_allclose(counts, 60_000 / len(left), rtol=0.05)


def test_who_has_everything_is_told() -> None:
    sampler = Unobserved(Ragged.from_rows([[0], [0, 1]]), 2)
    assert sampler.has_some.tolist() == [True, False]
    with pytest.raises(ValueError, match="row 1 owns every item"):
        sampler.of_rows(np.array([0, 1]), 1, np.random.default_rng(0))


def test_an_item_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="own has item 5"):
        Unobserved(Ragged.from_rows([[5]]), 5)
