"""A user's id as a feature: a vector of their own, which newcomers do without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import FeatureSpec, Schema
from shortlist.data.features import CategoryColumn
from shortlist.data.preparation import prepare
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.errors import SettingsError
from shortlist.models.network import NetworkRetriever
from shortlist.retrieval import dot
from shortlist.settings import FeatureSettings, NetworkSettings, Settings
from shortlist.training.networks import untrained
from shortlist.training.retrievers import fit_retriever, serve

ALONE = {"embedding_dim": 8, "history": "none", "target": "multi_hot", "target_share": 1.0}


@pytest.fixture(scope="module")
def known_by_id(world: Dataset) -> Dataset:
    """The world with an id for a feature, and nothing else known of people."""
    ids = world.users.ids.cast(pa.string())
    spec = FeatureSpec.fit("me", "user", FeatureSettings(kind="id"), ids)
    return replace(world, schema=Schema((spec, *world.schema.side("item"))), user_features={"me": spec.encode(ids)})


def network(dataset: Dataset, **given: object) -> NetworkRetriever:
    torch.manual_seed(0)
    settings = Settings.from_dict({"retriever": {"model": "two_tower", **ALONE, **given}})
    assert isinstance(settings.retriever, NetworkSettings)
    return untrained(dataset, split(dataset, settings.split).train, settings.retriever).eval()


def asked(*codes: int, liked: list[list[int]] | None = None) -> QueryBatch:
    empty: list[list[int]] = [[] for _ in codes]
    features = {"me": CategoryColumn(np.array(codes, np.int32))}
    return QueryBatch(Ragged.from_rows(liked or empty), Ragged.from_rows(empty), features)


def test_alone_it_makes_a_matrix_factorization(known_by_id: Dataset) -> None:
    model = network(known_by_id)
    table = model.query.people["me"].weight.detach().numpy()  # type: ignore[union-attr]
    np.testing.assert_array_equal(model.encode_queries(asked(2, 7)), table[[2, 7]])
    assert not any(name.startswith("query.hidden") for name, _ in model.named_parameters())


def test_it_is_added_to_what_the_history_says(known_by_id: Dataset) -> None:
    model = network(known_by_id, history="mean", history_alone=True)
    table = model.query.people["me"].weight.detach().numpy()  # type: ignore[union-attr]
    with_id, without = model.encode_queries(asked(5, 1, liked=[[0, 3], [0, 3]]))
    np.testing.assert_allclose(with_id - without, table[5], rtol=1e-5, atol=1e-7)


def test_who_is_not_in_training_has_none(known_by_id: Dataset) -> None:
    dataset = known_by_id
    settings = Settings.from_dict({"retriever": {"model": "two_tower", **ALONE}})
    parts = split(dataset, settings.split)
    assert isinstance(settings.retriever, NetworkSettings)
    few = replace(parts.train, liked=parts.train.liked & (parts.train.user_idx != 4))
    table = untrained(dataset, few, settings.retriever).query.people["me"].weight  # type: ignore[union-attr]
    column = dataset.user_features["me"]
    assert isinstance(column, CategoryColumn)
    empty = (table == 0).all(dim=1).numpy()  # type: ignore[operator, union-attr]
    assert np.flatnonzero(empty).tolist() == sorted([0, 1, int(column.codes[4])])  # missing, unseen, and user 4


def test_it_learns_who_likes_what_and_is_served(known_by_id: Dataset, tmp_path: Path) -> None:
    training = {"epochs": 30, "batch_size": 16, "learning_rate": 0.03, "patience": 30, "refit": False}
    settings = Settings.from_dict({"retriever": {"model": "two_tower", **ALONE}, "training": training})
    parts = split(known_by_id, settings.split)
    fitted = fit_retriever(known_by_id, parts, settings).retriever
    served = serve(fitted, known_by_id, tmp_path / "served")
    queries = parts.test.queries
    np.testing.assert_allclose(served.encode_queries(queries), fitted.encode_queries(queries), atol=1e-4)
    without_history = replace(queries, liked=Ragged.empty(len(queries)), disliked=Ragged.empty(len(queries)))
    scores = dot(served.encode_queries(without_history), served.encode_items())
    best = np.argsort(-scores, axis=1)[:, :10]
    items, users = (np.asarray(one.ids.to_pylist()) % 2 for one in (known_by_id.items, known_by_id.users))
    right = items[best] == users[parts.test.user_idx, None]  # people with even numbers take even items
    assert right.mean() > 0.9


def test_ids_need_no_table_of_users() -> None:
    log = pa.table({"user_id": ["b", "a", "b", "a"], "item_id": ["x", "x", "y", "z"]})
    settings = Settings.from_dict({"features": {"user": {"me": {"kind": "id"}}}})
    dataset = prepare(log, None, None, settings.data, settings.features)
    (spec,) = dataset.schema
    column = dataset.user_features["me"]
    assert isinstance(column, CategoryColumn)
    assert [spec.values[code - 2] for code in column.codes] == dataset.users.ids.to_pylist()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"item": {"me": {"kind": "id"}}}, r"item\.me: kind = \"id\" is of users: set it under \[features\.user\.me\]"),
        ({"user": {"me": {"kind": "id", "column": "name"}}}, r"stands in no column;"),
    ],
)
def test_where_ids_do_not_belong(features: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_dict({"features": features})
