from __future__ import annotations

import numpy as np
import pytest

from shortlist.evaluation.statistics import (
    NUM_RESAMPLES,
    _poisson_table,
    compare,
    compare_groups,
    figures,
    resampled_means,
)


def test_the_table_is_poisson() -> None:
    table = _poisson_table()
    assert table.mean() == pytest.approx(1, abs=2e-3)
    assert table.var() == pytest.approx(1, abs=5e-3)
    assert (table == 0).mean() == pytest.approx(np.exp(-1), abs=1e-4)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """95 % intervals of 400 samples of a skewed figure whose mean is known."""
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(400):
        values = (rng.random((300, 1)) < 0.2).astype(float)
        figure = figures(values, seed=trial)[0]
        held += figure.low <= 0.2 <= figure.high
    assert 0.915 < held / 400 < 0.98


def test_weights_and_what_is_missing() -> None:
    values, weights = np.array([[1.0], [0.0], [np.nan]]), np.array([[3.0], [1.0], [5.0]])
    assert figures(values, weights)[0].value == 0.75
    nothing = figures(np.full((4, 1), np.nan))[0]
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_resamples_are_paired() -> None:
    values = np.random.default_rng(0).random((50, 1))
    both = resampled_means(np.concatenate([values, values + 1], axis=1), seed=3)
    np.testing.assert_allclose(both[:, 1] - both[:, 0], 1, atol=1e-5)
    assert both.shape == (NUM_RESAMPLES, 2)
    np.testing.assert_array_equal(resampled_means(values, seed=3), resampled_means(values, seed=3))


def test_comparison_of_equal_and_of_different_models() -> None:
    rng = np.random.default_rng(1)
    base = rng.random(500)
    better = compare(base + 0.1 + 0.05 * rng.normal(size=500), base)
    assert better.probability == 1.0
    assert better.low < 0.1 < better.high
    same = compare(base, base)
    assert (same.difference, same.probability, same.minimum_detectable) == (0, 0.5, 0)
    worse = compare(base, base + 0.1 + 0.05 * rng.normal(size=500))
    assert worse.probability == 0.0


def test_the_minimum_detectable_difference_is_detected_four_times_in_five() -> None:
    rng = np.random.default_rng(2)
    smallest = compare(rng.normal(size=400), np.zeros(400)).minimum_detectable
    found = [compare(rng.normal(smallest, 1, 400), np.zeros(400), seed=trial) for trial in range(200)]
    assert 0.7 < np.mean([one.low > 0 or one.high < 0 for one in found]) < 0.9


def test_queries_without_a_value_do_not_count() -> None:
    found = compare(np.array([1.0, np.nan, 3.0]), np.array([0.0, 1.0, np.nan]))
    assert (found.difference, found.num_queries) == (1.0, 1)
    assert compare(np.array([np.nan]), np.array([1.0])).num_queries == 0


def test_groups_of_different_people_are_compared_by_all_their_answers() -> None:
    """Rates of people who differ, and answer as often as they like: the interval of the difference holds the truth."""
    rng, held, found = np.random.default_rng(8), 0, []
    for seed in range(60):
        groups = []
        for rate in (0.3, 0.25):
            answers = rng.integers(1, 20, 300).astype(float)
            own = np.clip(rate + rng.normal(0, 0.1, 300), 0, 1)
            groups.append((rng.binomial(answers.astype(int), own) / answers, answers))
        (first, n), (second, m) = groups
        one = compare_groups(first, second, n, m, seed)
        found.append(one)
        held += one.low < 0.05 < one.high
    assert held >= 51
    error = np.std([one.difference for one in found], ddof=1)
    assert np.mean([one.minimum_detectable for one in found]) == pytest.approx(2.8 * error, rel=0.25)
