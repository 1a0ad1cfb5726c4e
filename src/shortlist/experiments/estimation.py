"""What an artifact, or other re-ranking, would have earned in the place of an arm that explored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from shortlist.errors import EvaluationError
from shortlist.experiments.off_policy import Estimate, Places, by_place, estimate, in_sequence
from shortlist.experiments.outcomes import Outcomes
from shortlist.experiments.replay import Replay, replay
from shortlist.experiments.reward_model import cross_fitted
from shortlist.recommender.live import LiveRecommender

Reward = Literal["clicks", "likes", "responses"]


@dataclass(frozen=True)
class Counterfactual:
    """An estimate and what it rests on.

    Args:
        experiment, arms: whose answers.
        reward: what an answer earns: so many items that were clicked, liked, or either.
        weights: ``by_place`` or ``in_sequence``.
        estimate: of the target.
        left_out: why → how many answers are not part of it.
    """

    experiment: str
    arms: tuple[str, ...]
    reward: Reward
    weights: str
    estimate: Estimate
    left_out: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        about = {"experiment": self.experiment, "arms": list(self.arms), "reward": self.reward, "weights": self.weights}
        return {**about, **self.estimate.to_dict(), "left_out": dict(self.left_out)}


def counterfactual(
    found: Outcomes,
    live: LiveRecommender,
    reward: Reward = "responses",
    arm: str | None = None,
    *,
    sequential: bool = False,
) -> Counterfactual:
    """Estimate what a target would have earned.

    Answers count that were given after all that the target has learned: one that has learned what came of an answer would
    know it, and as a rule not show again what was clicked.

    Args:
        found: what was shown and what came of it.
        live: the target, and the store.
        reward: what counts.
        arm: whose answers; None: of all arms that draw.
        sequential: weigh a place by all places so far instead of by its own.

    Raises:
        EvaluationError: no arm draws, no answer is left, or what the target shows was never shown.
    """
    draws = _arms_that_draw(found)
    chosen = [name for name in draws if arm in (None, name)]
    if not chosen:
        raise EvaluationError(
            f"Of the arms {', '.join(found.arms)} those that draw what they show are {', '.join(draws) or 'none'}; got "
            f"{arm or 'no choice'}. An arm that always shows the same says nothing of what it did not show: serve one whose "
            'last step is exploration ([[arms.NAME.rerank]] step = "exploration").'
        )
    is_known = np.isfinite(np.bincount(found.answer, found.propensity, minlength=len(found.arm)))
    mine = np.isin(found.arm, [found.arms.index(name) for name in chosen])
    has_request = found.asked.is_valid().to_numpy(zero_copy_only=False)
    dataset = live.recommender.dataset
    learned_until = int(dataset.interactions.timestamp.max()) if dataset.has_time else -1
    is_later = found.time > learned_until
    left_out = {
        "given by a fallback": int((mine & ~is_known).sum()),
        "request too long to be kept": int((mine & is_known & ~has_request).sum()),
        "before the last of what the target has learned": int((mine & is_known & has_request & ~is_later).sum()),
    }
    asked = np.flatnonzero(mine & is_known & has_request & is_later)
    told = replay(found, asked, live)
    left_out["the target knows nothing of the user"] = len(asked) - int(told.is_answered.sum())
    left_out = {why: n for why, n in left_out.items() if n}
    if not told.is_answered.any():
        raise EvaluationError(
            f"No answer is left to estimate from; left out were {left_out or 'none'}. Expected answers given after the last "
            "interaction that the target has learned: keep the experiment running, or train on what was before it."
        )
    weights = "in_sequence" if sequential else "by_place"
    return Counterfactual(
        found.experiment,
        tuple(chosen),
        reward,
        weights,
        _estimated(found, told, reward, sequential=sequential),
        left_out,
    )


def _estimated(found: Outcomes, told: Replay, reward: Reward, *, sequential: bool) -> Estimate:
    earned = {"clicks": found.clicked, "likes": found.liked, "responses": found.clicked | found.liked}[reward]
    everything = Places(found.answer, found.place, found.user, earned.astype(np.float64))
    places = everything.take(told.is_answered)
    rows = told.is_answered[found.answer]
    if sequential:
        weight = in_sequence(places, told.chance_above[rows], found.given_above[rows])
    else:
        weight = by_place(told.chance[rows], found.propensity[rows])
    answer, item, place = told.wanted
    shown = (places.user[places.answer], found.item[rows], places.place)
    mine, theirs = cross_fitted(shown, places.reward, (found.user[answer], item, place), len(found.items))
    direct = np.bincount(answer, theirs, minlength=len(found.arm))[told.is_answered]
    return estimate(places, weight, mine, direct.astype(np.float64))


def _arms_that_draw(found: Outcomes) -> list[str]:
    uncertain = np.zeros(len(found.arms), dtype=bool)
    uncertain[found.arm[found.answer[found.propensity < 1]]] = True
    return [name for name, one in zip(found.arms, uncertain, strict=True) if one]
