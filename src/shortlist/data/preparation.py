"""Tables → ``Dataset``: one function for every engine narwhals speaks (DuckDB here, Spark on a cluster).

The order of the steps, and the rules they follow:

1. every named column must exist; a row without user, item, time or needed value stops or is dropped (``data.missing``);
2. ``liked`` and ``disliked`` are read from the conditions; live events, where given, are put to the log
   (``data.live_events``);
3. rows equal in user, item, time and value are one interaction;
4. of several interactions of one user with one item the first, the last or all count (``data.repeats``);
5. vocabularies: most frequent first, then by id;
6. sorted by user, then time, then the order of the source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import narwhals as nw
import numpy as np
import pyarrow as pa

from shortlist.data.assembly import CONTEXT, PART, assemble
from shortlist.data.availability import WINDOW
from shortlist.data.conditions import columns_of, parse, to_expression
from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import Schema
from shortlist.data.feature_tables import read_feature_table
from shortlist.data.live_events import LiveEvents, with_events
from shortlist.data.source_ids import canonical_ids, numbers_where_all_are
from shortlist.data.tables import (
    ROW,
    Source,
    TableReader,
    errors_explained,
    is_text,
    milliseconds_of,
    require_columns,
)
from shortlist.errors import DataError
from shortlist.settings import DataSettings, FeaturesSettings


def prepare(
    interactions: Source | Mapping[str, Source],
    users: Source | None = None,
    items: Source | None = None,
    settings: DataSettings | None = None,
    features: FeaturesSettings | None = None,
    negatives: Source | None = None,
    known: Schema | None = None,
    events: LiveEvents | None = None,
) -> Dataset:
    """Read tables into a frozen ``Dataset``.

    Args:
        interactions: file or data frame; or several by the part they play (``{"train": ..., "test": ...}``).
        users, items: feature tables, one row an id.
        settings: columns, conditions, rules.
        features: which columns are features.
        negatives: items to be ranked with each user's test targets, one row a pair of user and item.
        known: features as an artifact encodes them: their codes and scales are kept, new values added.
        events: what was said while serving, to be part of the log.

    Raises:
        DataError, ConditionError: see the module's steps.

    >>> log = pa.table({"user_id": ["ann", "ann", "bob"], "item_id": [7, 8, 7]})
    >>> data = prepare(log)
    >>> data.num_users, data.num_items, data.interactions.item_idx.tolist()
    (2, 2, [0, 1, 0])
    """
    settings, features = settings or DataSettings(), features or FeaturesSettings()
    if events is not None and isinstance(interactions, Mapping):
        raise DataError(
            "Events cannot be put to interactions whose parts are given: which part would they belong to? Take one table and "
            'a [split] method such as "last_out", or train without --events.'
        )
    with TableReader(settings.memory_limit) as reader, errors_explained():
        log = _open_interactions(reader, interactions, settings)
        log = reader.materialise(_roles(log, settings, features))
        rows_read = _count(log)
        log, dropped = _clean(reader, log, settings, rows_read, events)
        user_ids, item_ids = _vocabulary(log, "user_id"), _vocabulary(log, "item_id")
        table = _sorted_table(log, user_ids, item_ids, reader)
        titles = (settings.columns.title,) if settings.columns.title else ()
        windows = {role: column for role in WINDOW if (column := getattr(settings.columns, role))}
        feature_tables = {
            "user": read_feature_table(reader, users, settings.columns.user_id, user_ids, features.user, "users"),
            "item": read_feature_table(
                reader, items, settings.columns.item_id, item_ids, features.item, "items", titles, windows
            ),
        }
        given = None if negatives is None else _negatives(reader, negatives, settings)
    if is_text(interactions):
        user_ids, item_ids = numbers_where_all_are(user_ids), numbers_where_all_are(item_ids)
    rows_read += 0 if events is None else events.count
    return assemble(table, user_ids, item_ids, feature_tables, settings, features, rows_read, dropped, given, known)


def _open_interactions(
    reader: TableReader, source: Source | Mapping[str, Source], settings: DataSettings
) -> nw.LazyFrame[Any]:
    ids = (settings.columns.user_id, settings.columns.item_id)
    if not isinstance(source, Mapping):
        return reader.open(source, "interactions", ids)
    parts = [reader.open(one, f"interactions ({part})", ids) for part, one in source.items()]
    common = set.intersection(*(set(part.collect_schema().names()) for part in parts))
    return nw.concat(
        [_wide_numbers(part, common).with_columns(nw.lit(number).alias(PART)) for number, part in enumerate(parts)],
        how="vertical",
    )


def _wide_numbers(part: nw.LazyFrame[Any], columns: set[str]) -> nw.LazyFrame[Any]:
    """The columns all parts have, numbers in their widest form: one file's integers may be narrower than another's."""
    schema = part.collect_schema()
    wide = {name: nw.Int64 if schema[name].is_integer() else nw.Float64 for name in schema if schema[name].is_numeric()}
    return part.select(nw.col(name).cast(wide[name]) if name in wide else nw.col(name) for name in sorted(columns))


def _roles(log: nw.LazyFrame[Any], settings: DataSettings, features: FeaturesSettings) -> nw.LazyFrame[Any]:
    """Rename columns to the parts they play; keep what conditions and context features look at."""
    columns = settings.columns
    roles = {"user_id": columns.user_id, "item_id": columns.item_id}
    roles |= {role: name for role, name in (("timestamp", columns.timestamp), ("value", columns.value)) if name}
    context = {CONTEXT + name: spec.column or name for name, spec in features.context.items() if not spec.computed}
    for name, spec in features.context.items():
        if spec.computed not in (None, "history_count") and not columns.timestamp:
            raise DataError(
                f'The feature {name!r} (kind = "{spec.kind}") is computed from the time, and the interactions have none: set '
                "[data.columns] timestamp, or leave the feature out."
            )
    require_columns(log, [*roles.values(), *context.values()], "interactions")
    present = log.collect_schema().names()
    in_conditions = {c for text in _conditions(settings) for c in columns_of(parse(text)) if c in present}
    plain = (in_conditions | ({PART} & set(present))) - set(roles) - {ROW}
    chosen = {**roles, **context, **{name: name for name in plain}, ROW: ROW}
    return log.select(nw.col(source).alias(role) for role, source in chosen.items())


def _conditions(settings: DataSettings) -> list[str]:
    return [text for text in (settings.feedback.liked, settings.feedback.disliked) if text is not None]


def _clean(
    reader: TableReader,
    log: nw.LazyFrame[Any],
    settings: DataSettings,
    rows_read: int,
    events: LiveEvents | None,
) -> tuple[nw.LazyFrame[Any], dict[str, int]]:
    """Steps 1 to 4; returns what is left and what was dropped, by reason."""
    schema = log.collect_schema()
    if "timestamp" in schema:
        log = log.with_columns(milliseconds_of(log, "timestamp", "timestamp", settings.columns.timestamp or ""))
    if "value" in schema:
        log = log.with_columns(_value(schema["value"], settings.columns.value or ""))
    schema = log.collect_schema()
    needed = {"user_id", "item_id", "timestamp"} & set(schema)
    needed |= {c for text in _conditions(settings) for c in columns_of(parse(text)) if c in schema}
    dropped = {"missing value": _check_missing(log, sorted(needed), settings)}
    log = log.drop_nulls(sorted(needed))
    for name, text, default in (
        ("liked", settings.feedback.liked, True),
        ("disliked", settings.feedback.disliked, False),
    ):
        is_met = nw.lit(default) if text is None else to_expression(parse(text), schema, text)
        log = log.with_columns(is_met.alias(f"_{name}"))
    log = reader.materialise(log)
    if events is not None:
        given = _count(log) + events.count
        log = with_events(reader, log, events)
        dropped["superseded by an event, or of a deleted user"] = given - _count(log)
    keys = [c for c in ("user_id", "item_id", *((PART,) if PART in schema else ())) if c in schema]
    counts = [_count(log)]
    # without a time, equal rows are repeats: each is an interaction of its own
    same = [*keys, *(c for c in ("timestamp", "value") if c in schema)] if "timestamp" in schema else [*keys, ROW]
    log = _unique(log, same, "first", [ROW], counts)
    if settings.repeats != "all":
        log = _unique(log, keys, settings.repeats, [c for c in ("timestamp", ROW) if c in schema], counts)
    dropped["exact duplicate"] = counts[0] - counts[1]
    dropped[f"repeat ({settings.repeats} kept)"] = counts[1] - counts[-1]
    if counts[-1] == 0:
        raise DataError(
            f"No interaction is left of {rows_read:,} rows ({dropped}). Check [data.columns] and [data] missing."
        )
    return log, dropped


def _unique(
    log: nw.LazyFrame[Any],
    keys: Sequence[str],
    keep: Literal["first", "last"],
    order: Sequence[str],
    counts: list[int],
) -> nw.LazyFrame[Any]:
    """Keep one row a key; append how many are left. Counting first spares most logs the sort."""
    counts.append(_count(log.select(*keys).unique(list(keys))))
    return log if counts[-1] == counts[-2] else log.unique(list(keys), keep=keep, order_by=list(order))


def _value(dtype: Any, column: str) -> nw.Expr:
    if not dtype.is_numeric():
        raise DataError(f"Column {column!r} (value) holds {dtype}; expected numbers such as ratings.")
    value = nw.col("value").cast(nw.Float64)
    return nw.when(~value.is_nan()).then(value).alias("value")


def _check_missing(log: nw.LazyFrame[Any], needed: Sequence[str], settings: DataSettings) -> int:
    counts = (
        log.select(
            *(nw.col(name).is_null().cast(nw.Int64).sum().alias(name) for name in needed),
            nw.any_horizontal(*(nw.col(name).is_null() for name in needed), ignore_nulls=True)
            .cast(nw.Int64)
            .sum()
            .alias("_any"),
        )
        .collect()
        .rows(named=True)[0]
    )
    missing = int(counts.pop("_any") or 0)
    if missing and settings.missing == "error":
        where = ", ".join(f"{name!r} in {n:,} rows" for name, n in counts.items() if n)
        raise DataError(
            f"The interactions have missing values (empty or NaN): {where}. Every interaction needs them. "
            'Correct the table, or set [data] missing = "drop" to leave such rows out (the summary counts them).'
        )
    return missing


def _negatives(reader: TableReader, source: Source, settings: DataSettings) -> pa.Table:
    """Columns ``user_id`` and ``item_id``."""
    ids = (settings.columns.user_id, settings.columns.item_id)
    table = reader.open(source, "negatives", ids)
    require_columns(table, ids, "negatives")
    return table.select(nw.col(ids[0]).alias("user_id"), nw.col(ids[1]).alias("item_id")).collect("pyarrow").to_arrow()


def _count(frame: nw.LazyFrame[Any]) -> int:
    return int(frame.select(nw.len()).collect().item())


def _vocabulary(log: nw.LazyFrame[Any], column: str) -> pa.Array:
    ids = log.group_by(column).agg(nw.len().alias("_n")).sort("_n", column, descending=[True, False])
    return canonical_ids(ids.collect(backend="pyarrow").to_arrow().column(column).combine_chunks(), column)


def _sorted_table(log: nw.LazyFrame[Any], user_ids: pa.Array, item_ids: pa.Array, reader: TableReader) -> pa.Table:
    for column, ids, index in (("user_id", user_ids, "user_idx"), ("item_id", item_ids, "item_idx")):
        rows = pa.table({column: ids, index: pa.array(np.arange(len(ids), dtype=np.int32))})
        vocabulary: nw.LazyFrame[Any] = nw.from_native(reader.connection.from_arrow(rows)).lazy()
        log = log.join(vocabulary, on=column, how="inner").drop(column)
    names = log.collect_schema().names()
    order = ["user_idx", *(["timestamp"] if "timestamp" in names else []), ROW]
    return log.sort(*order).collect(backend="pyarrow").to_arrow()
