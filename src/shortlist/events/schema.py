"""Brings a store's tables to the version this package reads: migrations that ship with it, each once, all or none."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from shortlist.errors import StoreError
from shortlist.events.engines import Engines

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x53484F52544C  # of PostgreSQL's advisory locks: replicas that start together migrate one after the other


def newest() -> str:
    """The version this package reads.

    >>> newest()
    '0003'
    """
    return max(file.name.split("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def migrate(engines: Engines) -> None:
    """Make the tables, or bring them up to date.

    Raises:
        StoreError: they are of a newer version, or cannot be changed.
    """
    with engines.explained(), engines.write.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        else:
            connection.exec_driver_sql("begin immediate")
        version = _version(connection)
        if version is not None and version > newest():
            raise StoreError(
                f"The event store {engines.shown} has version {version}; this shortlist reads up to {newest()}. Upgrade it."
            )
        if version != newest():
            _upgrade(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("select version_num from alembic_version")).scalar()
    return found


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
