"""What an item at a place earns: the place's rate times the item's lift over it, smoothed, of users it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Codes = NDArray[np.int64]
FOLDS = 5


@dataclass(frozen=True, eq=False)
class RewardModel:
    """q(item, place) = rate of the place · lift of the item, the position-based model (Craswell et al., WSDM 2008).

    Args:
        rate: [K] mean reward at each place.
        lift: [N] of each item: rewards by those that its places would let expect; 1 for one that was never shown.
    """

    rate: Values
    lift: Values

    @classmethod
    def fit(
        cls, item: Codes, place: Codes, reward: Values, num_items: int, depth: int, prior: float = 1.0
    ) -> RewardModel:
        """Count.

        Args:
            item, place, reward: [n] what was shown, where (from 0), and what it earned.
            num_items, depth: N and K.
            prior: as many expected rewards of lift 1 are added to each item's.

        >>> model = RewardModel.fit(np.array([0, 1]), np.array([0, 0]), np.array([1.0, 0.0]), 3, 1)
        >>> model.rate.tolist(), model.lift.round(2).tolist()
        ([0.5], [1.33, 0.67, 1.0])
        """
        shown = np.bincount(place, minlength=depth)
        mean = float(reward.mean()) if len(reward) else 0.0
        rate = (np.bincount(place, reward, depth) + mean) / (shown + 1.0)
        expected = np.bincount(item, rate[place], num_items)
        return cls(rate, (np.bincount(item, reward, num_items) + prior) / (expected + prior))

    def predict(self, item: Codes, place: Codes) -> Values:
        """[n] rewards; -1 as an item: an unknown one, of lift 1."""
        result: Values = self.rate[place] * np.where(item >= 0, self.lift[item], 1.0)
        return result


def cross_fitted(
    shown: tuple[Codes, Codes, Codes],
    reward: Values,
    wanted: tuple[Codes, Codes, Codes],
    num_items: int,
) -> tuple[Values, Values]:
    """Predictions of rewards, each by a model that was fitted without the user's own answers.

    Args:
        shown: [n] user, item and place of what was shown.
        reward: [n] that it earned.
        wanted: [m] user, item and place of what a target would show.
        num_items: of both; -1 is an unknown one.

    Returns:
        [n] of what was shown and [m] of what would be.
    """
    user, item, place = shown
    depth = int(max(place.max(initial=0), wanted[2].max(initial=0))) + 1
    mine, theirs = np.zeros(len(user)), np.zeros(len(wanted[0]))
    for fold in range(FOLDS):
        learn = user % FOLDS != fold
        model = RewardModel.fit(item[learn], place[learn], reward[learn], num_items, depth)
        here, there = ~learn, wanted[0] % FOLDS == fold
        mine[here] = model.predict(item[here], place[here])
        theirs[there] = model.predict(wanted[1][there], wanted[2][there])
    return mine, theirs
