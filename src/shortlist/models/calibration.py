"""Scores as probabilities: Platt's scaling, and how far a probability is to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BINS = 15
_STEPS = 50


@dataclass(frozen=True)
class Platt:
    """p = σ(slope · logit + offset) (Platt 1999). With a positive slope it keeps every order.

    Args:
        slope: of the logit.
        offset: added.
    """

    slope: float = 1.0
    offset: float = 0.0

    def log_probability(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log p, exact also where p is near 0."""
        return log_sigmoid(self.slope * logits + self.offset)

    @classmethod
    def fit(cls, logits: NDArray[Any], labels: NDArray[Any]) -> Platt:
        """Maximum likelihood by Newton's steps; logits as they are where labels are all alike or the slope would not be positive.

        Args:
            logits: [P].
            labels: [P] 0 or 1.

        >>> logits = np.log(np.repeat([0.5, 0.25], 400) / np.repeat([0.5, 0.75], 400))  # of which come true 1 and 1/3 as many
        >>> found = Platt.fit(2 * logits + 3, np.tile([1, 0, 0, 0], 200) + np.repeat([1, 0], 400) * np.tile([0, 1, 0, 0], 200))
        >>> round(found.slope, 3), round(found.offset, 3)
        (0.5, -1.5)
        """
        x, y = logits.astype(np.float64), labels.astype(np.float64)
        if not len(y) or y.min() == y.max():
            return cls()
        # both are standardised, so that Newton's steps meet a well-conditioned matrix
        centre, scale = x.mean(), max(float(x.std()), 1e-12)
        design = np.stack([(x - centre) / scale, np.ones_like(x)], axis=1)
        weights = np.array([0.0, np.log(y.mean() / (1 - y.mean()))])
        for _ in range(_STEPS):
            p = np.exp(log_sigmoid(design @ weights))
            slack = p * (1 - p) + 1e-9
            step = np.linalg.solve((design * slack[:, None]).T @ design + 1e-9 * np.eye(2), design.T @ (y - p))
            weights += np.clip(step, -2, 2)
            if np.abs(step).max() < 1e-9:
                break
        slope = float(weights[0] / scale)
        return cls(slope, float(weights[1] - slope * centre)) if slope > 0 else cls()


def log_sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log σ(x) = −log(1 + e^−x).

    >>> log_sigmoid(np.array([-1000.0, 0.0])).round(3).tolist()
    [-1000.0, -0.693]
    """
    out: NDArray[np.float64] = -np.logaddexp(0, -x)
    return out


def reliability(probabilities: NDArray[Any], labels: NDArray[Any]) -> dict[str, Any]:
    """Whether what is said with probability p comes true so often.

    Bins hold equally many predictions, because nearly all of a ranker's are small. The expected calibration error
    (Naeini et al. 2015) is Σ_b (n_b / n) · |mean prediction − share that came true|; ``relative`` is it over the share of
    all that came true.

    Returns:
        ``ece``, ``relative``, ``log_loss``, and of each bin ``count``, ``predicted`` and ``observed`` means.

    >>> reliability(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 0, 1, 1]))["ece"]
    0.1
    """
    p, y = probabilities.astype(np.float64), labels.astype(np.float64)
    bins = [one for one in np.array_split(np.argsort(p, kind="stable"), _BINS) if len(one)]
    count = np.array([len(one) for one in bins])
    predicted, observed = (np.array([values[one].mean() for one in bins]) for values in (p, y))
    ece = float((count * np.abs(predicted - observed)).sum() / count.sum())
    clipped = np.clip(p, 1e-12, 1 - 1e-12)
    return {
        "ece": round(ece, 6),
        "relative": round(ece / max(float(y.mean()), 1e-12), 4),
        "log_loss": round(float(-(y * np.log(clipped) + (1 - y) * np.log1p(-clipped)).mean()), 6),
        "count": count.tolist(),
        "predicted": predicted.round(6).tolist(),
        "observed": observed.round(6).tolist(),
    }
