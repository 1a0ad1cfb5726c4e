"""The experiment a service runs: who gets which arm, what the arms answer with, and what they showed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from shortlist.data.vocabulary import OutsideId
from shortlist.errors import EventError, SettingsError
from shortlist.events.event import new_event_id, plain_id
from shortlist.events.store import EventStore
from shortlist.experiments.buckets import arm_of
from shortlist.experiments.exposures import Exposure, ExposureLog
from shortlist.experiments.settings import ExperimentSettings, check_draws
from shortlist.recommender import Answer, Query, Recommender
from shortlist.recommender.artifact import load

_DEFAULTS = {field.name: getattr(Query(), field.name) for field in fields(Query)}


class RunningExperiment:
    """What a service needs of an experiment.

    Args:
        settings: the arms.
        store: where exposures go.
        on_lost: called with how many exposures were lost.
    """

    def __init__(
        self, settings: ExperimentSettings, store: EventStore, on_lost: Callable[[int], None] = lambda _: None
    ) -> None:
        self.settings, self.log = settings, ExposureLog(store, on_lost)
        self._shares = {name: arm.share for name, arm in settings.arms.items()}

    def arm_of(self, user_id: OutsideId | None) -> str | None:
        """Of a user; None: in no arm, as everybody who does not say who they are."""
        return None if user_id is None else arm_of(self.settings.salted, user_id, self._shares)

    def answered(self, arm: str, query: Query, answer: Answer, *, exposed: bool) -> dict[str, str]:
        """Keep what was shown, and say what the answer says of it."""
        about = {"name": self.settings.name, "arm": arm}
        try:
            user_id = None if query.user_id is None or not exposed else plain_id(query.user_id, "user_id")
        except EventError:
            user_id = None  # no event can bear such an id, so that nothing can come of it
        if user_id is None or not answer.items:
            return about
        request_id = new_event_id()
        self.log.add(
            Exposure(
                request_id,
                self.settings.name,
                arm,
                self._shares[arm],
                arm == self.settings.control,
                user_id,
                time.time_ns() // 1_000_000,
                [str(item.item_id) for item in answer.items],
                answer.draw,
                "fallback" not in answer.stages,
                asked(query),
            )
        )
        return {**about, "request_id": request_id}

    def close(self) -> None:
        """Write what waits."""
        self.log.close()


def recommenders(settings: ExperimentSettings, served: Recommender) -> dict[str, Recommender]:
    """What each arm answers with.

    Args:
        settings: the arms.
        served: for arms without an artifact of their own.

    Raises:
        ArtifactError: an arm's artifact cannot be used.
        SettingsError: an arm's steps do not fit its data, or leave nobody to know how likely a page is.
    """
    found = {}
    for name, arm in settings.arms.items():
        recommender = served if arm.artifact is None else load(arm.artifact)
        found[name] = recommender if arm.rerank is None else recommender.reranked(arm.rerank)
        try:
            check_draws(found[name].settings.rerank, f"arms.{name}: rerank")
        except ValueError as error:
            raise SettingsError(f"Experiment: {error}.") from None
    return found


def asked(query: Query) -> dict[str, Any]:
    """What a request said beside the user, where it is not the default: enough to ask the same again.

    >>> asked(Query(user_id=7, k=5, exclude=["3"]))
    {'k': 5, 'exclude': ['3']}
    """
    said = {name: getattr(query, name) for name in _DEFAULTS if name != "user_id"}
    plain = {name: list(one) if isinstance(one, (list, tuple)) else one for name, one in said.items()}
    return {name: one for name, one in plain.items() if name == "k" or one != _plain(_DEFAULTS[name])}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
