"""Nearest items by features, against the formula written out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import encode_values
from shortlist.data.preparation import prepare
from shortlist.recommender.content_neighbours import ContentNeighbours
from shortlist.settings import Settings

KINDS = {"tags": "tags", "colour": "category", "size": "number", "picture": "vector"}
ROWS: list[dict[str, Any]] = [
    {"tags": ["a", "b"], "colour": "red", "size": 1.0, "picture": [1.0, 0.0]},
    {"tags": ["a"], "colour": "red", "size": 2.0, "picture": [0.0, 2.0]},
    {"tags": [], "colour": None, "size": None, "picture": None},
    {"tags": ["c", "b", "a"], "colour": "blue", "size": 9.0, "picture": [-1.0, 1.0]},
    {"tags": ["c"], "colour": "blue", "size": 4.0, "picture": [3.0, 3.0]},
    {"tags": ["a", "b"], "colour": "red", "size": 1.0, "picture": [1.0, 0.0]},  # of nobody's liking
]


@pytest.fixture(scope="module")
def data() -> Dataset:
    settings = Settings.from_dict(
        {
            "data": {"feedback": {"liked": "value > 1"}, "columns": {"value": "value"}},
            "features": {"item": {name: {"kind": kind} for name, kind in KINDS.items()}},
        }
    )
    log = pa.table({"user_id": [0] * 6, "item_id": list(range(6)), "value": [5, 5, 5, 5, 5, 1]})
    schema = {
        "tags": pa.list_(pa.string()),
        "colour": pa.string(),
        "size": pa.float64(),
        "picture": pa.list_(pa.float32()),
    }
    columns = {name: pa.array([row[name] for row in ROWS], kind) for name, kind in schema.items()}
    return prepare(log, None, pa.table({"item_id": list(range(6)), **columns}), settings.data, settings.features)


def likeness(data: Dataset, new: dict[str, Any], old: dict[str, Any]) -> float:
    spec = next(one for one in data.schema.side("item") if one.name == "size")

    def angle(size: float) -> float:
        return math.pi / 2 / (1 + math.exp(-1.702 * (size - spec.mean) / spec.std))

    parts = []
    if new.get("tags"):
        mine, other = set(new["tags"]) & set("abc"), set(old["tags"])
        parts += [len(mine & other) / math.sqrt(max(1, len(mine) * len(other)))] if mine else []
    if new.get("colour") in ("red", "blue"):
        parts.append(float(new["colour"] == old["colour"]))
    if new.get("size") is not None:
        parts.append(0.0 if old["size"] is None else math.cos(angle(new["size"]) - angle(old["size"])))
    if any(new.get("picture") or ()):  # a vector of zeros says nothing
        a, b = np.array(new["picture"]), np.array(old["picture"] or [0.0, 0.0])
        parts.append(float(a @ b / max(1e-9, np.linalg.norm(a) * np.linalg.norm(b))))
    return sum(parts) / max(1, len(parts))


@pytest.mark.parametrize(
    "new",
    [
        ROWS[0],
        {"tags": ["a", "a", "unheard of"], "size": 3.0},
        {"colour": "red"},
        {"picture": [0.2, 0.9], "size": -5.0},
        {"tags": ["c", "b"], "colour": "green", "picture": [0.0, 0.0]},
    ],
)
def test_the_formula(data: Dataset, new: dict[str, Any]) -> None:
    known = {name: new.get(name) for name in KINDS}
    features = encode_values(data.schema.side("item"), [{}, known])
    nothing, near = ContentNeighbours(data, k=3).of(features, 2)
    assert len(nothing.rows) == 0  # nothing is known of it
    alike = [likeness(data, known, ROWS[int(item)]) for item in data.items.ids.to_pylist()]
    order = [row for row in np.argsort(-np.array(alike).round(5), kind="stable").tolist() if data.items.id(row) != 5]
    wanted = [row for row in order[:3] if alike[row] > 0]
    assert near.rows.tolist() == wanted
    weights = np.exp(16 * (np.array([alike[row] for row in wanted]) - alike[wanted[0]]))
    np.testing.assert_allclose(near.weights, weights / weights.sum(), atol=1e-4)


def test_nothing_but_unheard_of_values(data: Dataset) -> None:
    features = encode_values(data.schema.side("item"), [{"tags": ["unheard of"], "colour": "green"}])
    assert len(ContentNeighbours(data).of(features, 1)[0].rows) == 0
