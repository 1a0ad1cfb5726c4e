"""A world whose true values are known: people of three tastes look at three places, each less than the one before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from shortlist.errors import EvaluationError
from shortlist.experiments.off_policy import Estimate, Places, by_place, estimate, in_sequence
from shortlist.experiments.reward_model import RewardModel, cross_fitted
from shortlist.reranking.plackett_luce import at_places, given_above

ITEMS, DEPTH, TASTES = 6, 3, 3
LOOKS = np.array([0.9, 0.5, 0.3])
LIKES = np.random.default_rng(5).uniform(0.05, 0.8, ITEMS) * np.random.default_rng(6).uniform(0.6, 1.4, (TASTES, ITEMS))
LOGITS = np.random.default_rng(7).normal(0, 0.7, (TASTES, ITEMS))  # of what is logged
TARGET = np.argsort(-LIKES, axis=1)[:, :DEPTH]  # shows what each taste likes best
TRUTH = float((LOOKS * np.take_along_axis(LIKES, TARGET, axis=1)).sum(axis=1).mean())


@dataclass
class World:
    places: Places
    item: np.ndarray
    taste: np.ndarray
    logged: np.ndarray
    logged_above: np.ndarray
    target: np.ndarray
    target_above: np.ndarray

    def weights(self) -> np.ndarray:
        return by_place(self.target, self.logged)

    def doubly_robust(self, seed: int = 0) -> Estimate:
        user = self.places.user
        shown = (user[self.places.answer], self.item, self.places.place)
        wanted = (np.repeat(user, DEPTH), TARGET[self.taste].ravel(), np.tile(np.arange(DEPTH), len(user)))
        mine, theirs = cross_fitted(shown, self.places.reward, wanted, ITEMS)
        return estimate(self.places, self.weights(), mine, theirs.reshape(-1, DEPTH).sum(axis=1), seed)


def world(answers: int, seed: int, users: int | None = None) -> World:
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users or answers // 4, answers)
    taste = user % TASTES
    drawn = np.argsort(-(LOGITS[taste] + rng.gumbel(size=(answers, ITEMS))), axis=1)[:, :DEPTH]
    reward = rng.random(drawn.shape) < LOOKS * np.take_along_axis(LIKES[taste], drawn, axis=1)
    _, first, inverse = np.unique(
        taste * ITEMS**3 + drawn @ (ITEMS ** np.arange(3)), return_index=True, return_inverse=True
    )
    orders = [(LOGITS[taste[row]], drawn[row]) for row in first]
    logged, above = (np.array([f(*one) for one in orders])[inverse] for f in (at_places, given_above))
    match = (drawn == TARGET[taste]).astype(float)
    flat = [np.asarray(one, dtype=float).ravel() for one in (logged, above, match, match, reward)]
    answer, place = np.repeat(np.arange(answers), DEPTH), np.tile(np.arange(DEPTH), answers)
    return World(Places(answer, place, user, flat[4]), drawn.ravel(), taste, *flat[:4])


@pytest.fixture(scope="module")
def runs() -> list[tuple[Estimate, Estimate]]:
    """(by place with DR, in sequence) of 30 logs."""
    worlds = [world(1500, seed) for seed in range(30)]
    return [
        (one.doubly_robust(), estimate(one.places, in_sequence(one.places, one.target_above, one.logged_above)))
        for one in worlds
    ]


def test_ips_and_dr_are_unbiased(runs: list[tuple[Estimate, Estimate]]) -> None:
    for values in (
        [one.ips.value for one, _ in runs],
        [one.dr.value for one, _ in runs if one.dr],
        [one.ips.value for _, one in runs],
    ):
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert np.mean(values) == pytest.approx(TRUTH, abs=4 * error)
    logged = np.mean([one.logged.value for one, _ in runs])
    assert logged < TRUTH - 0.1, "the log's own value is another"


def test_intervals_hold_the_truth_about_as_often_as_they_say(runs: list[tuple[Estimate, Estimate]]) -> None:
    for name in ("ips", "snips", "dr"):
        figures = [getattr(one, name) for one, _ in runs]
        assert sum(one.low <= TRUTH <= one.high for one in figures) >= 24, name


def test_a_model_lowers_the_variance(runs: list[tuple[Estimate, Estimate]]) -> None:
    ips, snips, dr = (np.std([getattr(one, name).value for one, _ in runs]) for name in ("ips", "snips", "dr"))
    assert dr < 0.8 * ips
    assert snips < ips
    assert ips < np.std([one.ips.value for _, one in runs]), "more places in a weight, more variance"


def test_snips_is_consistent_and_ignores_a_constant() -> None:
    few, many = (estimate((one := world(n, 99)).places, one.weights()).snips for n in (500, 20_000))
    assert many.value == pytest.approx(TRUTH, abs=0.03)
    assert many.high - many.low < (few.high - few.low) / 3
    one = world(500, 1)
    shifted = Places(one.places.answer, one.places.place, one.places.user, one.places.reward + 10)
    plain, more = (estimate(places, one.weights()) for places in (one.places, shifted))
    assert more.snips.value == pytest.approx(plain.snips.value + 10 * DEPTH)
    assert more.ips.value != pytest.approx(plain.ips.value + 10 * DEPTH, abs=0.1)


def test_dr_is_right_with_a_wrong_model() -> None:
    values = []
    for seed in range(20):
        one = world(1500, seed)
        found = estimate(one.places, one.weights(), np.full(len(one.item), 0.9), np.full(1500, 0.9 * DEPTH))
        assert found.dr is not None
        values.append(found.dr.value)
    assert np.mean(values) == pytest.approx(TRUTH, abs=4 * np.std(values, ddof=1) / np.sqrt(len(values)))


def test_the_logging_policy_itself_is_worth_what_it_earned() -> None:
    one = world(1000, 3)
    found = estimate(one.places, by_place(one.logged, one.logged))
    assert found.ips == found.logged
    assert found.snips.value == pytest.approx(found.logged.value)
    assert found.effective_answers == pytest.approx(1000)
    assert (found.max_weight, found.warnings) == (1.0, ())


def test_intervals_are_over_users() -> None:
    """What the same person does four times tells as much as once."""
    one, weights = world(500, 4, users=100_000), world(500, 4, users=100_000).weights()
    places, times = one.places, 4
    answer = np.concatenate([places.answer + 500 * n for n in range(times)])
    widths = {}
    for name, user in (("same", np.tile(places.user, times)), ("others", np.arange(500 * times))):
        again = Places(answer, np.tile(places.place, times), user, np.tile(places.reward, times))
        found = estimate(again, np.tile(weights, times)).ips
        widths[name] = found.high - found.low
    assert widths["same"] == pytest.approx(2 * widths["others"], rel=0.1)


def test_no_overlap_is_said() -> None:
    one = world(500, 0)
    with pytest.raises(EvaluationError, match="No overlap"):
        estimate(one.places, np.zeros(len(one.item)))
    certain = by_place(one.target, np.ones(len(one.item)))  # as if the arm had not drawn
    found = estimate(one.places, certain)
    assert found.ips.value < TRUTH / 2
    assert any("Overlap fails" in warning for warning in found.warnings)
    heavy = np.full(len(one.item), 0.01)
    heavy[0] = 1000.0
    warnings = " ".join(estimate(one.places, heavy).warnings)
    assert "effective answers" in warnings
    assert "One place of one answer" in warnings
    for wrong in (0.0, 1.5, np.nan):
        with pytest.raises(EvaluationError, match="propensity"):
            by_place(np.ones(2), np.array([0.5, wrong]))


def test_some_answers_alone() -> None:
    one = world(100, 0).places
    chosen = np.zeros(100, dtype=bool)
    chosen[[3, 50]] = True
    taken = one.take(chosen)
    assert taken.answer.tolist() == [0, 0, 0, 1, 1, 1]
    assert taken.user.tolist() == one.user[[3, 50]].tolist()
    assert taken.reward.tolist() == one.reward[np.isin(one.answer, [3, 50])].tolist()


def test_the_reward_model_finds_places_and_items() -> None:
    rng = np.random.default_rng(0)
    item, place = rng.integers(0, ITEMS, 200_000), rng.integers(0, DEPTH, 200_000)
    reward = (rng.random(200_000) < LOOKS[place] * LIKES[0][item]).astype(float)
    model = RewardModel.fit(item, place, reward, ITEMS, DEPTH)
    grid = np.meshgrid(np.arange(ITEMS), np.arange(DEPTH), indexing="ij")
    found = model.predict(grid[0].ravel(), grid[1].ravel()).reshape(ITEMS, DEPTH)
    assert found == pytest.approx(LIKES[0][:, None] * LOOKS, abs=0.02)
    assert model.predict(np.array([-1]), np.array([0])) == pytest.approx(model.rate[0])
