"""The draw itself: every ball that is left is reached by exactly one number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.ragged import Ragged
from shortlist.negatives.urn import Urn


class EveryNumberOnce:
    """In a generator's place: 0, 1, 2, … for each row."""

    def integers(self, high: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return np.broadcast_to(np.arange(size[1]), size) % high


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_balls_left_are_drawn_once_each(data: st.DataObject) -> None:
    balls = np.array(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=8).filter(any)))
    own_items = st.lists(st.integers(0, len(balls) - 1), max_size=12)
    rows: list[list[int]] = data.draw(st.lists(own_items, min_size=1, max_size=4))
    left = [np.delete(np.arange(len(balls)), row).repeat(np.delete(balls, row)) for row in rows]
    urn, own = Urn(balls), Ragged.from_rows(rows)
    if not all(map(len, left)):
        with pytest.raises(ValueError, match="own every item that can be drawn"):
            urn.outside(own, 1, np.random.default_rng(0))
        return
    most = max(map(len, left))
    rng: Any = EveryNumberOnce()
    drawn = urn.outside(own, most, rng)
    for row, wanted in enumerate(left):
        assert drawn.item_idx[row, : len(wanted)].tolist() == wanted.tolist()
        np.testing.assert_allclose(np.exp(drawn.log_q[row]) * len(wanted), balls[drawn.item_idx[row]], rtol=1e-6)


def test_errors_teach() -> None:
    urn, rng = Urn(np.array([1, 1, 0])), np.random.default_rng(0)
    with pytest.raises(ValueError, match="1 of 2 queries, first row 1, own every item"):
        urn.outside(Ragged.from_rows([[0], [1, 0]]), 1, rng)
    with pytest.raises(ValueError, match=r"own has item -1; there are 3 items.*Leave padding out"):
        urn.outside(Ragged.from_rows([[0], [-1]]), 1, rng)
    with pytest.raises(ValueError, match="own has item 3"):
        urn.outside(Ragged.from_rows([[3]]), 1, rng)
    with pytest.raises(ValueError, match="too many"):
        Urn(np.array([2**40])).outside(Ragged.empty(2**23), 1, rng)
    for balls in ([], [0, 0], [2, -1]):
        with pytest.raises(ValueError, match="at least one ball"):
            Urn(np.array(balls, dtype=np.int64))


def test_nothing_asked_nothing_drawn() -> None:
    rng = np.random.default_rng(0)
    assert Urn(np.ones(3, np.int64)).outside(Ragged.empty(0), 5, rng).item_idx.shape == (0, 5)
    assert Urn(np.ones(3, np.int64)).outside(Ragged.empty(2), 0, rng).item_idx.shape == (2, 0)
