"""The columns of an item as somebody writes them, checked one by one, and as a data set holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from shortlist.data.availability import WINDOW, Availability
from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import Column
from shortlist.data.moments import milliseconds
from shortlist.data.plain_columns import plain_values
from shortlist.errors import ItemError, QueryError, did_you_mean
from shortlist.settings import Settings

MAX_TEXT, MAX_TAGS = 20_000, 1_000
_LARGEST = 1e300
_EXPECTED = {
    "number": "a finite number",
    "category": "a text, a whole number, true or false",
    "tags": f"a list of at most {MAX_TAGS:,} texts, or one text",
    "text": "a text",
    "vector": "a list of {width} finite numbers",
}


class ItemColumns:
    """What is known of items in one artifact: its item table, as answers show it.

    Args:
        dataset: of the artifact.
        settings: of its run; a column may also be called what the item table calls it.
    """

    def __init__(self, dataset: Dataset, settings: Settings) -> None:
        self.features = {spec.name: spec for spec in dataset.schema.side("item")}
        self.fields: dict[str, pa.DataType] = {one.name: one.type for one in dataset.display.schema}
        self.texts = [name for name in self.fields if name not in self.features]
        self.names = [*self.fields, *WINDOW]
        roles = settings.data.columns
        called = {"title": roles.title, **{role: getattr(roles, role) for role in WINDOW}}
        called |= {name: one.column for name, one in settings.features.item.items()}
        self._aliases = {alias: name for name, alias in called.items() if alias and alias not in self.names}

    def check(self, given: Any) -> dict[str, Any]:
        """What somebody wrote → columns by the name that answers show, null and what is missing left out.

        Raises:
            ItemError: names the column, what was expected and what came.
        """
        if not isinstance(given, Mapping):
            raise ItemError(
                f"body: expected the item's columns as an object, got {_shown(given)}. Columns: {self._listed}."
            )
        columns: dict[str, Any] = {}
        for name, value in given.items():
            known = self._aliases.get(name, name)
            if known not in self.names:
                raise ItemError(f"{name[:80]}: items have no such column; {did_you_mean(name, self.names)}.")
            if known in columns:
                raise ItemError(f"{name}: it is {known!r}, which is there already. Give it once.")
            if value is not None:
                columns[known] = self._checked(known, value)
        first, last = (columns.get(role) for role in WINDOW)
        if first is not None and last is not None and milliseconds(first) > milliseconds(last):
            raise ItemError(f"{WINDOW[1]}: {last} is before {WINDOW[0]}, {first}. Correct one of them.")
        return columns

    def fitting(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Of columns checked for another artifact those that mean something here, too."""
        fitting = {}
        for name, value in stored.items():
            if name in self.names and value is not None:
                try:
                    fitting[name] = self._checked(name, value)
                except ItemError:
                    continue
        return fitting

    def place(self, columns: Mapping[str, Any]) -> bool:
        """Whether something is known by which a new item can be placed among the others."""
        return any(columns.get(name) not in (None, "", []) for name in self.features)

    def encoded(self, rows: Sequence[Mapping[str, Any]]) -> tuple[pa.Table, dict[str, Column]]:
        """Checked columns of L items → rows for ``Dataset.display``, and encoded features."""
        plain = {
            name: plain_values([row.get(name) for row in rows], spec.kind, spec.separator, name)
            for name, spec in self.features.items()
        }
        texts = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in self.texts}
        both = {**plain, **texts}
        shown = {name: _as(both[name], kind) for name, kind in self.fields.items()}
        return pa.table(shown), {name: spec.encode(plain[name]) for name, spec in self.features.items()}

    def windows(self, rows: Sequence[Mapping[str, Any]]) -> Availability:
        """From when until when L items may be shown."""
        moments = {
            role: pa.array([None if role not in row else int(milliseconds(row[role])) for row in rows], pa.int64())
            for role in WINDOW
        }
        return Availability.from_arrow(pa.table(moments))

    @property
    def _listed(self) -> str:
        return ", ".join(self.names)

    def _checked(self, name: str, value: Any) -> Any:
        if name in WINDOW:
            return _moment(name, value)
        spec = self.features.get(name)
        if spec is None:
            return _text(name, value, "a text")
        expected = _EXPECTED[spec.kind].format(width=spec.width)
        if spec.kind == "number":
            return _number(name, value, expected)
        if spec.kind == "vector":
            return self._vector(spec, value, expected)
        if spec.kind == "tags":
            tags = value if isinstance(value, list) else [value]
            if len(tags) > MAX_TAGS:
                raise ItemError(f"{name}: expected {expected}, got {len(tags):,}.")
            written = [_text(name, tag, expected) for tag in tags]
            return value if isinstance(value, str) else [tag for tag in written if tag]
        is_true_or_false = pa.types.is_boolean(self.fields[name])
        if isinstance(value, bool) and is_true_or_false:
            return value
        if is_true_or_false:
            raise ItemError(f"{name}: expected true or false, got {_shown(value)}.")
        return _text(name, value, expected)

    @staticmethod
    def _vector(spec: FeatureSpec, value: Any, expected: str) -> list[float]:
        if not isinstance(value, list) or len(value) != spec.width:
            raise ItemError(f"{spec.name}: expected {expected}, got {_shown(value)}.")
        return [_number(spec.name, number, expected) for number in value]


def _as(plain: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values of the feature in the type of the column: true and false are text where they are encoded."""
    if pa.types.is_boolean(kind):
        return pa.array([None if one is None else one == "true" for one in plain.to_pylist()], kind)
    return plain.cast(kind)


def _number(name: str, value: Any, expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_LARGEST <= value <= _LARGEST:
        raise ItemError(f"{name}: expected {expected}, got {_shown(value)}.")
    return float(value)


def _text(name: str, value: Any, expected: str) -> str:
    if isinstance(value, bool):
        value = str(value).lower()  # as in a table
    if isinstance(value, int):
        value = str(value) if abs(value) < 2**63 else None
    if not isinstance(value, str):
        raise ItemError(f"{name}: expected {expected}, got {_shown(value)}.")
    if len(value) > MAX_TEXT or not _is_writable(value):
        raise ItemError(f"{name}: expected at most {MAX_TEXT:,} characters of Unicode, got {_shown(value)}.")
    return value


def _moment(name: str, value: Any) -> str:
    """In ISO 8601: a number would have to be told from seconds again."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        with suppress(QueryError, OverflowError, ValueError, OSError):
            return datetime.fromtimestamp(milliseconds(value, name) / 1000, UTC).isoformat()
    raise ItemError(f"{name}: expected ISO 8601, seconds or milliseconds since 1970, got {_shown(value)}.")


def _is_writable(value: str) -> bool:
    """Half of a pair of surrogates is no text."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _shown(value: Any) -> str:
    try:
        return ascii(value)[:80]
    except RecursionError:
        return "lists in lists"
