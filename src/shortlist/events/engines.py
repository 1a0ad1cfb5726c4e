"""Connections to a store: SQLite in one file, or PostgreSQL; what makes an acknowledged event durable in each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError

from shortlist.errors import StoreError

_BUSY_SECONDS = 5  # how long SQLite waits for another process that writes
_SQLITE = ("pragma journal_mode = wal", "pragma synchronous = full", "pragma fullfsync = 1")
_READERS = 16  # connections kept; a few more for a moment


class Engines:
    """One engine that reads without transactions and one that writes in them.

    SQLite writes ahead of its file (WAL) and brings every commit to disk (``synchronous = full``; on macOS ``fullfsync``);
    PostgreSQL must not answer before its log is on disk (``synchronous_commit``). A file that disappears under a running
    server is never made anew by it: what went into the old one would be lost without a word.

    Args:
        url: ``sqlite:///events.db``, ``postgresql://user:password@host/name``, or the path of an SQLite file.

    Raises:
        StoreError: it cannot be read as one of these.
    """

    def __init__(self, url: str) -> None:
        self.url = _read(url)
        self.shown = self.url.render_as_string(hide_password=True)
        self.file = Path(self.url.database or "").absolute() if self.url.drivername == "sqlite" else None
        self.write, self.read = self._sqlite() if self.file else self._postgresql()
        self._inode: tuple[int, int] | None = None

    @property
    def sqlite_address(self) -> str:
        """SQLite's file as a URI that makes no file anew; "": it is PostgreSQL."""
        return "" if self.file is None else f"file:{_quoted(str(self.file))}?mode=rw"

    def create_file(self) -> None:
        """Make SQLite's file where there is none.

        Raises:
            StoreError: the folder cannot be written.
        """
        if self.file is None:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.touch(mode=0o600)  # who did what is nobody else's business
        except OSError as error:
            raise StoreError(
                f"Cannot make the event store {self.file}: {error.strerror}. Choose another with --events, or none."
            ) from None

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Around every use: turns what the database says into a ``StoreError``, without what was written.

        Errors about the values themselves pass as they are: the store is well.
        """
        try:
            self._same_file()
            yield
            self._same_file()
        except (DataError, IntegrityError):
            raise
        except (SQLAlchemyError, ImportError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise StoreError(f"The event store {self.shown} does not answer: {reason}.") from error

    def reading(self, once: Any) -> Any:
        """``once(connection)``, and once more where the connection turns out to have been lost meanwhile."""
        with self.explained():
            try:
                with self.read.connect() as connection:
                    return once(connection)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                with self.read.connect() as connection:
                    return once(connection)

    def close(self) -> None:
        """Give all connections back."""
        self.write.dispose()
        self.read.dispose()

    def _same_file(self) -> None:
        if self.file is None:
            return
        try:
            found = os.stat(self.file)
        except OSError as error:
            self._inode = None
            self.close()  # connections to what is no longer there
            raise StoreError(f"The event store {self.file} is gone: {error.strerror}.") from None
        if self._inode != (found.st_dev, found.st_ino):
            self.close()
            self._inode = (found.st_dev, found.st_ino)

    def _sqlite(self) -> tuple[Engine, Engine]:
        url = URL.create("sqlite", database=self.sqlite_address.partition("?")[0], query={"mode": "rw", "uri": "true"})
        arguments = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
        write = create_engine(url, connect_args={**arguments, "isolation_level": "IMMEDIATE"}, pool_size=2)
        read = create_engine(
            url, connect_args=arguments, isolation_level="AUTOCOMMIT", pool_size=_READERS, max_overflow=2 * _READERS
        )
        for engine in (write, read):
            event.listen(engine, "connect", _prepare_sqlite)
        return write, read

    def _postgresql(self) -> tuple[Engine, Engine]:
        arguments = {"connect_timeout": 3, "tcp_user_timeout": 5_000, "application_name": "shortlist"}
        try:
            write = create_engine(self.url, connect_args=arguments, pool_size=2)
            read = create_engine(
                self.url,
                connect_args={**arguments, "options": "-c statement_timeout=5000"},
                isolation_level="AUTOCOMMIT",
                pool_size=_READERS,
                max_overflow=2 * _READERS,
                pool_timeout=3,
            )
        except ImportError:
            raise StoreError("PostgreSQL needs its driver: pip install 'shortlist[postgres]'.") from None
        event.listen(write, "connect", _prepare_postgresql)
        return write, read


def _read(url: str) -> URL:
    if "://" not in url:
        return URL.create("sqlite", database=url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is not None and parsed.drivername == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    if parsed is not None and parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    # it is not repeated here: it may hold a password
    raise StoreError(
        "events: expected sqlite:///FILE (as sqlite:///events.db, or sqlite:////var/lib/events.db), "
        "postgresql://USER:PASSWORD@HOST/NAME, or the path of an SQLite file."
    )


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _prepare_sqlite(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE:
        cursor.execute(pragma)
    cursor.close()


def _prepare_postgresql(connection: Any, _: object) -> None:
    """A server that answers before its disk does is asked for the usual order; a stricter one is left as it is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()
