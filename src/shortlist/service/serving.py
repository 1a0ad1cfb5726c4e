"""What requests are answered from, and how it is exchanged under them."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from shortlist.errors import BusyError, QueryError, ShortlistError, StoreError
from shortlist.events import EventStore
from shortlist.recommender import Recommender
from shortlist.recommender.live import LiveRecommender
from shortlist.service.catalogue import Catalogue
from shortlist.service.metrics import Metrics
from shortlist.service.peers import Peers

LOG = logging.getLogger("shortlist.service")


@dataclass(frozen=True)
class Generation:
    """One artifact, ready to answer. A request takes it once, and keeps it to its end."""

    live: LiveRecommender
    catalogue: Catalogue
    report: bytes

    @classmethod
    def of(cls, recommender: Recommender, store: EventStore | None, timeout: float | None) -> Generation:
        """Prepare everything."""
        report = json.dumps({} if recommender.report is None else recommender.report.to_dict()).encode()
        return cls(LiveRecommender(recommender, store, timeout), Catalogue(recommender), report)

    @property
    def recommender(self) -> Recommender:
        """Without events."""
        return self.live.recommender


class Serving:
    """The generation that answers now; ``reload`` puts another in its place.

    Args:
        recommender: to begin with.
        events: the store; None: no events are kept.
        load: reads the artifact anew, with its hashes and golden queries verified; None: it cannot be reloaded.
        peers: a folder by which the workers of one server tell each other of a reload; None: there is one worker.
        timeout: seconds the model may take before what is popular answers; None: as long as it takes.
    """

    def __init__(
        self,
        recommender: Recommender,
        events: EventStore | None = None,
        load: Callable[[], Recommender] | None = None,
        peers: Peers | None = None,
        timeout: float | None = None,
    ) -> None:
        self.timeout = timeout
        self.events, self.load, self.metrics, self.peers = events, load, Metrics(), peers
        if events is not None:
            events.on_commit(self.metrics.committed)
        self.now = Generation.of(recommender, events, timeout)
        self._reloading = threading.Lock()
        if peers is not None:
            peers.answer_with(self._follow)

    @property
    def store(self) -> EventStore:
        """The event store.

        Raises:
            StoreError: there is none.
        """
        if self.events is None:
            raise StoreError("This service keeps no events: it was started with --events none.")
        return self.events

    def reload(self) -> dict[str, int]:
        """Load the artifact anew and answer from it; where that fails, the old one goes on.

        Returns:
            how many workers switched, and how many did not.

        Raises:
            ArtifactError: the new one cannot be used; nothing has changed.
            BusyError: a reload is under way.
        """
        if self.load is None:
            raise QueryError("This service was started without a folder to load from.")
        if not self._reloading.acquire(blocking=False):
            raise BusyError("The artifact is being reloaded already; ask again when that has ended.")
        try:
            self._switch()
            others = self.peers.announce() if self.peers is not None else {"switched": 0, "failed": 0}
            return {"switched": 1 + others["switched"], "failed": others["failed"]}
        finally:
            self._reloading.release()

    def close(self) -> None:
        """Write what waits."""
        if self.peers is not None:
            self.peers.close()
        if self.events is not None:
            self.events.close()

    def _switch(self) -> None:
        assert self.load is not None
        try:
            fresh = Generation.of(self.load(), self.events, self.timeout)
        except BaseException:
            self.metrics.reloads.labels("failed").inc()
            raise
        self.now = fresh  # one assignment: a request sees the old or the new, whole
        self.metrics.reloads.labels("switched").inc()

    def _follow(self) -> bool:
        """Another worker has switched."""
        with self._reloading:
            try:
                self._switch()
            except (ShortlistError, OSError) as error:
                LOG.error("reload failed, the old artifact goes on: %s", error)
                return False
        return True
