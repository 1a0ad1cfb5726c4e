"""What routes keep of a recommender beside it, for as long as it answers."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from shortlist.recommender import Recommender

T = TypeVar("T")


class Kept(Generic[T]):
    """Made at the first question, and forgotten with the recommender it belongs to.

    Args:
        make: of an artifact's recommender.
        over: of one whose items changed, from what there is of its artifact's.
    """

    def __init__(self, make: Callable[[Recommender], T], over: Callable[[T, Recommender], T]) -> None:
        self._make, self._over, self._lock = make, over, Lock()
        self._held: list[tuple[Recommender, T]] = []  # of the artifact, and of its newest state

    def of(self, recommender: Recommender) -> T:
        """What belongs to a recommender."""
        with self._lock:
            found = self._found(recommender)
            if found is None:
                artifact = recommender.artifact
                base = self._found(artifact)
                if base is None:
                    base = self._make(artifact)
                found = base if recommender is artifact else self._over(base, recommender)
                self._held = [(artifact, base), (recommender, found)]
            return found

    def _found(self, recommender: Recommender) -> T | None:
        return next((made for one, made in self._held if one is recommender), None)
