"""Re-ranking that a question brings with it: the models answer as always, nothing is trained and nothing is saved."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Any, cast

from shortlist.errors import SettingsError
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.rerankers import rerankers_of
from shortlist.reranking import Reranker
from shortlist.settings import RerankSettings, Settings

MAX_STEPS, MAX_CANDIDATES = 10, 1_000
_KEPT = 12  # re-rankers; one holds up to a number for each item of the corpus


class Shaping:
    """One recommender under any steps. What a step looks up of the items is kept: a slider only moves its strength.

    Args:
        recommender: an artifact; its own steps are left aside.
    """

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender
        self._built: OrderedDict[str, Reranker] = OrderedDict()
        self._lock = Lock()

    def under(self, steps: Sequence[RerankSettings]) -> Recommender:
        """The same models with these steps, in their order; none: the list as the models leave it.

        Raises:
            SettingsError: a step does not fit the data, or asks for too much.
            ConditionError: a condition cannot be read.
        """
        if len(steps) > MAX_STEPS:
            raise SettingsError(f"rerank: at most {MAX_STEPS} steps, got {len(steps)}. Leave out those of strength 0.")
        rerankers = [self._reranker(f"rerank.{place}", step) for place, step in enumerate(steps)]
        return self.recommender.reranked(steps, rerankers)

    def _reranker(self, place: str, step: RerankSettings) -> Reranker:
        if (step.candidates or 0) > MAX_CANDIDATES:
            raise SettingsError(f"{place}.candidates: at most {MAX_CANDIDATES:,}, got {step.candidates:,}.")
        key = json.dumps(step.model_dump(mode="json", exclude={"strength", "candidates"}), sort_keys=True)
        with self._lock:
            found = self._built.get(key)
            if found is not None:
                self._built.move_to_end(key)
        if found is None:
            try:
                (found,) = rerankers_of([step], self.recommender.dataset, lambda: self.recommender.similarity_vectors)
            except SettingsError as error:  # it was asked alone, and stands elsewhere in the list
                raise SettingsError(str(error).replace("rerank.0", place, 1)) from None
            with self._lock:
                self._built[key] = found
                while len(self._built) > _KEPT:
                    self._built.popitem(last=False)
        return cast("Reranker", replace(cast("Any", found), strength=step.strength))


def steps_from(values: Any) -> tuple[RerankSettings, ...]:
    """Plain values, as JSON has them, → checked steps, by the same rules as ``[[rerank]]`` in a settings file.

    Raises:
        SettingsError: names the setting, what was expected, what came, and the nearest valid name.

    >>> steps_from([{"step": "diversity", "strength": 0.4}])[0].strength
    0.4
    """
    return Settings.from_dict({"rerank": values}).rerank
