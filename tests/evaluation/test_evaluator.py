from __future__ import annotations

import io
import json

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from shortlist.data.dataset import Dataset
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.errors import EvaluationError
from shortlist.evaluation.assessment import assess
from shortlist.evaluation.background import Background
from shortlist.evaluation.evaluator import definitions, evaluate, validation_figure
from shortlist.evaluation.metrics import METRICS
from shortlist.evaluation.report import Report
from shortlist.recommender import Query, Recommender
from shortlist.retrieval import Candidates
from shortlist.settings import SplitSettings
from shortlist.testing import two_tastes


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


def test_equal_scores_get_what_chance_gets() -> None:
    """In every metric: as much as the mean over orders drawn at random, never perfection."""
    world = two_tastes(users=600, items=30, length=9)
    test = split(world, SplitSettings(method="random", test_fraction=0.4)).test
    evaluation = evaluate(Constant(world.num_items), test, (1, 5, 10))
    rng, num_draws = np.random.default_rng(0), 30
    lengths = test.targets.lengths
    names = [(metric, k) for metric in METRICS for k in (1, 5, 10)]
    chance: dict[tuple[str, int], list[np.ndarray]] = {name: [] for name in names}
    for _ in range(num_draws):
        keys = rng.random((len(test), world.num_items))
        keys[~Candidates(test.seen).mask(world.num_items)] = 2  # seen items are no candidates
        order = keys.argsort(axis=1).argsort(axis=1) + 1
        drawn = Ragged.from_lengths(order[test.targets.row_of_value, test.targets.values], lengths)
        for metric, k in names:
            chance[metric, k].append(METRICS[metric](drawn, k))
    for metric, k in names:
        expected, deviation = np.mean(chance[metric, k]), np.std(chance[metric, k]) / np.sqrt(len(test))
        assert abs(np.mean(evaluation.per_query(metric, k)) - expected) < 5 * deviation, (metric, k)
        assert expected < 0.9
    assert evaluation.mean("auc") == pytest.approx(0.5, abs=0.03)


def test_scores_that_are_not_finite_are_refused(world: Dataset) -> None:
    """No comparison with NaN holds: such a model would find every target at the first place."""
    test = split(world, SplitSettings()).test
    for value in (np.nan, np.inf):
        for ask in (
            lambda broken: evaluate(broken, test, (10,)),
            lambda broken: validation_figure(broken, test, "ndcg@10"),
        ):
            with pytest.raises(
                EvaluationError, match=r"constant: 40 of 40 numbers in its vectors of items are NaN or infinite"
            ):
                ask(Constant(world.num_items, value))


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
        if (name.partition("@")[0] in METRICS and name != "precision@10") or name == "auc":
            assert (figure.value, figure.low, figure.high) == pytest.approx((1.0, 1.0, 1.0)), name
    assert figures["precision@10"].value == pytest.approx(0.1)  # one target, ten places


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


def test_lists_are_the_ones_that_are_served(demo: Recommender) -> None:
    """Offline equals online: the evaluated list of a query is what the recommender answers it with."""
    parts = split(demo.dataset, demo.settings.split, demo.settings.seed)
    test, ids = parts.test, demo.dataset.items.ids_of
    evaluation = evaluate(demo.retriever, test, (20,), Background.of(demo.dataset, parts.train_and_valid, test))
    asked = range(0, len(test), 23)
    queries = [
        Query(
            history=ids(test.queries.liked.row(q)),
            disliked=ids(test.queries.disliked.row(q)),
            exclude=ids(test.seen.row(q)),
            k=20,
        )
        for q in asked
    ]
    for q, answer in zip(asked, demo.recommend_many(queries), strict=True):
        assert [item.item_id for item in answer.items] == ids(evaluation.lists[q])


def test_what_the_training_data_says_of_items(world: Dataset) -> None:
    parts = split(world, SplitSettings())
    known = Background.of(world, parts.train_and_valid, parts.test)
    assert known.counts.sum() == parts.train_and_valid.liked.sum()
    assert known.num_users == 60
    assert known.tags.toarray().sum(axis=1).tolist() == [1] * world.num_items  # even or odd
    evaluation = evaluate(Constant(world.num_items), parts.test, (10,), known)
    figures = evaluation.figures()
    assert set(definitions((10,), known)) == set(figures)
    # everybody gets the ten most frequent unseen items: those of one's own kind that are left, and the others
    assert figures["diversity@10"].value > 0
    assert figures["serendipity@10"].value <= figures["precision@10"].value + 1e-12


def test_report_is_read_back_and_shown(world: Dataset) -> None:
    parts = split(world, SplitSettings())
    models = {"constant": Constant(world.num_items), "popularity": Constant(world.num_items)}
    found = assess(models, world, parts.train, parts.test, (10, 20), "ndcg@10", sampled=False)
    report = Report(
        parts.description,
        len(parts.test),
        found.definition,
        found.models,
        {"fit": 1.0},
        12.5,
        0,
        notes=("a note",),
        comparisons=found.comparisons,
        slices=found.slices,
        curves=found.curves,
    )
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert Report.from_dict(plain).to_dict() == plain
    assert set(report.definition) == set(found.models["constant"])
    for width in (80, 160):
        console = Console(file=io.StringIO(), width=width)
        console.print(report.table())
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert {"ndcg", "@10", "recall", "@20"} <= set(text.split()), width
        assert "a note" in text
        assert "…" not in text, "a column is cut off"
    assert found.comparisons["against"]["popularity"]["difference"] == 0


def test_ranks_of_every_target_are_kept(world: Dataset) -> None:
    parts = split(world, SplitSettings())
    found = assess(
        {"constant": Constant(world.num_items)}, world, parts.train, parts.test, (10,), "ndcg@10", sampled=False
    )
    table = found.per_target(world)
    assert table.column_names == ["user_id", "item_id", "num_candidates", "rank.constant"]
    hits = np.mean(table.column("rank.constant").to_numpy() <= 10)
    assert hits == found.models["constant"]["hit_rate@10"]["value"]
    assert table.column("num_candidates").to_pylist() == (world.num_items - parts.test.seen.lengths).tolist()
