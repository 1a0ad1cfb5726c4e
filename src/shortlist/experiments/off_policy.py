"""What another policy would have earned, from answers that were drawn with known probabilities.

An answer has places, each with an item, a reward (such as a click) and a propensity: how likely the item was at that
place. A place weighs w = P(item at place | target) / P(item at place | logged). Of n answers

    IPS    Σ_answers Σ_places w r / n                                    (Horvitz and Thompson 1952)
    SNIPS  Σ_places (Σ_answers w r / Σ_answers w)                        (Swaminathan and Joachims, NIPS 2015)
    DR     Σ_answers Σ_places (q(target's item) + w (r − q(item))) / n   (Dudík, Langford and Li, ICML 2011)

Weights by place, each by its own probability, are right where a place's reward does not depend on what else is on the page
(the item-position model; Li et al., KDD 2018). Weights by all places so far (``in_sequence``) are also right where it
depends on what stands above (McInerney et al., KDD 2020), and vary more. DR needs a model q of the reward: where it is good
the estimate varies less, where it is bad the estimate is still right.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.errors import EvaluationError
from shortlist.evaluation.statistics import Figure, interval, resampled_means

Values = NDArray[np.float64]
Codes = NDArray[np.int64]
_FEW = 100.0  # effective answers below which an interval is not to be trusted
_HEAVY = 0.05  # of all weight on one place of one answer


@dataclass(frozen=True, eq=False)
class Places:
    """Shown places of A answers, those of one answer together and in order.

    Args:
        answer: [n] from 0 to A − 1, ascending.
        place: [n] from 0.
        user: [A] who got each answer, from 0.
        reward: [n].
    """

    answer: Codes
    place: Codes
    user: Codes
    reward: Values

    def take(self, answers: NDArray[np.bool_]) -> Places:
        """Some of the answers, [A]."""
        rows = answers[self.answer]
        number = np.cumsum(answers) - 1
        return Places(number[self.answer[rows]], self.place[rows], self.user[answers], self.reward[rows])


@dataclass(frozen=True)
class Estimate:
    """Reward of an answer, with 95 % intervals over users.

    Args:
        logged: what the answers earned as they were.
        ips, snips, dr: what the target's would have earned; ``dr`` None: without a model of the reward.
        mean_weight: of the places; 1 where the log could have shown whatever the target shows.
        effective_answers: (Σ w)² / Σ w² of the places, by answers of their mean length: as many as so many unweighted ones.
        max_weight: the largest.
        answers, users: how many there are.
        warnings: why the figures are not to be trusted.
    """

    logged: Figure
    ips: Figure
    snips: Figure
    dr: Figure | None
    mean_weight: Figure
    effective_answers: float
    max_weight: float
    answers: int
    users: int
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "warnings": list(self.warnings)}


def by_place(target: Values, logged: Values) -> Values:
    """[n] w of every place by its own probabilities.

    Raises:
        EvaluationError: a logged probability is not above 0 and at most 1.
    """
    _check(logged)
    result: Values = target / logged
    return result


def in_sequence(places: Places, target: Values, logged: Values) -> Values:
    """[n] w of every place by the probabilities of all places so far, each given those above it.

    Raises:
        EvaluationError: as ``by_place``.
    """
    _check(logged)
    ratio = target / logged
    starts = np.flatnonzero(np.diff(places.answer, prepend=-1))
    weights, length = ratio.copy(), np.diff(np.append(starts, len(ratio)))
    for depth in range(1, int(length.max(initial=0))):
        rows = starts[length > depth] + depth
        weights[rows] = weights[rows - 1] * ratio[rows]
    return weights


def estimate(
    places: Places, weight: Values, predicted: Values | None = None, direct: Values | None = None, seed: int = 0
) -> Estimate:
    """Value of the policy to which the weights lead.

    Args:
        places: what was shown and earned.
        weight: [n] of every place.
        predicted: [n] reward that a model foresees of what was shown; of users it was not fitted on.
        direct: [A] reward that it foresees of the whole answer that the target gives.
        seed: of the resamples.

    Raises:
        EvaluationError: there is nothing to estimate from: no answer, or no overlap of what the target shows with what was
            shown.
    """
    total = float(weight.sum())
    if total <= 0:
        raise EvaluationError(
            f"No overlap: the target would have shown none of the {len(weight):,} items at the places where they were shown, "
            "so that the log says nothing of it. Expected answers of an arm that tries what the target shows: one whose "
            "last re-ranking step is exploration, at a higher temperature."
        )
    depth = int(places.place.max()) + 1
    sums = [_by_answer(places, one) for one in (places.reward, weight * places.reward, weight)]
    if predicted is not None and direct is not None:
        sums.append(direct + _by_answer(places, weight * (places.reward - predicted)))
    lengths = _by_answer(places, np.ones(len(weight)))
    answers, weights = _by_user(places, np.ones(len(places.user))), _weights_by_user(places, weight, depth)
    per_user = np.stack([_by_user(places, one) for one in sums], axis=1)
    shown = _by_user(places, lengths)
    scales = np.stack([shown if column == 2 else answers for column in range(len(sums))], axis=1)
    earned = _weights_by_user(places, weight * places.reward, depth)
    values, scale = np.concatenate([per_user, earned], axis=1), np.concatenate([scales, weights], axis=1)
    means = values.sum(axis=0) / np.maximum(scale.sum(axis=0), 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(scale > 0, values / scale, 0.0)
    resampled = resampled_means(ratios, scale, seed)
    columns = len(sums)
    found = [Figure(float(means[c]), *interval(resampled[:, c])) for c in range(columns)]
    snips = Figure(float(means[columns:].sum()), *interval(np.nansum(resampled[:, columns:], axis=1)))
    effective = total**2 / float((weight**2).sum()) / float(lengths.mean())
    return Estimate(
        logged=found[0],
        ips=found[1],
        snips=snips,
        dr=found[3] if columns > 3 else None,
        mean_weight=found[2],
        effective_answers=effective,
        max_weight=float(weight.max()),
        answers=len(places.user),
        users=len(answers),
        warnings=tuple(_doubts(found[2], effective, float(weight.max()) / total)),
    )


def _doubts(mean_weight: Figure, effective: float, heaviest: float) -> list[str]:
    doubts = []
    if mean_weight.high < 1:
        doubts.append(
            f"Overlap fails: the mean weight is {mean_weight.value:.2f} [{mean_weight.low:.2f}, {mean_weight.high:.2f}], and "
            "would be 1 if the log could have shown whatever the target shows. IPS counts nothing for the rest and is too "
            "low; SNIPS and DR guess it."
        )
    if effective < _FEW:
        doubts.append(
            f"The weights leave {effective:.0f} effective answers: too few for intervals that can be trusted. Collect more, "
            "or explore at a higher temperature."
        )
    if heaviest > _HEAVY:
        doubts.append(f"One place of one answer has {heaviest:.0%} of all weight: the estimate rests on it.")
    return doubts


def _check(logged: Values) -> None:
    if len(logged) and not (np.isfinite(logged).all() and logged.min() > 0 and logged.max() <= 1):
        wrong = logged[~((logged > 0) & (logged <= 1))][0]
        raise EvaluationError(
            f"A logged propensity is {wrong}; expected above 0 and at most 1. Leave such answers out."
        )


def _by_answer(places: Places, values: Values) -> Values:
    """[n] → [A] sums."""
    return np.bincount(places.answer, values, minlength=len(places.user)).astype(np.float64)


def _by_user(places: Places, values: Values) -> Values:
    """[A] → [U] sums of those who got an answer."""
    _, user = np.unique(places.user, return_inverse=True)
    return np.bincount(user, values).astype(np.float64)


def _weights_by_user(places: Places, values: Values, depth: int) -> Values:
    """[n] → [U, depth] sums of those who got an answer."""
    users, user = np.unique(places.user, return_inverse=True)
    key = user[places.answer] * depth + places.place
    return np.bincount(key, values, minlength=len(users) * depth).reshape(-1, depth).astype(np.float64)
