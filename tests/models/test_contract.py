"""Every model keeps one contract on a world with a planted answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Split, split
from shortlist.models.base import Retriever
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.retrieval import Vectors, dot
from shortlist.settings import Settings, SplitSettings
from shortlist.testing import check_explanation, check_retriever
from shortlist.training.retrievers import fit_retriever, serve

MODELS = {
    "popularity": {"model": "popularity"},
    "recent_popularity": {"model": "recent_popularity"},
    "item_knn": {"model": "item_knn", "neighbours": 20},
    "sequential_rules": {"model": "sequential_rules"},
    "ease": {"model": "ease", "regularization": 10.0},
    "mf": {"model": "mf", "embedding_dim": 8},
    "softmax_dnn": {
        "model": "softmax_dnn",
        "embedding_dim": 8,
        "hidden_dims": [16],
        "history_windows": [5, 1],
    },
    "softmax_dnn without history": {"model": "softmax_dnn", "embedding_dim": 8, "history": "none"},
    "softmax_dnn without features": {"model": "softmax_dnn", "embedding_dim": 8, "item_features": False},
    "softmax_dnn by recency": {
        "model": "softmax_dnn",
        "embedding_dim": 8,
        "history": "recency",
        "history_windows": [5, 1],
    },
    "softmax_dnn by attention": {"model": "softmax_dnn", "embedding_dim": 8, "history": "attention", "tied": True},
    "softmax_dnn by transformer": {
        "model": "softmax_dnn",
        "embedding_dim": 8,
        "history": "transformer",
        "history_heads": 2,
        "history_windows": [8, 1],
    },
    "softmax_dnn on bags": {"model": "softmax_dnn", "embedding_dim": 8, "target": "multi_hot"},
    "softmax_dnn on bags, history alone": {
        "model": "softmax_dnn",
        "embedding_dim": 8,
        "history_alone": True,
        "tied": True,
        "target": "multi_hot",
        "target_weight": "item",
        "history_windows": [1000],
        "history_exponent": 0.7,
    },
    "two_tower over the graph": {
        "model": "two_tower",
        "embedding_dim": 8,
        "item_hidden_dims": [],
        "tied": True,
        "history_alone": True,
        "history_damping": 0.5,
        "item_graph": 1,
        "target": "multi_hot",
        "target_share": 1.0,
        "similarity": "cosine",
    },
    "softmax_dnn, sampled": {
        "model": "softmax_dnn",
        "embedding_dim": 8,
        "loss": "sampled_softmax",
        "num_negatives": 16,
    },
    "softmax_dnn, popular": {
        "loss": "sampled_softmax",
        "embedding_dim": 8,
        "negatives": "popularity",
        "num_negatives": 16,
    },
    "softmax_dnn, logistic": {"model": "softmax_dnn", "embedding_dim": 8, "loss": "bce", "num_negatives": 8},
    "softmax_dnn, pairwise": {"model": "softmax_dnn", "embedding_dim": 8, "loss": "bpr", "num_negatives": 8},
    "softmax_dnn, best of negatives": {
        "model": "softmax_dnn",
        "embedding_dim": 8,
        "loss": "bpr_max",
        "num_negatives": 8,
    },
    "softmax_dnn, learned places": {
        "model": "softmax_dnn",
        "embedding_dim": 8,
        "history": "transformer",
        "history_positions": "learned",
    },
    "two_tower, mixed": {"model": "two_tower", "embedding_dim": 8, "loss": "in_batch", "num_negatives": 16},
    "two_tower, in_batch": {"model": "two_tower", "embedding_dim": 8, "loss": "in_batch", "num_negatives": 0},
    "two_tower, contrastive": {
        "model": "two_tower",
        "embedding_dim": 8,
        "loss": "contrastive",
        "similarity": "cosine",
        "num_negatives": 16,
        "negative_weight": 5.0,
    },
    "two_tower": {"model": "two_tower", "embedding_dim": 8, "item_hidden_dims": [8]},
    "two_tower by features": {"model": "two_tower", "embedding_dim": 8, "item_ids": False, "similarity": "cosine"},
    "two_tower by distance": {"model": "two_tower", "embedding_dim": 8, "similarity": "euclidean"},
}
PERSONAL = [name for name in MODELS if "popularity" not in name and name != "softmax_dnn without history"]


@pytest.fixture(scope="module")
def parts(world: Dataset) -> Split:
    return split(world, SplitSettings())


@pytest.fixture(scope="module")
def fitted(world: Dataset, parts: Split) -> dict[str, Retriever]:
    training = {"epochs": 15, "batch_size": 32, "learning_rate": 0.01, "patience": 15, "refit": False}
    return {
        name: fit_retriever(world, parts, Settings.from_dict({"retriever": retriever, "training": training})).retriever
        for name, retriever in MODELS.items()
    }


@pytest.fixture(scope="module")
def served(
    world: Dataset, fitted: dict[str, Retriever], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ServedRetriever]:
    folder = tmp_path_factory.mktemp("served")
    return {name: serve(one, world, folder / name.replace(" ", "_")) for name, one in fitted.items()}


@pytest.mark.parametrize("name", MODELS)
def test_keeps_the_contract(name: str, world: Dataset, parts: Split, fitted: dict[str, Retriever]) -> None:
    check_retriever(fitted[name], parts.test.queries, world.num_items)


@pytest.mark.parametrize("name", MODELS)
def test_served_keeps_the_contract_and_answers_the_same(
    name: str, world: Dataset, parts: Split, fitted: dict[str, Retriever], served: dict[str, ServedRetriever]
) -> None:
    """Loaded equals saved; ONNX equals PyTorch."""
    check_retriever(served[name], parts.test.queries, world.num_items)
    queries = parts.test.queries
    answers = [dot(one.encode_queries(queries), one.encode_items()) for one in (served[name], fitted[name])]
    np.testing.assert_allclose(*answers, atol=1e-4)
    np.testing.assert_array_equal(_dense(served[name].encode_items()), _dense(fitted[name].encode_items()))
    for rows in (
        np.arange(1),
        np.arange(2),
        np.array([], dtype=int),
    ):  # other sizes than it was exported with
        assert served[name].encode_queries(queries.take(rows)).shape[0] == len(rows)


@pytest.mark.parametrize("name", MODELS)
def test_explanations_add_up(name: str, world: Dataset, served: dict[str, ServedRetriever]) -> None:
    """For somebody with likes, dislikes and a feature, for those who have one of these, and for nobody."""
    everything = QueryBatch(
        Ragged.from_rows([[0, 2, 4, 7, 2]]),
        Ragged.from_rows([[1, 3]]),
        {"town": world.user_features["town"].take(np.array([0]))},
        np.array([1e12]),
        np.array([1e12 - 1e6]),
    )
    liked, disliked = ({field: getattr(everything, field)} for field in ("liked", "disliked"))
    blank = {"liked": Ragged.empty(1), "disliked": Ragged.empty(1)}
    nobody = {**blank, "features": {"town": everything.features["town"].take(np.array([-1]))}}
    items = np.array([9, 30, 2], dtype=np.int32)
    specs = world.schema.query
    found = {}
    for asks, change in (
        ("everything", {}),
        ("liked", {**nobody, **liked}),
        ("disliked", {**nobody, **disliked}),
        ("town", blank),
        ("nobody", nobody),
    ):
        explained = check_explanation(served[name], replace(everything, **change), items, specs)
        found[asks] = {part.kind for part in explained.parts}
    assert not found["nobody"]
    assert found["everything"] >= found["liked"]
    assert found["liked"] == ({"liked"} if name in PERSONAL else set())
    assert found["town"] <= {"feature"}
    if name == "softmax_dnn":
        assert found["everything"] == {"liked", "disliked", "feature"}
        assert found["disliked"] == {"disliked"}


def _dense(vectors: Vectors) -> np.ndarray:
    return vectors if isinstance(vectors, np.ndarray) else vectors.toarray()


@pytest.mark.parametrize("name", PERSONAL)
def test_finds_the_planted_answer(name: str, world: Dataset, fitted: dict[str, Retriever]) -> None:
    """Someone never seen who likes three even items is recommended even ones, and the other way round."""
    parity = np.array([int(i) % 2 for i in world.items.ids.to_pylist()])
    for wanted in (0, 1):
        liked = np.flatnonzero(parity == wanted)[:3]
        features = {"town": world.user_features["town"].take(np.array([-1]))}
        query = QueryBatch(Ragged.from_rows([liked]), Ragged.empty(1), features)
        scores = dot(fitted[name].encode_queries(query), fitted[name].encode_items())[0]
        scores[liked] = -np.inf
        assert (parity[np.argsort(-scores)[:10]] == wanted).all()


def test_every_name_fits_the_shape(fitted: dict[str, Retriever]) -> None:
    for one in fitted.values():
        assert isinstance(one, Retriever)


def test_debiasing_takes_the_bias_out_and_nothing_else(world: Dataset, parts: Split) -> None:
    given = {"embedding_dim": 4, "hidden_dims": [8]}
    training = {"epochs": 2, "refit": False}
    plain, half = (
        fit_retriever(
            world, parts, Settings.from_dict({"retriever": {**given, **more}, "training": training})
        ).retriever
        for more in ({}, {"popularity_debiasing": 0.5})
    )
    np.testing.assert_array_equal(half.encode_items()[:, :-1], plain.encode_items()[:, :-1])
    np.testing.assert_allclose(half.encode_items()[:, -1], plain.encode_items()[:, -1] / 2)
