"""The event store → events as they are put to a log, with what each means to this run."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection, select

from shortlist.data.live_events import LiveEvents
from shortlist.errors import DataError
from shortlist.events import EventStore
from shortlist.events.export import SCHEMA, blocks
from shortlist.events.tables import forgotten_users
from shortlist.recommender.meanings import Meanings
from shortlist.settings import Settings

_SHOWN = 5


@contextmanager
def kept_events(url: str, settings: Settings) -> Iterator[LiveEvents]:
    """All events of one moment, in a file for as long as the context lasts; a block in memory at a time.

    Args:
        url: of the store, which must be there.
        settings: ``[events]`` and ``[data.feedback]`` say what words and values mean.

    Raises:
        StoreError: the store does not answer.
        DataError: it holds no event that means anything.
    """
    with tempfile.TemporaryDirectory(prefix="shortlist-events-") as folder, EventStore(url, create=False) as store:
        file, words = Path(folder, "events.parquet"), Counter[str]()
        with store.engines.explained(), store.engines.write.connect() as connection:
            count = _write(connection, file, Meanings(settings), words)
            forgotten = {one.user_hash: one.forgotten_at for one in connection.execute(select(forgotten_users))}
        shown = store.engines.shown
        if not count and not forgotten:
            others = ", ".join(f"{word} ({n:,})" for word, n in words.most_common(_SHOWN))
            held = f"{words.total():,} events of other words, such as {others}" if words else "no event at all"
            raise DataError(
                f"--events: there is nothing new to learn: {shown} holds {held}. Expected words that [events] gives a "
                "meaning, such as like, view or dislike; train without --events, or set [events] for yours."
            )
        yield LiveEvents(file, count, forgotten, shown)


def _write(connection: Connection, file: Path, meanings: Meanings, others: Counter[str]) -> int:
    """Write events that mean something; counts the others by word."""
    schema = pa.schema([*(field for field in SCHEMA if field.name != "event"), pa.field("meaning", pa.string())])
    count = 0
    with pq.ParquetWriter(file, schema) as writer:
        for block in blocks(connection):
            words, values = (block.column(name).combine_chunks() for name in ("event", "value"))
            meaning = meanings.of_columns(words, values)
            table = block.drop_columns(["event"]).append_column("meaning", meaning)
            writer.write_table(table.filter(pc.is_valid(meaning)).cast(schema))
            count += len(meaning) - meaning.null_count
            others.update(words.filter(pc.is_null(meaning)).to_pylist())
    return count
