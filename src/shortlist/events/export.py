"""Events → a Parquet file that ``shortlist train`` reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection, select, text

from shortlist.data.source_ids import INTEGER
from shortlist.errors import DataError
from shortlist.events.store import EventStore
from shortlist.events.tables import events

SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "item_id": pa.string(),
        "event": pa.string(),
        "timestamp": pa.int64(),  # milliseconds since 1970, UTC
        "value": pa.float64(),
    }
)
_ROWS_AT_ONCE = 50_000


def export(store: EventStore, file: Path, since: int | None = None, until: int | None = None) -> int:
    """Write events as they stand at one moment, in the order they arrived; a block in memory at a time.

    Ids become integers where every one of them is written as an integer is (7, not 007), user by user and item by item
    column: the rule by which ``shortlist train`` reads text files, so that they meet the ids of the log they came from.

    Args:
        store: where from.
        file: where to; an older one is replaced in one step, when the new one is whole.
        since, until: only events from and before these times, milliseconds since 1970.

    Returns:
        how many events.

    Raises:
        DataError: the file cannot be written.
        StoreError: the store does not answer.
    """
    part = file.with_name(f".{file.name}.part-{os.getpid()}")
    try:
        with store.engines.explained(), store.engines.write.connect() as connection:
            rows, integers = _write(part, blocks(connection, since, until))
        if integers:
            _recast(part, integers)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(file)
    except OSError as error:
        raise DataError(f"Cannot write {file}: {error.strerror or error}. Check the folder and free space.") from None
    finally:
        part.unlink(missing_ok=True)
    return rows


def blocks(connection: Connection, since: int | None = None, until: int | None = None) -> Iterator[pa.Table]:
    """Events in ``SCHEMA``, in the order they arrived, all of one snapshot.

    They are found by their place, so that no block is slower than the one before.

    Args:
        connection: on which nothing was done yet; what is read on it afterwards is of the same snapshot.
        since, until: only events from and before these times, milliseconds since 1970.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("set transaction isolation level repeatable read, read only"))
    else:
        connection.exec_driver_sql("begin")
    last = 0
    while True:
        chosen = select(events).where(events.c.sequence > last).order_by(events.c.sequence).limit(_ROWS_AT_ONCE)
        rows = connection.execute(chosen).mappings().all()
        if not rows:
            return
        last = rows[-1]["sequence"]
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA)
        times = table["timestamp"]
        kept = pa.array([True] * len(table)) if since is None else pc.greater_equal(times, since)
        yield table.filter(kept if until is None else pc.and_(kept, pc.less(times, until)))


def _write(file: Path, blocks: Iterator[pa.Table]) -> tuple[int, list[str]]:
    """Number of rows, and the id columns that hold integers alone."""
    rows, integers = 0, {"user_id", "item_id"}
    with pq.ParquetWriter(file, SCHEMA) as writer:
        for block in blocks:
            writer.write_table(block)
            rows += len(block)
            integers = {
                one for one in integers if pc.all(pc.match_substring_regex(block[one], INTEGER)).as_py() is not False
            }
    return rows, sorted(integers) if rows else []


def _recast(file: Path, integers: list[str]) -> None:
    schema: Any = pa.schema([pa.field(f.name, pa.int64() if f.name in integers else f.type) for f in SCHEMA])
    fresh = file.with_name(f"{file.name}-recast")
    try:
        with pq.ParquetWriter(fresh, schema) as writer, pq.ParquetFile(file) as read:
            for batch in read.iter_batches(_ROWS_AT_ONCE):
                writer.write_table(pa.Table.from_batches([batch]).cast(schema))
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
