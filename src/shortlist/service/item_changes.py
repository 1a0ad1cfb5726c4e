"""What the store says of items, and a thread that looks whether it says something new."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from shortlist.errors import StoreError
from shortlist.events import EventStore
from shortlist.events.items import ItemChange

LOG = logging.getLogger("shortlist.service")
_POLL_SECONDS = 0.2  # one small query; what one worker acknowledged, all others know within a second
_REST_SECONDS = 1.0  # after the store failed


class ItemChanges:
    """The last word on each item that changed since the artifact was made, as far as it was read.

    Args:
        store: where it is kept, and other workers write, too.
    """

    def __init__(self, store: EventStore) -> None:
        self.store, self.revision = store, 0
        self._last: dict[str, ItemChange] = {}
        self._is_told = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> bool:
        """Read what is new; whether anything was.

        Raises:
            StoreError: the store does not answer.
        """
        newest = self.store.items.revision()
        self._is_told = False
        if newest == self.revision:
            return False
        for one in self.store.items.since(self.revision):
            self.note(one)
            self.revision = one.revision
        return True

    def note(self, change: ItemChange) -> None:
        """Know of a change that the store has, whether it could be read again or not."""
        self._last.pop(change.item_id, None)
        self._last[change.item_id] = change  # the newest stands last

    def last(self, item_id: str) -> ItemChange | None:
        """What was last said of an item; None: nothing ever."""
        return self._last.get(item_id)

    def all(self) -> list[ItemChange]:
        """One change an item, in the order of their revisions."""
        return list(self._last.values())

    def unread(self, error: StoreError) -> None:
        """Say once that the store does not answer: what is known of items stays as it is until it does."""
        if not self._is_told:
            LOG.warning("changes of items cannot be read, those known stay: %s", error)
        self._is_told = True

    def watch(self, follow: Callable[[], None]) -> None:
        """Call ``follow``, which looks, again and again."""

        def run() -> None:
            while not self._ended.wait(_REST_SECONDS if self._is_told else _POLL_SECONDS):
                try:
                    follow()
                except Exception:
                    LOG.exception("changes of items cannot be followed")
                    self._ended.wait(10)  # it will not be better at once

        self._thread = threading.Thread(target=run, name="shortlist-items", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
