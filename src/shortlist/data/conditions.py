"""Conditions on columns: ``value >= 4``, ``genres has "Comedy" and not year < 1990``.

One small language for ``[data.feedback]``, for ``--where`` and for HTTP's ``where``:

    condition  := and ("or" and)*
    and        := not ("and" not)*
    not        := "not" not | "(" condition ")" | test
    test       := column ("=" | "==" | "!=" | "<" | "<=" | ">" | ">=") literal
                | column "has" literal            a tag stands in the list
                | column "in" "(" literal ("," literal)* ")"
                | column                          a true/false column
    literal    := 12 | -3.5 | "text" | 'text' | true | false

A missing value passes no test, and so passes every ``not`` of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any, Literal

import narwhals as nw

from shortlist.errors import ConditionError, did_you_mean

Value = float | int | str | bool
_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<string>\"[^\"]*\"|'[^']*')"
    r"|(?P<word>[^\W\d][\w.]*)|(?P<symbol><=|>=|==|!=|=|<|>|\(|\)|,))"
)
_COMPARE: dict[str, Callable[[nw.Expr, Any], nw.Expr]] = {
    "=": lambda column, value: column == value,
    "==": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}
_RESERVED = {"and", "or", "not", "has", "in", "true", "false"}
_MOST_NESTED = 50


@dataclass(frozen=True)
class Test:
    """One test of one column; ``position`` is where it begins in the text."""

    __test__ = False  # not a pytest class

    column: str
    operator: str
    value: Value | tuple[Value, ...]
    position: int


@dataclass(frozen=True)
class Combined:
    """``and``, ``or`` (two or more parts) or ``not`` (one part)."""

    operator: Literal["and", "or", "not"]
    parts: tuple[Condition, ...]


Condition = Test | Combined


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


@lru_cache(maxsize=1024)
def parse(text: str) -> Condition:
    """Read a condition. What was read before is remembered.

    Raises:
        ConditionError: with the position of the first character that does not fit.

    >>> parse("value >= 4")
    Test(column='value', operator='>=', value=4, position=0)
    """
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens()
        self.next = self.depth = 0

    def _tokens(self) -> list[_Token]:
        tokens, position = [], 0
        while self.text[position:].strip():
            match = _TOKEN.match(self.text, position)
            if match is None or match.lastgroup is None:
                at = position + len(self.text[position:]) - len(self.text[position:].lstrip())
                raise ConditionError(f"Cannot read {self.text[at]!r} in the condition", self.text, at)
            kind = match.lastgroup
            tokens.append(_Token(kind, match.group(kind), match.start(kind)))
            position = match.end()
        return [*tokens, _Token("end", "the end", len(self.text))]

    def parse(self) -> Condition:
        condition = self._combined("or")
        if self._peek().kind != "end":
            self._fail("'and', 'or' or the end")
        return condition

    def _peek(self) -> _Token:
        return self.tokens[self.next]

    def _accept(self, *texts: str) -> bool:
        token = self._peek()
        found = token.kind in ("word", "symbol") and token.text in texts
        self.next += found
        return found

    def _fail(self, expected: str) -> None:
        token = self._peek()
        got = token.text if token.kind == "end" else repr(token.text)
        raise ConditionError(f"Expected {expected} in the condition, got {got}", self.text, token.position)

    def _combined(self, operator: Literal["and", "or"]) -> Condition:
        below: Callable[[], Condition] = self._not if operator == "and" else lambda: self._combined("and")
        parts = [below()]
        while self._accept(operator):
            parts.append(below())
        return parts[0] if len(parts) == 1 else Combined(operator, tuple(parts))

    def _not(self) -> Condition:
        if self._accept("not"):
            return Combined("not", (self._nested(self._not),))
        if self._accept("("):
            inner = self._nested(lambda: self._combined("or"))
            if not self._accept(")"):
                self._fail("')'")
            return inner
        return self._test()

    def _nested(self, read: Callable[[], Condition]) -> Condition:
        if self.depth == _MOST_NESTED:  # Python's own limit would end the request without a word
            self._fail(f"at most {_MOST_NESTED} brackets and 'not' within each other")
        self.depth += 1
        inner = read()
        self.depth -= 1
        return inner

    def _test(self) -> Test:
        token = self._peek()
        if token.kind != "word" or token.text in _RESERVED:
            self._fail("a column name")
        self.next += 1
        following = self._peek()
        if following.kind == "symbol" and following.text in _COMPARE:
            self.next += 1
            return Test(token.text, following.text, self._literal(), token.position)
        if self._accept("has"):
            return Test(token.text, "has", self._literal(), token.position)
        if self._accept("in"):
            return Test(token.text, "in", self._literals(), token.position)
        return Test(token.text, "=", True, token.position)

    def _literals(self) -> tuple[Value, ...]:
        if not self._accept("("):
            self._fail("'(' after 'in'")
        values = [self._literal()]
        while self._accept(","):
            values.append(self._literal())
        if not self._accept(")"):
            self._fail("',' or ')'")
        return tuple(values)

    def _literal(self) -> Value:
        token = self._peek()
        self.next += 1
        if token.kind == "number":
            return _number(token.text)
        if token.kind == "string":
            return token.text[1:-1]
        if token.kind == "word" and token.text in ("true", "false"):
            return token.text == "true"
        self.next -= 1
        self._fail('a number, a "text" in quotes, true or false')
        raise AssertionError("unreachable")


def _number(text: str) -> float | int:
    """A whole number of 64 bits as it is; what is larger fits no integer column, and counts as a float."""
    if re.search(r"[.eE]", text) or len(text) > 20:
        return float(text)
    return int(text) if -(2**63) <= int(text) < 2**63 else float(text)


def columns_of(condition: Condition) -> set[str]:
    """Names of the columns a condition looks at."""
    if isinstance(condition, Test):
        return {condition.column}
    return set().union(*(columns_of(part) for part in condition.parts))


def to_expression(condition: Condition, dtypes: Mapping[str, nw.dtypes.DType], text: str) -> nw.Expr:
    """Compile for any narwhals frame (DuckDB, Polars, pandas, PyArrow, Spark).

    Raises:
        ConditionError: a column does not exist, or cannot be compared with the given value.
    """
    if isinstance(condition, Test):
        return _test_expression(condition, dtypes, text)
    parts = [to_expression(part, dtypes, text) for part in condition.parts]
    if condition.operator == "not":
        return ~parts[0]
    while len(parts) > 1:  # as a balanced tree: hundreds of parts in a row would be hundreds of calls deep
        pairs = zip_longest(parts[::2], parts[1::2])
        parts = [a if b is None else (a & b) if condition.operator == "and" else (a | b) for a, b in pairs]
    return parts[0]


def _test_expression(test: Test, dtypes: Mapping[str, nw.dtypes.DType], text: str) -> nw.Expr:
    if test.column not in dtypes:
        raise ConditionError(
            f"There is no column {test.column!r}; {did_you_mean(test.column, dtypes)}", text, test.position
        )
    dtype, column = dtypes[test.column], nw.col(test.column)
    is_list = isinstance(dtype, nw.List)
    if is_list != (test.operator == "has"):
        advice = "use 'has' with a list column" if is_list else "'has' needs a list (tags) column"
        raise ConditionError(f"Column {test.column!r} holds {dtype}: {advice}", text, test.position)
    inner = dtype.inner if isinstance(dtype, nw.List) else dtype
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    for value in values:
        if not _comparable(inner, value):
            raise ConditionError(
                f"Column {test.column!r} holds {dtype} and cannot be compared with {value!r}",
                text,
                test.position,
            )
    if inner.is_float() or any(isinstance(value, float) for value in values):
        # Arrow refuses a whole number that a float cannot hold to the last digit
        values = tuple(float(value) if isinstance(value, int) else value for value in values)
    if test.operator == "has":
        return column.list.contains(values[0]).fill_null(False)
    if test.operator == "in":
        return column.is_in(list(values)).fill_null(False)
    return _COMPARE[test.operator](column, values[0]).fill_null(False)


def _comparable(dtype: Any, value: Value) -> bool:
    if isinstance(value, bool):
        return bool(dtype == nw.Boolean)
    if isinstance(value, str):
        return bool(dtype == nw.String or dtype == nw.Categorical)
    return bool(dtype.is_numeric())
