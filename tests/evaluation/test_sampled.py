from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout, split
from shortlist.errors import EvaluationError
from shortlist.evaluation.sampled import sampled_definitions, sampled_figures, sampled_ranks
from shortlist.settings import SplitSettings


class Given:
    """The same score for an item whoever asks."""

    name = "given"
    has_item_bias = False

    def __init__(self, scores: list[float]) -> None:
        self.scores = np.array(scores, dtype=np.float32)[:, None]

    def encode_queries(self, queries: QueryBatch) -> np.ndarray:
        return np.ones((len(queries), 1), dtype=np.float32)

    def encode_items(self) -> np.ndarray:
        return self.scores


def holdout(targets: list[list[int]], negatives: list[list[int]]) -> Holdout:
    nothing = Ragged.empty(len(targets))
    return Holdout(
        QueryBatch(nothing, nothing),
        np.arange(len(targets), dtype=np.int32),
        nothing,
        Ragged.from_rows(targets),
        Ragged.from_rows(negatives),
    )


def test_only_the_given_compete_and_negatives_win_ties() -> None:
    model = Given([9, 5, 5, 3, 1])
    asked = holdout([[1], [3, 1], [4]], [[2, 3], [4], [3]])  # item 0 is in no list
    assert sampled_ranks(model, asked).values.tolist() == [2, 2, 1, 2]
    figures = sampled_figures(sampled_ranks(model, asked), (1,))
    assert figures["sampled_hit_rate@1"].value == pytest.approx(1 / 3)
    assert sampled_definitions(asked, (1,))["sampled_hit_rate@1"].startswith(
        "among the query's targets and 1 to 2 given"
    )


def test_blocks_do_not_change_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    asked = holdout([[int(i)] for i in rng.integers(0, 10, 20)], [rng.integers(0, 10, 3).tolist() for _ in range(20)])
    model = Given(rng.normal(size=10).tolist())
    whole = sampled_ranks(model, asked).values
    monkeypatch.setattr("shortlist.evaluation.sampled._SCORES_AT_ONCE", 30)
    assert sampled_ranks(model, asked).values.tolist() == whole.tolist()


def test_equal_scores_get_no_hit() -> None:
    assert sampled_ranks(Given([1, 1, 1]), holdout([[0]], [[1, 2]])).values.tolist() == [3]


def test_without_negatives_it_says_what_to_give(world: Dataset) -> None:
    test = split(world, SplitSettings()).test
    with pytest.raises(EvaluationError, match=r'no given negatives.*method = "files" with negatives = FILE.*ncf-ml-1m'):
        sampled_ranks(Given([0.0] * world.num_items), replace(test, negatives=None))
