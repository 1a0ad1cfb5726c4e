"""Whether a user's events are still those that were read, found out in microseconds and without waiting for anybody."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from typing import NamedTuple

from shortlist.events.engines import Engines

MOST_EVENTS = 200  # of a user with more, the mark is not worth its time


class Mark(NamedTuple):
    """What cannot stay the same when a user's events change: none is ever altered, and no number is given twice.

    Args:
        number: of events there are.
        newest: ``sequence`` of the one that arrived last; 0: there is none.
        forgotten: whether the user was deleted.
    """

    number: int
    newest: int
    forgotten: bool


class Marks:
    """Marks by one read of an index, on a connection of its own.

    Only SQLite has them: it reads from memory that its processes share, where PostgreSQL has to be waited for.

    Args:
        engines: of the store.
    """

    def __init__(self, engines: Engines) -> None:
        self._file, self._address = engines.file, engines.sqlite_address
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def of(self, user_id: str) -> Mark | None:
        """What is in the store of a user at this moment; None: to find out would take longer."""
        if self._file is None or not self._lock.acquire(blocking=False):
            return None
        try:
            found = os.stat(self._file)
            if self._inode != (found.st_dev, found.st_ino):
                self._open((found.st_dev, found.st_ino))
            assert self._connection is not None
            count, newest, forgotten = self._connection.execute(
                _MARK, (user_id, hash_of(user_id), MOST_EVENTS + 1)
            ).fetchone()
            return None if count > MOST_EVENTS else Mark(count, newest, bool(forgotten))
        except (OSError, sqlite3.Error):
            self._shut()  # the usual way says what is wrong
            return None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._shut()

    def _open(self, inode: tuple[int, int]) -> None:
        self._shut()
        self._connection = sqlite3.connect(
            self._address, uri=True, timeout=0, isolation_level=None, check_same_thread=False
        )
        self._inode = inode

    def _shut(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._inode = None


def hash_of(user_id: str) -> str:
    """By which a deleted user is remembered."""
    return hashlib.sha256(user_id.encode()).hexdigest()


_MARK = """
select count(*), coalesce(max(sequence), 0), exists(select 1 from forgotten_users where user_hash = ?2)
from (select sequence from events where user_id = ?1 limit ?3)
"""
