"""The tables of the store."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, Table, Text

metadata = MetaData()

events = Table(
    "events",
    metadata,
    # in the order of arrival: the last word where times tie
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("timestamp", BigInteger, nullable=False),  # milliseconds since 1970, UTC
    Column("value", Float(53)),
    Index("events_of_user", "user_id", "timestamp", "sequence"),
    sqlite_autoincrement=True,  # a number is never given twice, also after the newest rows are deleted
)

forgotten_users = Table(
    "forgotten_users",
    metadata,
    # whose history in an artifact no longer counts; sha256 of the id rather than the id
    Column("user_hash", Text, primary_key=True),
    Column("forgotten_at", BigInteger, nullable=False),
)

exposures = Table(
    "exposures",
    metadata,
    # answers that experiments gave, a row an answer
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("request_id", Text, nullable=False, unique=True),
    Column("experiment", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("share", Float(53), nullable=False),  # of all users, that the arm had then
    Column("is_control", Boolean, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("timestamp", BigInteger, nullable=False),  # milliseconds since 1970, UTC
    Column("items", Text, nullable=False),  # JSON list of item ids as text, the first place first
    Column("propensity", Text),  # JSON list beside them; null: nobody knows
    Column("given_above", Text),  # likewise
    Column("asked", Text),  # JSON of what the request said beside the user; null: it was too long to be kept
    Index("exposures_of_user", "user_id"),
    Index("exposures_in_time", "experiment", "timestamp"),
    sqlite_autoincrement=True,
)

items = Table(
    "items",
    metadata,
    # the last word on each item that was put or deleted over HTTP; a deleted one keeps its row, so that the artifact's is hidden
    Column("item_id", Text, primary_key=True),
    Column("document", Text),  # its columns as JSON; null: deleted
    Column("changed_at", BigInteger, nullable=False),  # milliseconds since 1970
    Column("revision", BigInteger, nullable=False, unique=True),  # grows with every change of any item
)
