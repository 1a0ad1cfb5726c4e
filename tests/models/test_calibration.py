"""Scores as probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.models.calibration import Platt, log_sigmoid, reliability


def drawn(slope: float, offset: float, size: int = 200_000) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, size)
    return logits, rng.random(size) < np.exp(log_sigmoid(slope * logits + offset))


@pytest.mark.parametrize(("slope", "offset"), [(0.5, -4.0), (2.0, 1.0), (1.0, -7.0)])
def test_finds_how_the_labels_were_drawn(slope: float, offset: float) -> None:
    found = Platt.fit(*drawn(slope, offset))
    assert found.slope == pytest.approx(slope, rel=0.1)
    assert found.offset == pytest.approx(offset, rel=0.05)


def test_scaling_mends_what_is_unreliable_and_keeps_the_order() -> None:
    logits, labels = drawn(0.5, -4.0)
    before = reliability(np.exp(log_sigmoid(logits)), labels)
    scaled = np.exp(Platt.fit(logits[::2], labels[::2]).log_probability(logits[1::2]))
    after = reliability(scaled, labels[1::2])
    assert after["ece"] < 0.003 < 0.3 < before["ece"]
    assert after["log_loss"] < before["log_loss"]
    assert (np.diff(scaled[np.argsort(logits[1::2])]) >= 0).all()
    assert sum(after["count"]) == len(scaled)


def test_unusable_labels_leave_logits_alone() -> None:
    logits = np.array([1.0, 2.0, 3.0])
    assert Platt.fit(logits, np.zeros(3)) == Platt() == Platt.fit(logits[:0], np.zeros(0))
    assert Platt.fit(logits, np.array([1, 0, 0])) == Platt(), "a falling slope would turn the order round"


def test_far_logits_stay_finite() -> None:
    logits = np.array([-1e4, 1e4, -30.0, 30.0])
    found = Platt.fit(logits, np.array([0, 1, 0, 1]))
    assert np.isfinite(found.log_probability(logits)).all()
    assert np.isfinite(reliability(np.array([0.0, 1.0]), np.array([1, 0]))["log_loss"])
