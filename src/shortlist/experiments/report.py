"""What an experiment found so far: each arm's rates, with intervals over users, and how they differ from the control's."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare

from shortlist.evaluation.statistics import Comparison, Figure, compare_groups, figures
from shortlist.experiments.outcomes import Outcomes

REWARDS = {"clicks": "taken", "likes": "liked", "responses": "taken or liked"}
MISMATCH = 0.001  # p below which arms were not dealt as they say


@dataclass(frozen=True)
class Arm:
    """One arm.

    Args:
        answers, users: how many it had.
        totals: reward → how many shown items earned it.
        per_answer, per_user: reward → its mean, with a 95 % interval over users.
        against_control: reward → difference of ``per_answer`` to the control's; empty for the control itself.
        against_control_per_user: likewise of ``per_user``.
    """

    answers: int
    users: int
    totals: dict[str, int]
    per_answer: dict[str, Figure]
    per_user: dict[str, Figure]
    against_control: dict[str, Comparison] = field(default_factory=dict)
    against_control_per_user: dict[str, Comparison] = field(default_factory=dict)


@dataclass(frozen=True)
class ExperimentReport:
    """What an experiment found so far.

    Args:
        experiment: its name.
        control: the arm that the others are compared to.
        first, last: when something was shown, milliseconds since 1970.
        window_hours: so long after an answer an event counts for it.
        arms: by name, the control first.
        mismatch: probability of such numbers of users if the shares were as they say; None: the shares changed, or there is
            one arm.
        warnings: why the figures are not to be trusted.
    """

    experiment: str
    control: str
    first: int
    last: int
    window_hours: float
    arms: dict[str, Arm]
    mismatch: float | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not known is null."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def report(found: Outcomes, window_ms: int) -> ExperimentReport:
    """Sum up what an experiment showed and what came of it.

    Users who got answers of several arms are left out, with a warning. The figures are of those who were shown something:
    where an arm drives people away before they are, compare numbers of users.

    Args:
        found: of one experiment.
        window_ms: that it was read with.
    """
    both, warnings = _in_several_arms(found), []
    if both.any():
        warnings.append(
            f"{int(both.sum()):,} users got answers of several arms and are left out: shares or salt have changed, or an id is "
            "used by several people."
        )
    keeps = ~both[found.user]
    rewards = {"clicks": found.clicked, "likes": found.liked, "responses": found.clicked | found.liked}
    groups = {name: _Group.of(found, rewards, keeps & (found.arm == code)) for code, name in enumerate(found.arms)}
    control = found.arms[0]
    mismatch = _mismatch(found, [len(one.answers) for one in groups.values()], warnings)
    arms = {name: one.arm(None if name == control else groups[control]) for name, one in groups.items()}
    return ExperimentReport(
        found.experiment,
        control,
        int(found.time.min()),
        int(found.time.max()),
        window_ms / 3_600_000,
        arms,
        mismatch,
        tuple(warnings),
    )


@dataclass(frozen=True, eq=False)
class _Group:
    """Users of an arm: [U] answers of each, and [U] of every reward."""

    answers: NDArray[np.float64]
    earned: dict[str, NDArray[np.float64]]

    @classmethod
    def of(cls, found: Outcomes, rewards: dict[str, NDArray[np.bool_]], mine: NDArray[np.bool_]) -> _Group:
        _, user = np.unique(found.user[mine], return_inverse=True)
        number = np.cumsum(mine) - 1
        rows = mine[found.answer]
        of_row = user[number[found.answer[rows]]] if len(user) else np.empty(0, dtype=np.int64)
        size = int(user.max(initial=-1)) + 1
        earned = {
            name: np.bincount(of_row, one[rows], minlength=size).astype(np.float64) for name, one in rewards.items()
        }
        return cls(np.bincount(user, minlength=size).astype(np.float64), earned)

    def arm(self, control: _Group | None) -> Arm:
        against, against_per_user = {}, {}
        if control is not None and len(self.answers) and len(control.answers):
            for name in self.earned:
                against[name] = compare_groups(self._rate(name), control._rate(name), self.answers, control.answers)
                against_per_user[name] = compare_groups(self.earned[name], control.earned[name])
        return Arm(
            int(self.answers.sum()),
            len(self.answers),
            {name: int(one.sum()) for name, one in self.earned.items()},
            {name: figures(self._rate(name)[:, None], self.answers[:, None])[0] for name in self.earned},
            {name: figures(one[:, None])[0] for name, one in self.earned.items()},
            against,
            against_per_user,
        )

    def _rate(self, name: str) -> NDArray[np.float64]:
        rate: NDArray[np.float64] = self.earned[name] / self.answers
        return rate


def _in_several_arms(found: Outcomes) -> NDArray[np.bool_]:
    """[users] whether each got answers of more than one."""
    pairs = np.unique(found.user * len(found.arms) + found.arm)
    return np.bincount(pairs // len(found.arms), minlength=len(found.users)) > 1


def _mismatch(found: Outcomes, users: list[int], warnings: list[str]) -> float | None:
    """Sample ratio mismatch: chi-squared test of the users of each arm against its share (Fabijan et al., KDD 2019)."""
    if any(len(shares) > 1 for shares in found.shares):
        warnings.append(
            "The shares changed while the experiment ran: whether users were dealt as they say is not tested."
        )
        return None
    if len(users) < 2 or not sum(users):
        return None
    shares = np.array([one[0] for one in found.shares])
    probability = float(chisquare(users, sum(users) * shares / shares.sum()).pvalue)
    if probability < MISMATCH:
        counted = ", ".join(f"{name}: {n:,}" for name, n in zip(found.arms, users, strict=True))
        warnings.append(
            f"Sample ratio mismatch: users by arm are {counted}, which the shares give with probability {probability:.1g}. "
            "Something loses users of one arm; the differences are not to be trusted until it is found."
        )
    return probability


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
