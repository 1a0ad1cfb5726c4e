"""Every kind of feature: the table and a single request go through one road, and what is missing stays missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import FeatureSpec, encode_values
from shortlist.data.features import FIRST_VALUE, MISSING, CategoryColumn, NumberColumn, TagsColumn, VectorColumn, choose
from shortlist.data.hashing import word_hashes
from shortlist.data.plain_columns import plain_column
from shortlist.data.preparation import prepare
from shortlist.data.queries import QueryBatch, network_inputs
from shortlist.data.ragged import Ragged
from shortlist.data.storage import load_saved_dataset, save_dataset
from shortlist.encoders.feature_encoder import FeatureEncoder
from shortlist.encoders.item_embedding import ItemEmbedding
from shortlist.errors import DataError
from shortlist.models.popularity import Popularity
from shortlist.recommender import Recommender
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.settings import FeatureSettings, Settings

FEATURES: dict[str, dict[str, Any]] = {
    "price": {"kind": "number", "transform": "log"},
    "views": {"kind": "number", "transform": "quantile"},
    "brand": {"kind": "category", "buckets": 50},
    "labels": {"kind": "tags", "buckets": 50},
    "picture": {"kind": "vector", "separator": " "},
    "about": {"kind": "text", "buckets": 100},
}
ITEMS = pa.table(
    {
        "item_id": [10, 20, 30],
        "price": [1.0, 1000.0, None],
        "views": [0.0, 0.0, 5000.0],
        "brand": ["acme", None, "zenith"],
        "labels": ["new|hot", "", None],
        "picture": ["0.5 1.5", None, "-1 0"],
        "about": ["A fine, warm coat", "", "warm coat"],
    }
)
LOG = pa.table({"user_id": [1, 1, 2], "item_id": [10, 20, 30]})


@pytest.fixture
def data() -> Dataset:
    settings = Settings.from_dict({"features": {"item": FEATURES}})
    return prepare(LOG, items=ITEMS, features=settings.features)


def rows(data: Dataset) -> np.ndarray:
    return data.items.rows([10, 20, 30])


def test_numbers_are_transformed_and_come_back(data: Dataset) -> None:
    specs = {spec.name: spec for spec in data.schema}
    for name, plain in (("price", [1.0, 1000.0, np.nan]), ("views", [0.0, 0.0, 5000.0])):
        column = data.item_features[name]
        assert isinstance(column, NumberColumn)
        np.testing.assert_allclose(specs[name].plain_numbers(column.values[rows(data)]), plain, rtol=1e-4, atol=1)
    price = data.item_features["price"]
    assert isinstance(price, NumberColumn)
    assert np.nanmean(price.values) == pytest.approx(0, abs=1e-6)


def test_quantiles_keep_the_order_and_bound_what_is_extreme() -> None:
    numbers = np.random.default_rng(0).lognormal(0, 3, 2000)
    spec = FeatureSpec.fit("x", "item", FeatureSettings(kind="number", transform="quantile"), pa.array(numbers))
    encoded = spec.encode(pa.array(np.sort(numbers)))
    assert isinstance(encoded, NumberColumn)
    assert (np.diff(encoded.values) >= 0).all()
    far = spec.encode(pa.array([1e30, -5.0]))
    assert isinstance(far, NumberColumn)
    assert np.abs(far.values).max() <= 1.8  # the ends of an even distribution of deviation 1
    half = FeatureSpec.fit(
        "x", "item", FeatureSettings(kind="number", transform="quantile"), pa.array([0.0] * 60 + [9.0] * 40)
    )
    assert half._transformed(np.array([0.0]))[0] == pytest.approx(-0.4, abs=0.03)  # the middle of the lower 60 %


def test_hashed_values_need_no_vocabulary(data: Dataset) -> None:
    brand, labels = data.item_features["brand"], data.item_features["labels"]
    assert isinstance(brand, CategoryColumn)
    assert isinstance(labels, TagsColumn)
    codes = brand.codes[rows(data)]
    assert codes[1] == MISSING
    assert codes[0] != codes[2]
    spec = next(spec for spec in data.schema if spec.name == "brand")
    asked = encode_values([spec], [{"brand": "acme"}, {"brand": "never seen"}, {}])["brand"]
    assert isinstance(asked, CategoryColumn)
    assert asked.codes[0] == codes[0]
    assert asked.codes[1] >= FIRST_VALUE
    assert asked.codes[2] == MISSING
    assert [len(labels.codes.row(r)) for r in rows(data)] == [2, 1, 1]
    assert spec.num_codes == FIRST_VALUE + 50


def test_text_is_its_words_and_pairs_of_words() -> None:
    texts = word_hashes(pa.array(["A fine, WARM coat!", "warm coat", "", None, "--"]))
    assert texts.lengths.tolist() == [7, 3, 0, 0, 0]  # four words and three pairs; two and one
    assert set(texts.row(1)) <= set(texts.row(0))
    turned = word_hashes(pa.array(["coat warm"]))
    assert len(set(turned.row(0)) & set(texts.row(1))) == 2  # the same words, another pair


def test_vectors_of_one_length(data: Dataset) -> None:
    picture = data.item_features["picture"]
    assert isinstance(picture, VectorColumn)
    np.testing.assert_array_equal(picture.values[rows(data)], [[0.5, 1.5], [np.nan, np.nan], [-1, 0]])
    assert np.isnan(picture.take(np.array([-1])).values).all()
    either = choose(picture, picture.take(np.array([-1, -1, -1])), np.array([True, False, True]))
    assert isinstance(either, VectorColumn)
    assert np.isnan(either.values[1]).all()
    lists = pa.array([[1.0, 2.0], [3.0]])
    with pytest.raises(DataError, match=r"vectors of one length were expected, got the lengths \[2, 1\]"):
        FeatureSpec.fit("v", "item", FeatureSettings(kind="vector"), plain_column(lists, "vector", "|", "here"))
    spec = FeatureSpec("v", "user", "vector", width=2)
    with pytest.raises(DataError, match=r"'v': 1 vectors have not the 2 numbers the others have, such as one of 3"):
        encode_values([spec], [{"v": [1, 2, 3]}])
    with pytest.raises(DataError, match=r"feature 'v': expected a vector, got"):
        encode_values([spec], [{"v": "a|b"}])


def test_all_kinds_are_saved_and_read_back(data: Dataset, tmp_path: Path) -> None:
    save_dataset(data, tmp_path)
    again = load_saved_dataset(tmp_path)
    assert again.schema == data.schema
    for name, column in data.item_features.items():
        other = again.item_features[name]
        assert type(other) is type(column)
        if isinstance(column, TagsColumn) and isinstance(other, TagsColumn):
            np.testing.assert_array_equal(column.codes.values, other.codes.values)
        elif isinstance(column, CategoryColumn) and isinstance(other, CategoryColumn):
            np.testing.assert_array_equal(column.codes, other.codes)
        else:
            np.testing.assert_array_equal(column.values, other.values)  # type: ignore[union-attr]


def test_networks_take_all_kinds(data: Dataset) -> None:
    """As features of items, and (the same specs) of a query."""
    specs = tuple(data.schema)
    torch.manual_seed(0)
    vectors = ItemEmbedding(3, 4, specs, data.item_features)()
    assert vectors.shape == (3, 4)
    assert torch.isfinite(vectors).all()
    queries = QueryBatch(Ragged.empty(3), Ragged.empty(3), data.item_features)
    inputs = {name: torch.from_numpy(array) for name, array in network_inputs(queries, specs, 5).items()}
    encoder = FeatureEncoder(specs, 8)
    encoded = encoder(inputs)
    assert encoded.shape == (3, encoder.output_dim) == (3, 2 * 2 + 4 * 8)
    assert torch.isfinite(encoded).all()
    assert inputs["vector.picture"][data.items.row(20)].tolist() == [0, 0, 1]  # missing is flagged


def test_vectors_are_not_shown_to_people(data: Dataset) -> None:
    popularity = Popularity(np.ones(3))
    served = ServedRetriever(
        Path(), "popularity", popularity.encode_items(), popularity.encode_queries, has_item_bias=False
    )
    shown = Recommender(data, served, Settings()).display(rows(data))[0]
    assert shown == {"price": 1, "views": 0, "brand": "acme", "labels": ["new", "hot"], "about": "A fine, warm coat"}
