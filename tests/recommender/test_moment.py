"""What is computed from the moment of the request: the same in training, evaluation and serving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.data.queries import network_inputs
from shortlist.data.splitting import split
from shortlist.errors import QueryError, SettingsError
from shortlist.models.network import NetworkRetriever
from shortlist.recommender import Query, Recommender, artifact
from shortlist.service.app import create_app
from shortlist.settings import Settings
from shortlist.training.batches import TrainingExamples
from shortlist.training.retrievers import fit_retriever, serve

HOUR = 3_600
START = 1_600_000_000 // (24 * HOUR) * 24 * HOUR  # midnight
SETTINGS = Settings.from_dict(
    {
        "data": {"columns": {"timestamp": "timestamp"}},
        "features": {
            "context": {
                "hour": {"kind": "hour"},
                "day": {"kind": "weekday"},
                "pause": {"kind": "since_last"},
                "taken": {"kind": "history_count"},
            }
        },
        "retriever": {
            "embedding_dim": 8,
            "hidden_dims": [32],
            "history_windows": [3],
            "dropout": 0.0,
            "target_window": 1,
        },
        "training": {"epochs": 12, "batch_size": 64, "learning_rate": 0.02, "patience": 12, "refit": False},
    }
)


def by_the_hour(people: int = 60, length: int = 10) -> pa.Table:
    """In the morning (8) everybody takes some of the items 0 to 19, in the evening (20) of 20 to 39; nothing else matters."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[int]] = {"user_id": [], "item_id": [], "timestamp": []}
    for user in range(people):
        morning, evening = rng.permutation(20), 20 + rng.permutation(20)
        for day, late in enumerate(rng.integers(0, 2, length)):
            rows["user_id"].append(user)
            rows["item_id"].append(int((evening if late else morning)[day]))
            rows["timestamp"].append(START + 24 * HOUR * day + (20 if late else 8) * HOUR)
    return pa.table(rows)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return prepare(by_the_hour(), settings=SETTINGS.data, features=SETTINGS.features)


@pytest.fixture(scope="module")
def model(data: Dataset) -> NetworkRetriever:
    fitted = fit_retriever(data, split(data, SETTINGS.split), SETTINGS).retriever
    assert isinstance(fitted, NetworkRetriever)
    return fitted


@pytest.fixture(scope="module")
def recommender(data: Dataset, model: NetworkRetriever, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return Recommender(data, serve(model, data, tmp_path_factory.mktemp("served") / "r"), SETTINGS)


def test_the_time_of_the_request_decides(recommender: Recommender) -> None:
    """Learned from the targets' times, asked through ONNX with the request's."""
    for time, first in (("2026-11-20T08:10:00Z", 0), ("2026-11-20T20:10:00Z", 20), (START + 20 * HOUR, 20)):
        answer = recommender.recommend(Query(history=[0, 20, 1, 21], k=8, time=time))
        assert all(first <= item.item_id < first + 20 for item in answer.items), time  # type: ignore[operator]


def test_now_where_nothing_is_said(recommender: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shortlist.recommender.recommender.time.time", lambda: START + 20.5 * HOUR)
    now = recommender.recommend(Query(history=[0, 20], k=5)).items
    assert now == recommender.recommend(Query(history=[0, 20], k=5, time=START + 20.5 * HOUR)).items
    assert all(item.item_id >= 20 for item in now)  # type: ignore[operator]


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_training_evaluation_and_serving_see_the_same(data: Dataset, recommender: Recommender) -> None:
    """A person's last interaction as a training target, as a test target, and as a request: the same bits go in."""
    log, specs = data.interactions, data.schema.query
    last = np.flatnonzero(np.append(log.user_idx[1:] != log.user_idx[:-1], True))
    trained = TrainingExamples(data, log).batch(last, last + 1).queries
    holdout = split(data, SETTINGS.split).test
    without = prepare(
        by_the_hour().filter(pa.array(~_last_of_each(by_the_hour()))),
        settings=SETTINGS.data,
        features=SETTINGS.features,
    )
    # the ids of this data set are ordered otherwise: queries go by the ids
    served = Recommender(without, recommender.retriever, SETTINGS)
    users = data.users.ids_of(log.user_idx[last])
    queries = [Query(user_id=u, time=int(t)) for u, t in zip(users, log.timestamp[last], strict=True)]
    asked = served.asking.batch(queries, without.users.rows(users).astype(np.int64))
    place = data.items.rows(without.items.ids_of(np.arange(without.num_items)))
    inputs = [network_inputs(one, specs, 10) for one in (trained, holdout.queries, asked)]
    inputs[2] = {
        name: np.where(array > 0, place[array - 1] + 1, 0) if name in ("liked", "disliked") else array
        for name, array in inputs[2].items()
    }
    assert np.ptp(inputs[0]["category.hour"]) == 12
    assert np.ptp(inputs[0]["numbers"][:, 0]) > 0.01
    same(inputs[0], inputs[1])
    same(inputs[0], inputs[2])


def _last_of_each(table: pa.Table) -> np.ndarray:  # type: ignore[type-arg]
    user = table.column("user_id").to_numpy()
    return np.append(user[1:] != user[:-1], True)


def test_onnx_takes_the_moment_as_pytorch_does(
    data: Dataset, model: NetworkRetriever, recommender: Recommender
) -> None:
    queries = split(data, SETTINGS.split).test.queries
    served = recommender.retriever.encode_queries(queries)
    np.testing.assert_allclose(served, model.encode_queries(queries), atol=1e-5)
    later = recommender.asking.batch([Query(user_id=3, time=START + h * HOUR) for h in (8, 20)], np.array([3, 3]))
    one, other = recommender.retriever.encode_queries(later)
    assert np.abs(one - other).max() > 0.1


def test_a_computed_feature_is_not_given(recommender: Recommender) -> None:
    with pytest.raises(QueryError, match="'hour' is computed from the time and the history of the request"):
        recommender.recommend(Query(features={"hour": 3}))
    with pytest.raises(QueryError, match="time: expected seconds"):
        recommender.recommend(Query(time="soon"))


def test_the_pause_and_the_count_are_those_of_the_history(data: Dataset, recommender: Recommender) -> None:
    """A known person's history has times; one that comes with the query has none, and an empty one no last item."""
    log = data.interactions
    last = int(log.timestamp[log.user_idx == data.users.row(3)].max())
    queries = [
        Query(user_id=3, time=last + 60_000 * 60 * 24),  # in milliseconds: a day later
        Query(user_id=3, time=last - 60_000),
        Query(user_id=3, history=[39], time=last + 60_000),
        Query(history=[1, 2], disliked=[3], time=last),
        Query(time=last),
    ]
    batch = recommender.asking.batch(queries, np.array([3, 3, 3, -1, -1]))
    numbers = network_inputs(batch, data.schema.query, 10)["numbers"]
    year = np.log1p(365 * 24 * 60)
    np.testing.assert_allclose(numbers[:, 0], [np.log1p(24 * 60) / year, 0, 0, 0, 0], rtol=1e-5)
    assert numbers[:, 1].tolist() == [0, 0, 1, 1, 1]  # missing
    own = len(data.interactions.positives().row(data.users.row(3)))
    extra = 39 not in data.items.ids_of(data.interactions.positives().row(data.users.row(3)))
    np.testing.assert_allclose(numbers[:, 2], np.log1p([own, own, own + extra, 3, 0]) / np.log(101), rtol=1e-5)
    assert not numbers[:, 3].any()


def test_a_longer_pause_is_another_question(recommender: Recommender) -> None:
    weeks = [START + 24 * HOUR * 7 * n for n in (3, 52)]  # the same hour and weekday
    one, other = recommender.retriever.encode_queries(
        recommender.asking.batch([Query(user_id=3, time=week) for week in weeks], np.array([3, 3]))
    )
    assert np.abs(one - other).max() > 1e-3


def test_a_bag_has_no_moment(data: Dataset) -> None:
    bags = {**SETTINGS.to_dict(), "retriever": {"target": "multi_hot"}}
    with pytest.raises(SettingsError, match=r"asked at no moment, so that \[features.context.hour\]"):
        fit_retriever(data, split(data, SETTINGS.split), Settings.from_dict(bags))


def test_golden_answers_do_not_depend_on_the_clock(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in (8, 20):
        monkeypatch.setattr("shortlist.recommender.recommender.time.time", lambda hour=hour: START + hour * HOUR)
        artifact.save(recommender, tmp_path / "a") if hour == 8 else artifact.load(tmp_path / "a")


def test_over_http(recommender: Recommender) -> None:
    with TestClient(create_app(recommender)) as client:
        for time, first in (("2026-11-20T20:10:00+00:00", 20), (START + 8 * HOUR, 0)):
            body = {"history": [0, 20, 1, 21], "k": 5, "time": time}
            items = client.post("/v1/recommendations", json=body).json()["items"]
            assert all(first <= item["item_id"] < first + 20 for item in items)
        assert "time: expected" in client.post("/v1/recommendations", json={"time": "soon"}).json()["detail"]
