"""The map: near vectors are near on it, and a query lands among what it likes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.recommender import Query, Recommender
from shortlist.recommender.item_map import land_query, map_items, principal_plane
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_retriever, serve


def served(world: Dataset, folder: object, **retriever: object) -> Recommender:
    settings = Settings.from_dict({"retriever": retriever})
    fitted = fit_retriever(world, split(world, settings.split), settings).retriever
    return Recommender(world, serve(fitted, world, folder / "r"), settings)  # type: ignore[operator]


@pytest.fixture(scope="module")
def tastes(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return served(world, tmp_path_factory.mktemp("map"), model="mf", embedding_dim=8)


def test_two_tastes_are_two_clouds(tastes: Recommender) -> None:
    shown = map_items(tastes)
    number = np.array(tastes.dataset.items.ids.to_pylist()) - 100
    even = number % 2 == 0
    centres = shown.places[even].mean(axis=0), shown.places[~even].mean(axis=0)
    spread = max(shown.places[even].std(), shown.places[~even].std())
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * spread
    assert np.allclose(shown.places.mean(axis=0), 0, atol=1e-5)
    assert shown.feature == "tags"
    assert dict(shown.legend) == {"even": 20, "odd": 20}
    bit = [value for value, _ in shown.legend].index("even")
    assert np.array_equal(shown.tags >> bit & 1, even.astype(np.uint16))
    liked = tastes.dataset.interactions
    assert shown.popularity.sum() == liked.liked.sum()


def test_a_query_lands_on_its_side(tastes: Recommender) -> None:
    shown = map_items(tastes)
    number = np.array(tastes.dataset.items.ids.to_pylist()) - 100
    for taste in (0, 1):
        ids = [100 + i for i in range(taste, 12, 2)]
        landing = land_query(tastes, shown.plane, Query(history=ids, k=3))
        place = np.array([landing.x, landing.y])
        assert sorted(landing.fit.tolist()) == np.linspace(0, 255, 40).round().tolist()
        assert landing.fit[number % 2 == taste].mean() > landing.fit[number % 2 != taste].mean() + 60
        mine, others = (shown.places[number % 2 == one].mean(axis=0) for one in (taste, 1 - taste))
        assert np.linalg.norm(place - mine) < np.linalg.norm(place - others)


def test_bytes_hold_the_arrays(tastes: Recommender) -> None:
    shown = map_items(tastes)
    data, n = shown.to_bytes(), len(shown)
    assert len(data) == 14 * n
    assert np.array_equal(np.frombuffer(data, "<f4", 2 * n).reshape(n, 2), shown.places)
    assert np.array_equal(np.frombuffer(data, "<u4", n, 8 * n), shown.popularity)
    assert np.array_equal(np.frombuffer(data, "<u2", n, 12 * n), shown.tags)
    assert map_items(tastes).to_bytes() == data


def test_sparse_vectors_give_the_plane_of_dense_ones() -> None:
    rng = np.random.default_rng(5)
    dense = (rng.standard_normal((300, 40)) * np.linspace(3, 0.1, 40)).astype(np.float32)
    dense[rng.random(dense.shape) < 0.5] = 0
    exact, iterated = principal_plane(dense), principal_plane(csr_array(dense))
    assert np.allclose(exact.shares, iterated.shares, rtol=1e-3)
    assert np.allclose(exact.land(dense), iterated.land(csr_array(dense)), atol=0.05)


@pytest.mark.parametrize("model", ["popularity", "item_knn"])
def test_models_with_vectors_of_other_kinds(
    world: Dataset, tmp_path_factory: pytest.TempPathFactory, model: str
) -> None:
    recommender = served(world, tmp_path_factory.mktemp(model), model=model)
    shown = map_items(recommender)
    assert shown.places.shape == (40, 2)
    assert np.isfinite(shown.places).all()
    landing = land_query(recommender, shown.plane, Query(history=[100], k=1))
    assert np.isfinite([landing.x, landing.y]).all()
