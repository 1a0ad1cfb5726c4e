"""Stages of a path whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.evaluation.background import Background
from shortlist.evaluation.evaluator import evaluate
from shortlist.evaluation.stages import Pages, mean_age, ranks_in, stage_by_stage
from shortlist.models.popularity import Popularity
from shortlist.settings import SplitSettings


def test_ranks_in_lists_are_those_of_the_evaluator(world: Dataset) -> None:
    parts = split(world, SplitSettings())
    model = Popularity.fit(parts.train, world.num_items)
    found = evaluate(model, parts.test, (10,), Background.of(world, parts.train, parts.test))
    inside = ranks_in(found.lists, parts.test.targets).values
    expected = found.ranks.values
    near = inside <= 10
    # equal scores are ordered by lot in ranks and by index in lists: on few places alone they may differ
    assert near.any()
    assert abs(near.mean() - (expected <= 10).mean()) < 0.2
    pages = Pages(parts.test, Background.of(world, parts.train, parts.test), world.num_items)
    values = pages.per_query(found.lists, 10)
    np.testing.assert_allclose(values["diversity"], found.per_query("diversity", 10))
    np.testing.assert_allclose(values["miscalibration"], found.per_query("miscalibration", 10))
    np.testing.assert_allclose(values["novelty"], found.per_query("novelty", 10))
    means = pages.means(found.lists, 10)
    assert means["coverage"] == len(set(found.lists.ravel().tolist())) / world.num_items
    assert "age" not in means


def test_what_is_not_in_a_list_comes_after_it() -> None:
    lists = np.array([[3, 1, 2], [5, -1, -1]], np.int32)
    ranks = ranks_in(lists, Ragged.from_rows([[1, 9], [5, 3]]))
    assert ranks.row(0).tolist() == [2, 4]
    assert ranks.row(1).tolist() == [1, 4]


def test_age_leaves_out_what_is_not_known() -> None:
    day = 86_400_000.0
    came = np.array([0.0, np.nan, 30 * day])
    lists = np.array([[0, 1], [2, 0], [1, -1]], np.int32)
    found = mean_age(lists, 2, came, np.full(3, 20 * day))
    np.testing.assert_allclose(found, [20.0, 10.0, np.nan])  # what comes later is 0 days old


def test_stages_tell_what_each_adds_and_costs(world: Dataset) -> None:
    """The candidates hold every target; the first stage puts it last, the second first, the third drops it for half."""
    parts = split(world, SplitSettings())
    test = parts.test
    target = test.targets.values
    rng = np.random.default_rng(0)
    others = np.stack([rng.permutation(np.setdiff1d(np.arange(world.num_items), [one]))[:9] for one in target])
    first = np.concatenate([others, target[:, None]], axis=1).astype(np.int32)
    second = np.roll(first, 1, axis=1)
    third = second.copy()
    third[::2] = first[::2]
    pages = Pages(test, Background.of(world, parts.train, test), world.num_items, np.zeros(world.num_items))
    report = stage_by_stage(
        pages, first, [("retrieval", first[:, :5]), ("ranker", second[:, :5]), ("diversity", third[:, :5])], 5
    )
    assert report["ceiling"] == {"candidates": 10, "recall": {"value": 1.0, "low": 1.0, "high": 1.0}}
    ndcg = [row["figures"]["ndcg@5"]["value"] for row in report["stages"]]
    assert ndcg == pytest.approx([0.0, 1.0, 0.5])
    assert report["stages"][0]["difference"] is None
    assert [row["difference"]["difference"] for row in report["stages"][1:]] == pytest.approx([1.0, -0.5])
    assert {"coverage@5", "gini@5", "popularity@5", "age@5", "miscalibration@5"} <= set(report["stages"][0]["figures"])
    assert set(report["definition"]) == {"age@5"}
