from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shortlist.data.ragged import Ragged, slices

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=6)


def rows_of(ragged: Ragged) -> list[list[int]]:
    return [ragged.row(i).tolist() for i in range(len(ragged))]


@given(ROWS)
def test_rows_come_back(rows: list[list[int]]) -> None:
    assert rows_of(Ragged.from_rows(rows)) == rows


@given(ROWS, st.data())
def test_take_is_list_indexing(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8))
    assert rows_of(Ragged.from_rows(rows).take(np.array(chosen, dtype=int))) == [rows[i] for i in chosen]


@given(ROWS, st.integers(1, 4))
def test_last_and_padded(rows: list[list[int]], n: int) -> None:
    ragged = Ragged.from_rows(rows)
    assert rows_of(ragged.last(n)) == [row[-n:] for row in rows]
    assert ragged.padded(n, fill=-1).tolist() == [(row + [-1] * n)[:n] for row in rows]


@given(ROWS)
def test_where_and_concat(rows: list[list[int]]) -> None:
    ragged = Ragged.from_rows(rows)
    assert rows_of(ragged.where(ragged.values % 2 == 0)) == [[v for v in row if v % 2 == 0] for row in rows]
    assert rows_of(ragged.concat_rows(Ragged.from_rows(rows[::-1]))) == [
        a + b for a, b in zip(rows, rows[::-1], strict=True)
    ]


def test_slices_of_nothing() -> None:
    assert rows_of(slices(np.arange(3), np.array([1, 2]), np.array([1, 2]))) == [[], []]
