from __future__ import annotations

import pytest

from shortlist.service.limits import Limits


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_in_the_long_run_the_rate_counts() -> None:
    clock = Clock()
    limits = Limits(50, clock=clock)
    answered = 0
    for step in range(10_000):  # a thousand requests a second, for ten seconds
        clock.now = step / 1000
        answered += limits.wait("greedy") == 0
    assert answered == pytest.approx(100 + 50 * 10, abs=1)
    assert limits.wait("modest") == 0
    assert 0 < limits.wait("greedy") <= 1 / 50


def test_who_waits_as_long_as_told_is_answered() -> None:
    clock = Clock()
    limits = Limits(0.1, clock=clock)
    assert limits.wait("a") == 0, "a slow rate still lets one through"
    clock.now = wait = limits.wait("a")
    assert wait == pytest.approx(10)
    assert limits.wait("a") == 0


def test_memory_is_bounded_and_who_asks_is_not_forgotten() -> None:
    clock = Clock()
    limits = Limits(1, most=100, clock=clock)
    answered = 0
    for number in range(1_000):
        limits.wait(f"address {number}")
        answered += limits.wait("busy") == 0
        assert len(limits) <= 100
    assert answered == 2, "it never got a new bucket"
