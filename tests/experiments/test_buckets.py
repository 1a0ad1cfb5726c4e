"""Everybody stays in one place, places are uniform, and two experiments know nothing of each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from shortlist.errors import SettingsError
from shortlist.experiments.buckets import arm_of, place_of
from shortlist.experiments.settings import ExperimentSettings

USERS = range(20_000)


def test_places_are_fixed_for_ever() -> None:
    """Another hash would move everybody in the middle of an experiment."""
    assert place_of("demo", "ann") == 0.27770221443249454
    assert place_of("demo", 7) == place_of("demo", "7")


def test_places_are_uniform_also_of_consecutive_numbers() -> None:
    for salt in ("a", "b"):
        assert kstest([place_of(salt, user) for user in USERS], "uniform").pvalue > 0.001


def test_two_salts_are_independent() -> None:
    first, second = (np.array([place_of(salt, user) for user in USERS]) for salt in ("a", "b"))
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(USERS))
    table = np.histogram2d(first, second, bins=4, range=[[0, 1], [0, 1]])[0]
    assert chisquare(table.ravel()).pvalue > 0.001


def test_arms_get_their_shares_and_nobody_moves_when_the_last_grows() -> None:
    small = [arm_of("s", user, {"now": 0.5, "new": 0.1}) for user in USERS]
    for arm, share in (("now", 0.5), ("new", 0.1), (None, 0.4)):
        assert small.count(arm) == pytest.approx(share * len(small), abs=4 * np.sqrt(len(small) / 4))
    grown = [arm_of("s", user, {"now": 0.5, "new": 0.5}) for user in USERS]
    assert None not in grown
    assert all(before in (None, after) for before, after in zip(small, grown, strict=True))


def test_thirds_leave_nobody_out() -> None:
    assert arm_of("s", 1, dict.fromkeys("abc", 1 / 3)) in set("abc")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": {}}, "expected at least one"),
        ({"arms": {"a": {"share": 0.7}, "b": {"share": 0.4}}}, r"sum to 1\.1; expected at most 1"),
        ({"arms": {"a": {"share": 0.0}}}, r"arms\.a\.share: input should be greater than 0"),
        ({"arms": {"a b": {"share": 1.0}}}, "'a b' is no name"),
        (
            {"arms": {"a": {"share": 1.0, "artefact": "x"}}},
            "unknown setting 'arms.a.artefact'; did you mean 'artifact'",
        ),
        ({"baseline": "c"}, "there is no arm 'c'"),
        ({"salty": 1}, "unknown setting 'salty'; did you mean 'salt'"),
        (
            {"arms": {"a": {"share": 1.0, "rerank": [{"step": "exploration"}, {"step": "popularity"}]}}},
            "exploration has to be the last step",
        ),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ExperimentSettings.from_dict({"name": "x", "arms": {"a": {"share": 1.0}}, **change})
