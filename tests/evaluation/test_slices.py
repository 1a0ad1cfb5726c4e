from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import FeatureSpec, Schema
from shortlist.data.splitting import split
from shortlist.evaluation.background import Background
from shortlist.evaluation.evaluator import evaluate
from shortlist.evaluation.slices import Slice, sliced, slices
from shortlist.models.popularity import Popularity
from shortlist.settings import FeatureSettings, SplitSettings


@pytest.fixture
def found(world: Dataset) -> tuple[list[Slice], list[dict]]:
    parts = split(world, SplitSettings())
    known = Background.of(world, parts.train_and_valid, parts.test)
    even = np.array([int(i) % 2 == 0 for i in world.items.ids.to_pylist()])
    models = {
        "even first": Popularity(np.where(even, 100.0, 0.0) + np.arange(world.num_items) / 100),
        "popularity": Popularity.fit(parts.train_and_valid, world.num_items),
    }
    evaluations = {name: evaluate(one, parts.test, (10,), known) for name, one in models.items()}
    chosen = slices(world, parts.test, known)
    return chosen, sliced(evaluations, chosen, "hit_rate@10")


def test_every_record_stands_in_one_slice_of_a_group(found: tuple[list[Slice], list[dict]], world: Dataset) -> None:
    chosen, _ = found
    for group in ("person: history", "item: popularity", "item: tags", "item: size", "person: town"):
        masks = [one.records for one in chosen if one.group == group]
        assert np.sum(masks, axis=0).tolist() == [1] * 60, group


def test_a_single_person_is_no_slice(world: Dataset) -> None:
    ids = world.users.ids.cast(pa.string())
    spec = FeatureSpec.fit("me", "user", FeatureSettings(kind="id"), ids)
    known_by_id = replace(world, schema=Schema((spec,)), user_features={"me": spec.encode(ids)})
    parts = split(known_by_id, SplitSettings())
    found = slices(known_by_id, parts.test, Background.of(known_by_id, parts.train_and_valid, parts.test))
    assert {one.group for one in found} == {"person: history", "item: popularity"}


def test_a_slice_shows_where_a_model_is_good(found: tuple[list[Slice], list[dict]]) -> None:
    rows = {(row["group"], row["name"]): row for row in found[1]}
    even, odd = rows["item: tags", "even"], rows["item: tags", "odd"]
    assert even["models"]["even first"]["value"] > 0.5
    assert odd["models"]["even first"]["value"] == 0
    assert odd["versus_popularity"]["difference"] < 0
    assert odd["versus_popularity"]["probability"] < 0.05
    assert even["num_queries"] + odd["num_queries"] == 60
    assert sum(row["num_queries"] for row in found[1] if row["group"] == "person: town") == 60


def test_without_popularity_nothing_is_compared(world: Dataset) -> None:
    parts = split(world, SplitSettings())
    known = Background.of(world, parts.train, parts.test)
    one = evaluate(Popularity(np.ones(world.num_items)), parts.test, (10,), known)
    rows = sliced({"mine": one}, slices(world, parts.test, known), "ndcg@10")
    assert {row["versus_popularity"] for row in rows} == {None}
