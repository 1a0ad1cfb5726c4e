from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from shortlist.data.dataset import Dataset
from shortlist.data.queries import QueryBatch
from shortlist.data.splitting import split
from shortlist.evaluation.evaluator import definitions, evaluate, evaluate_all
from shortlist.evaluation.report import Report
from shortlist.settings import SplitSettings


class Constant:
    """All items score the same."""

    name = "constant"
    has_item_bias = False

    def __init__(self, num_items: int, value: float = 1.0) -> None:
        self.vectors = np.full((num_items, 1), value, dtype=np.float32)

    def encode_queries(self, queries: QueryBatch) -> NDArray[np.float32]:
        return np.ones((len(queries), 1), dtype=np.float32)

    def encode_items(self) -> NDArray[np.float32]:
        return self.vectors


def test_equal_scores_get_nothing(world: Dataset) -> None:
    test = split(world, SplitSettings()).test
    evaluation = evaluate(Constant(world.num_items), test, (1, 10))
    for metric in ("ndcg", "recall", "hit_rate", "mrr", "top_k_accuracy"):
        assert evaluation.mean(metric, 10) == 0.0, metric


def test_a_seer_gets_everything(world: Dataset) -> None:
    test = split(world, SplitSettings()).test

    class Seer(Constant):
        def encode_queries(self, queries: QueryBatch) -> NDArray[np.float32]:
            out = np.zeros((len(queries), world.num_items), dtype=np.float32)
            out[test.targets.row_of_value, test.targets.values] = 1
            return out

        def encode_items(self) -> NDArray[np.float32]:
            return np.eye(world.num_items, dtype=np.float32)

    figures = evaluate(Seer(world.num_items), test, (1, 10)).figures()
    for name, figure in figures.items():
        if not name.startswith("coverage"):
            assert (figure.value, figure.low, figure.high) == (1.0, 1.0, 1.0), name


def test_the_interval_covers_the_truth(world: Dataset) -> None:
    """Random scores: the true hit rate is known, and lies in the interval."""
    test = split(world, SplitSettings()).test
    rng = np.random.default_rng(0)

    class Noise(Constant):
        def encode_queries(self, queries: QueryBatch) -> NDArray[np.float32]:
            return rng.normal(size=(len(queries), world.num_items)).astype(np.float32)

        def encode_items(self) -> NDArray[np.float32]:
            return np.eye(world.num_items, dtype=np.float32)

    figure = evaluate(Noise(world.num_items), test, (10,)).figures()["hit_rate@10"]
    allowed = world.num_items - test.seen.lengths.mean()
    assert figure.low < 10 / allowed < figure.high
    assert figure.low < figure.value < figure.high


def test_more_targets_count_by_record_or_by_query(world: Dataset) -> None:
    test = split(world, SplitSettings(method="random", test_fraction=0.4)).test
    evaluation = evaluate(Constant(world.num_items), test, (world.num_items,))
    assert evaluation.mean("recall", world.num_items) == pytest.approx(1.0)
    assert evaluation._weights("top_k_accuracy").sum() == len(test.targets.values)


def test_the_report_is_read_back_and_shown(world: Dataset) -> None:
    parts = split(world, SplitSettings())
    models = evaluate_all(
        {"constant": Constant(world.num_items), "other": Constant(world.num_items)}, parts.test, (10, 20)
    )
    report = Report(
        parts.description,
        len(parts.test),
        definitions((10, 20)),
        models,
        {"fit": 1.0},
        12.5,
        0,
        notes=("a note",),
    )
    assert Report.from_dict(report.to_dict()) == report
    assert set(report.definition) == set(models["constant"])
    for width in (80, 160):
        console = Console(file=io.StringIO(), width=width)
        console.print(report.table())
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert {"ndcg", "@10", "recall", "@20", "0.0000"} <= set(text.split()), width
        assert "a note" in text
