from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.errors import TrainingError
from shortlist.settings import LogisticMFSettings, Settings
from shortlist.training.logistic_mf import LogisticMF, _Samples, fit_logistic_mf
from shortlist.training.rankers import fit_ranker
from shortlist.training.retrievers import fit_retriever


def by_hand(model: LogisticMF, users: Any, items: Any, rate: float, decay: float) -> float:
    """The same steps in NumPy and double precision; changes ``model``."""
    total = 0.0
    for user, row in zip(users, items, strict=True):
        for place, item in enumerate(row):
            label, w, h = float(place == 0), model.users[user].copy(), model.items[item].copy()
            x = float(model.bias[0]) + float(model.user_bias[user]) + float(model.item_bias[item]) + float(w @ h)
            total += np.log1p(np.exp(-x if label else x))
            slope = label - 1 / (1 + np.exp(-x))
            model.users[user] += rate * (slope * h - decay * w)
            model.items[item] += rate * (slope * w - decay * h)
            for bias, at in ((model.user_bias, user), (model.item_bias, item), (model.bias, 0)):
                bias[at] += rate * (slope - decay * bias[at])
    return total


def test_steps_are_those_of_the_formula() -> None:
    users, items = np.array([0, 1, 0]), np.array([[2, 0], [3, 2], [1, 3]])
    one, other = (LogisticMF(2, 4, 3, 0.5, np.random.default_rng(0)) for _ in range(2))
    for _ in range(3):
        assert one.learn(users, items, 0.3, 0.1) == pytest.approx(by_hand(other, users, items, 0.3, 0.1), rel=1e-5)
    for name in ("users", "items", "user_bias", "item_bias", "bias"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-4, atol=1e-6)
    served = one.ranker(np.ones(2, bool)).score_pairs(np.array([1, 0]), np.array([3, 2]))
    expected = [
        one.bias[0] + one.user_bias[u] + one.item_bias[i] + one.users[u] @ one.items[i] for u, i in ((1, 3), (0, 2))
    ]
    np.testing.assert_allclose(served, expected, rtol=1e-5)


def chosen(**given: Any) -> LogisticMFSettings:
    return LogisticMFSettings(**{"embedding_dim": 4, "epochs": 30, "learning_rate": 0.1, **given})


def test_it_learns_the_taste_and_the_same_seed_gives_the_same_bits(world: Dataset) -> None:
    fits = [fit_logistic_mf(world.interactions, world.num_items, chosen(), None, seed=seed)[0] for seed in (3, 3, 4)]
    for user in range(6):
        scores = fits[0].score_pairs(np.full(world.num_items, user), np.arange(world.num_items))
        even = np.array([int(world.items.id(item)) % 2 == 0 for item in range(world.num_items)])  # type: ignore[arg-type]
        own, others = (even, ~even) if world.users.id(user) % 2 == 0 else (~even, even)  # type: ignore[operator]
        assert (scores[own][:, None] > scores[others]).mean() > 0.85
    for name, array in fits[0].arrays.items():
        np.testing.assert_array_equal(array, fits[1].arrays[name])
    assert not np.array_equal(fits[0].arrays["users.gmf"], fits[2].arrays["users.gmf"])


def test_the_best_epoch_is_kept_and_patience_ends_it(world: Dataset) -> None:
    figures = iter([0.1, 0.3, 0.2, 0.2, 0.2, 0.2])
    kept: list[Any] = []

    def judge(ranker: Any) -> float:
        kept.append(ranker)
        return next(figures)

    ranker, runs = fit_logistic_mf(world.interactions, world.num_items, chosen(patience=3), judge, seed=0)
    run = runs["logistic_mf"]
    assert (run.best_epoch, len(run.epochs), run.ended_by) == (2, 5, "patience")
    assert ranker is kept[1]
    again, _ = fit_logistic_mf(
        world.interactions, world.num_items, chosen(), None, seed=0, epochs={"logistic_mf": run.best_epoch}
    )
    np.testing.assert_array_equal(again.arrays["items.gmf"], ranker.arrays["items.gmf"])


def test_a_rate_too_high_is_said(world: Dataset) -> None:
    with (
        np.errstate(all="ignore"),
        pytest.raises(TrainingError, match=r"loss of epoch 1 is .*Lower \[ranker\] learning_rate \(now 1e\+30\)"),
    ):
        fit_logistic_mf(world.interactions, world.num_items, chosen(learning_rate=1e30), None, seed=0)


def test_negatives_are_of_all_items_or_of_those_not_taken(world: Dataset) -> None:
    log = world.interactions
    taken = set(zip(log.user_idx.tolist(), log.item_idx.tolist(), strict=True))
    shares = []
    for negatives in ("uniform", "unobserved"):
        samples = _Samples(log, world.num_items, chosen(negatives=negatives))
        users, items = (np.concatenate(one) for one in zip(*samples.epoch(np.random.default_rng(0)), strict=True))
        assert {(int(u), int(row[0])) for u, row in zip(users, items, strict=True)} == {
            (int(u), int(i)) for u, i in zip(log.user_idx[log.liked], log.item_idx[log.liked], strict=True)
        }
        shares.append(
            np.mean([(int(u), int(i)) in taken for u, row in zip(users, items, strict=True) for i in row[1:]])
        )
    assert shares == [pytest.approx(12 / 40, abs=0.02), 0]


def test_from_settings(world: Dataset) -> None:
    ranker = {"model": "logistic_mf", "embedding_dim": 4, "epochs": 3, "candidates": 30}
    settings = Settings.from_dict({"retriever": {"model": "popularity"}, "ranker": ranker})
    parts = split(world, settings.split)
    retriever = fit_retriever(world, parts, settings).retriever
    fitted = fit_ranker(world, parts, settings, retriever, retriever)
    assert set(fitted.course["selection"]) == set(fitted.course["refit"]) == {"logistic_mf"}
    assert fitted.selected["epochs"] == fitted.course["selection"]["logistic_mf"]["best_epoch"]
