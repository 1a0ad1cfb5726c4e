from __future__ import annotations

import duckdb
import narwhals as nw
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.data.conditions import columns_of, parse, to_expression
from shortlist.errors import ConditionError

TABLE = pa.table(
    {
        "year": [1990.0, None, 2001.0, 1980.0],
        "genres": [["Comedy", "Drama"], ["Horror"], None, []],
        "title": ["A", "B", None, "D"],
        "in_stock": [True, False, True, None],
    }
)


def admitted(text: str) -> list[bool]:
    frame = nw.from_native(TABLE, eager_only=True)
    eager = frame.select(m=to_expression(parse(text), frame.schema, text))["m"].to_list()
    with duckdb.connect() as connection:  # the same condition on the engine that prepares tables
        lazy = nw.from_native(connection.from_arrow(TABLE)).lazy()
        assert lazy.select(m=to_expression(parse(text), lazy.collect_schema(), text)).collect()["m"].to_list() == eager
    return list(eager)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("year >= 1990", [True, False, True, False]),
        ("year = 1990 or year == 1980", [True, False, False, True]),
        ("not year < 1990", [True, True, True, False]),
        ('genres has "Comedy"', [True, False, False, False]),
        ("genres has 'Comedy' and year > 1985", [True, False, False, False]),
        ("(genres has 'Comedy' or genres has 'Horror') and not in_stock", [False, True, False, False]),
        ("title in ('A', 'D')", [True, False, False, True]),
        ("in_stock", [True, False, True, False]),
        ("in_stock != true", [False, True, False, False]),
        ("year != 1990 and title != 'D'", [False, False, False, False]),
    ],
)
def test_admits(text: str, expected: list[bool]) -> None:
    assert admitted(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("year >> 3", 6, "Expected a number"),
        ("yaer > 3", 0, "no column 'yaer'; did you mean 'year'"),
        ("year > 'x'", 0, "cannot be compared with 'x'"),
        ("genres = 'Comedy'", 0, "use 'has'"),
        ("year has 3", 0, "'has' needs a list"),
        ("year > 3 title", 9, "Expected 'and', 'or' or the end"),
        ("(year > 3", 9, r"Expected '\)'"),
        ("year > 3 & title = 'A'", 9, "Cannot read '&'"),
        ("", 0, "Expected a column name"),
        ("title in 'A'", 9, r"Expected '\(' after 'in'"),
    ],
)
def test_errors_point_at_the_character(text: str, position: int, message: str) -> None:
    with pytest.raises(ConditionError, match=message) as raised:
        to_expression(parse(text), nw.from_native(TABLE).schema, text)
    assert raised.value.position == position


@given(st.text(max_size=30))
def test_any_text_parses_or_is_refused(text: str) -> None:
    position: int | None = 0
    try:
        assert columns_of(parse(text))
    except ConditionError as error:
        position = error.position
    assert position is not None
    assert 0 <= position <= len(text)
