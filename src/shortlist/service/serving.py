"""What requests are answered from, and how it is exchanged under them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from shortlist.errors import BusyError, QueryError, ShortlistError, StoreError
from shortlist.events import EventStore
from shortlist.events.items import ItemChange
from shortlist.experiments.serving import RunningExperiment
from shortlist.experiments.settings import ExperimentSettings
from shortlist.recommender import Answer, Query, Recommender
from shortlist.recommender.live import LiveRecommender
from shortlist.service import tracing
from shortlist.service.generation import Generation
from shortlist.service.item_changes import ItemChanges
from shortlist.service.memory import give_back
from shortlist.service.metrics import Metrics
from shortlist.service.peers import Peers
from shortlist.settings import RerankSettings

LOG = logging.getLogger("shortlist.service")
Explain = Literal["none", "reasons", "full"]


class Serving:
    """The generation that answers now; ``reload`` puts another in its place.

    Args:
        recommender: to begin with.
        events: the store; None: no events are kept.
        load: reads the artifact anew, with its hashes and golden queries verified; None: it cannot be reloaded.
        peers: a folder by which the workers of one server tell each other of a reload; None: there is one worker.
        timeout: seconds the model may take before what is popular answers; None: as long as it takes.
        experiment: what runs, which needs ``events``; None: nothing.
    """

    def __init__(
        self,
        recommender: Recommender,
        events: EventStore | None = None,
        load: Callable[[], Recommender] | None = None,
        peers: Peers | None = None,
        timeout: float | None = None,
        experiment: ExperimentSettings | None = None,
    ) -> None:
        self.timeout, self.started, self._tracer = timeout, time.time(), tracing.found()
        self.events, self.load, self.metrics, self.peers = events, load, Metrics(), peers
        if events is not None:
            events.on_commit(self.metrics.committed)
        self.artifact = self.now = Generation.of(recommender, events, timeout, experiment)
        self.metrics.compare_with(self.now.bands)
        self.experiment: RunningExperiment | None = None
        if experiment is not None:
            self.experiment = RunningExperiment(experiment, self.store, self.metrics.lost_exposures.inc)
        self._reloading, self._exchanging = threading.Lock(), threading.Lock()
        self.changes = None if events is None else ItemChanges(events)
        self.follow_items()
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

    def answer(
        self,
        query: Query,
        *,
        explain: Explain = "reasons",
        exposed: bool = True,
        rerank: Sequence[RerankSettings] | None = None,
    ) -> Answer:
        """Answer one query, by the arm of who asks where an experiment runs.

        Args:
            query: what is asked.
            explain: what the answer says of where its scores come from.
            exposed: whether the person will see the list, so that an exposure is kept.
            rerank: steps in place of the artifact's, for this answer alone; it is no answer of an experiment then.
        """
        now, running = self.now, self.experiment
        arm = None if running is None or rerank is not None else running.arm_of(query.user_id)
        live = now.live if arm is None else now.arms[arm][0]
        found = live.recommend(query, explain=_reasons(explain), rerank=rerank)
        self._count(now, live, query, found)
        if running is None or arm is None:
            return found
        self.metrics.arms.labels(running.settings.name, arm).inc()
        return replace(found, experiment=running.answered(arm, query, found, exposed=exposed))

    def again(self, query: Query, *, explain: Explain = "reasons") -> Answer | None:
        """The answer as it was given before, where that takes microseconds and waits for nothing; None: ask ``answer``."""
        now = self.now
        if self.experiment is not None:
            return None  # it keeps what it showed
        found = now.live.again(query, explain=_reasons(explain))
        if found is not None:
            self._count(now, now.live, query, found)
        return found

    def _count(self, now: Generation, live: LiveRecommender, query: Query, found: Answer) -> None:
        self.metrics.answered(found, cold=live.is_cold(query, found))
        tracing.trace_stages(self._tracer, found)
        self.metrics.shown.add(now.bands.of(item.item_id for item in found.items))

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

    def start(self) -> None:
        """Follow what other workers change of items."""
        if self.changes is not None:
            self.changes.watch(self.follow_items)

    def follow_items(self, kept: ItemChange | None = None) -> None:
        """Answer with what changed of items; returns when it is in every answer that begins afterwards.

        Args:
            kept: what this worker brought into the store, to be known even where the store cannot be read just now.
        """
        if self.changes is None:
            return
        with self._exchanging:
            try:
                is_new = self.changes.look()
            except StoreError as error:
                self.changes.unread(error)
                is_new = kept is not None
                if kept is not None:
                    self.changes.note(kept)
            try:
                if is_new:
                    self.now = self.artifact.with_items(self.changes.all())
            except ShortlistError as error:
                LOG.error("changes of items do not fit this artifact, those before stay: %s", error)

    def last_change(self, item_id: str) -> ItemChange | None:
        """What was last said of an item here; None: nothing."""
        return None if self.changes is None else self.changes.last(item_id)

    def close(self) -> None:
        """Write what waits."""
        if self.changes is not None:
            self.changes.close()
        if self.peers is not None:
            self.peers.close()
        if self.experiment is not None:
            self.experiment.close()
        if self.events is not None:
            self.events.close()

    def _switch(self) -> None:
        assert self.load is not None
        try:
            experiment = None if self.experiment is None else self.experiment.settings
            fresh = Generation.of(self.load(), self.events, self.timeout, experiment)
        except BaseException:
            self.metrics.reloads.labels("failed").inc()
            raise
        with self._exchanging:
            changed = fresh if self.changes is None else fresh.with_items(self.changes.all())
            self.artifact = fresh
            self.now = changed  # one assignment: a request sees the old or the new, whole
        give_back()
        self.metrics.compare_with(fresh.bands)
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


def _reasons(explain: Explain) -> bool | Literal["full"]:
    return "full" if explain == "full" else explain == "reasons"
