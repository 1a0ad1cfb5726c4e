"""A log and what was said while serving, as one log: the newest word of a user on an item counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa

from shortlist.data.source_ids import INTEGER
from shortlist.data.tables import ROW, TableReader

_LIVE, _MEANING, _AT = "_live", "_meaning", "_at"
_PAIR = ("user_id", "item_id")


@dataclass(frozen=True)
class LiveEvents:
    """Events of a store as they are put to a log.

    Args:
        file: Parquet in the order of arrival: ``user_id`` and ``item_id`` as text, ``timestamp`` in milliseconds, ``value``, and
            ``meaning``, one of liked, taken, disliked, seen and cleared.
        count: how many.
        forgotten: sha256 of a deleted user's id → when, milliseconds since 1970; what the log says of them until then does
            not count.
        source: where they are from, for messages.
    """

    file: Path
    count: int
    forgotten: Mapping[str, int] = field(default_factory=dict)
    source: str = "the event store"


def with_events(reader: TableReader, log: nw.LazyFrame[Any], events: LiveEvents) -> nw.LazyFrame[Any]:
    """One log of both.

    What an event means in training is what it means while serving: a like or a dislike counts until the other comes or it
    is taken back, in the log, too; a view enters the history and takes no dislike back; what is taken back leaves an
    item known and nothing liked. Pairs of user and item of which there are no events stay as they are in the log.

    Args:
        reader: of both.
        log: with ``user_id``, ``item_id``, ``_liked``, ``_disliked``, the row's place, and maybe ``timestamp`` (milliseconds),
            ``value`` and further columns, which events lack. Without ``timestamp`` events come after all of the log.
        events: to be put to it.
    """
    log = _without_forgotten(reader, log, events.forgotten)
    live = reader.materialise(_like_the_log(log, reader.open(events.file, "events")))
    meaning = nw.when(nw.col("_disliked")).then(nw.lit("disliked")).when(nw.col("_liked")).then(nw.lit("liked"))
    log = log.with_columns(meaning.otherwise(nw.lit("seen")).alias(_MEANING), nw.lit(False).alias(_LIVE))
    for column in _PAIR:
        log, live = _same_ids(log, live, column)
    names = log.collect_schema().names()
    order = [name for name in ("timestamp", ROW) if name in names]
    rows = nw.concat([log, live.select(*names)], how="vertical").with_row_index(_AT, order_by=order)
    return reader.materialise(_settled(reader.materialise(rows)).drop(_AT, _MEANING, _LIVE))


def _without_forgotten(reader: TableReader, log: nw.LazyFrame[Any], forgotten: Mapping[str, int]) -> nw.LazyFrame[Any]:
    """Without what the log says of users until they were deleted."""
    if not forgotten:
        return log
    ids = log.select("user_id").unique().collect(backend="pyarrow").to_arrow().column("user_id").combine_chunks()
    hashes = [hashlib.sha256(str(one).encode()).hexdigest() for one in ids.to_pylist()]
    mine = [place for place, one in enumerate(hashes) if one in forgotten]
    if not mine:
        return log
    table = pa.table({"user_id": ids.take(pa.array(mine)), "_until": [forgotten[hashes[place]] for place in mine]})
    deleted: nw.LazyFrame[Any] = nw.from_native(reader.connection.from_arrow(table)).lazy()
    stays = nw.col("_until").is_null()
    if "timestamp" in log.collect_schema():
        stays = stays | (nw.col("timestamp") > nw.col("_until"))
    return reader.materialise(log.join(deleted, on="user_id", how="left").filter(stays).drop("_until"))


def _like_the_log(log: nw.LazyFrame[Any], events: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Events with the log's columns, where they have them, after its rows."""
    schema, last = log.collect_schema(), log.select(nw.col(ROW).max()).collect().item()
    after = nw.lit(0 if last is None else int(last) + 1)
    place = nw.col(ROW) if "timestamp" in schema else nw.col("_in_time")
    known = {
        "user_id": nw.col("user_id"),
        "item_id": nw.col("item_id"),
        "timestamp": nw.col("timestamp"),
        "value": nw.col("value"),
        "_liked": nw.col("meaning").is_in(["liked", "taken"]),
        "_disliked": nw.col("meaning") == "disliked",
        ROW: (place + after).cast(schema[ROW]),
    }
    nothing = {name: nw.lit(None).cast(dtype) for name, dtype in schema.items() if name not in known}
    columns = {name: known.get(name, nothing.get(name)) for name in schema}
    return events.with_row_index("_in_time", order_by=["timestamp", ROW]).select(
        *(column.alias(name) for name, column in columns.items() if column is not None),
        nw.col("meaning").alias(_MEANING),
        nw.lit(True).alias(_LIVE),
    )


def _same_ids(
    log: nw.LazyFrame[Any], live: nw.LazyFrame[Any], column: str
) -> tuple[nw.LazyFrame[Any], nw.LazyFrame[Any]]:
    """Ids of one type in both: the log's numbers, unless an event has one that is no number."""
    dtype = log.collect_schema()[column]
    if dtype == nw.String:
        return log, live
    other = live.filter(~nw.col(column).str.contains(INTEGER)).select(nw.len()).collect().item()
    if not other:
        wide = nw.Int64 if dtype.is_integer() else dtype
        return log.with_columns(nw.col(column).cast(wide)), live.with_columns(nw.col(column).cast(wide))
    plain = nw.col(column).cast(nw.Int64) if dtype.is_float() else nw.col(column)
    return log.with_columns(plain.cast(nw.String)), live


def _settled(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Of every pair of which there are events, the rows that still count. ``UserState`` tells the same of one user."""
    at, meaning, live = nw.col(_AT), nw.col(_MEANING), nw.col(_LIVE)

    def last(is_one: nw.Expr) -> nw.Expr:
        return nw.when(is_one).then(at).otherwise(-1).max().over(*_PAIR)

    rows = rows.with_columns(last(live).alias("_touched"), last(meaning == "cleared").alias("_cleared"))
    touched, is_cleared = nw.col("_touched") >= 0, at <= nw.col("_cleared")
    # a like by mistake leaves nothing behind; what was taken, or stands in the log, stays known
    gone = (meaning == "cleared") | (is_cleared & live & meaning.is_in(["liked", "disliked"]))
    known = [nw.when(is_cleared).then(nw.lit(False)).otherwise(nw.col(c)).alias(c) for c in ("_liked", "_disliked")]
    rows = rows.filter(~gone).with_columns(
        nw.when(is_cleared).then(nw.lit("seen")).otherwise(meaning).alias(_MEANING), *known
    )
    takes = meaning.is_in(["liked", "taken"])
    rows = rows.with_columns(
        last(takes).alias("_takes"),
        last(meaning == "liked").alias("_likes"),
        last(meaning == "disliked").alias("_dislikes"),
    )
    stays = (
        nw.when(nw.col("_dislikes") > nw.col("_likes"))
        .then(at == nw.col("_dislikes"))
        .when(nw.col("_takes") >= 0)
        .then(takes)
        .otherwise(nw.lit(True))
    )
    return rows.filter(~touched | stays).drop("_touched", "_cleared", "_takes", "_likes", "_dislikes")
