"""Feature rankers learn what a retriever cannot know, and answer the same however they are asked."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import encode_values
from shortlist.data.features import take_rows
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Split, split
from shortlist.errors import SettingsError
from shortlist.evaluation.ranked import RankedCandidates
from shortlist.models.base import Ranker, Retriever
from shortlist.models.boosted_trees import BoostedTrees, lightgbm
from shortlist.models.calibration import Platt
from shortlist.models.deep_cross import Combination, DeepCross
from shortlist.recommender import Query
from shortlist.recommender.artifact import load
from shortlist.recommender.explanation import explain_ranker
from shortlist.recommender.served_ranker import ServedRanker
from shortlist.retrieval import ScoredItems
from shortlist.settings import Settings
from shortlist.testing import check_ranker, two_moods
from shortlist.training.deep_cross_training import Answering
from shortlist.training.rankers import FittedRanker, fit_ranker
from shortlist.training.retrievers import fit_retriever
from shortlist.training.run import train

BASE = {"retriever": {"model": "popularity"}, "training": {"refit": False, "device": "cpu"}}
LISTS = {"candidates": 30, "share": 0.6, "target_window": 1}
NETWORK = {"model": "deep_cross", "embedding_dim": 8, "batch_size": 32, "learning_rate": 0.03, "average": 0.9, **LISTS}
PATIENT = {"epochs": 12, "patience": 20, "hidden_dims": [16], "cross_rank": 8}
TREES = {"model": "boosted_trees", "min_leaf": 20, "trees": 100, "patience": 100, "learning_rate": 0.15, **LISTS}
RANKERS: dict[str, dict[str, Any]] = {
    "deep_cross": {**NETWORK, **PATIENT, "targets": {"disliked": 0.0, "value": 0.0}},
    "deep_cross, logistic": {**NETWORK, **PATIENT, "loss": "logistic"},
    "deep_cross, no ids": {**NETWORK, **PATIENT, "item_ids": False},
    "boosted_trees": TREES,
    "boosted_trees, binary": {**TREES, "objective": "binary"},
}
BOTH = ["deep_cross", "boosted_trees"]


@pytest.fixture(autouse=True, scope="module")
def needs_lightgbm() -> None:
    """A machine may lack libgomp (libomp on macOS)."""
    try:
        lightgbm()
    except SettingsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def moods() -> Dataset:
    return two_moods()


@pytest.fixture(scope="module")
def parts(moods: Dataset) -> Split:
    return split(moods, Settings().split)


@pytest.fixture(scope="module")
def retriever(moods: Dataset, parts: Split) -> Retriever:
    return fit_retriever(moods, parts, Settings.from_dict(BASE)).retriever


@pytest.fixture(scope="module")
def fitted(moods: Dataset, parts: Split, retriever: Retriever) -> dict[str, FittedRanker]:
    found = {}
    for name, ranker in RANKERS.items():
        settings = Settings.from_dict({**BASE, "ranker": ranker})
        found[name] = fit_ranker(moods, parts, settings, retriever, retriever)
    return found


@pytest.fixture(scope="module")
def served(
    moods: Dataset, fitted: dict[str, FittedRanker], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ServedRanker]:
    folder = tmp_path_factory.mktemp("rankers")
    return {name: fitted[name].served(folder / name, moods) for name in BOTH}


@pytest.mark.parametrize("name", RANKERS)
def test_learns_what_the_retriever_cannot_know(
    name: str, moods: Dataset, parts: Split, retriever: Retriever, fitted: dict[str, FittedRanker]
) -> None:
    """All of the first five are of the moment's mood; the retriever's are of both alike."""
    candidates = RankedCandidates(retriever, parts.test, 30)
    kind = np.array([(int(one) - 100) % 2 for one in moods.items.ids.to_pylist()])
    mood = kind[parts.test.targets.values]
    scores = fitted[name].ranker.score(parts.test.queries, candidates.found, candidates.retrieved)

    def of_the_mood(ordered: Ragged) -> float:
        return float((kind[ordered.padded(5, fill=0)] == mood[:, None]).mean())

    assert of_the_mood(candidates.found) < 0.65
    assert of_the_mood(candidates.order(scores)) > 0.9
    assert fitted[name].selected["validation"] > 1.3 * fitted[name].selected["retriever alone"]


@pytest.mark.parametrize("name", BOTH)
def test_explanations_add_up(
    name: str, moods: Dataset, parts: Split, retriever: Retriever, served: dict[str, ServedRanker]
) -> None:
    """The score behind the retriever less that of nobody, who comes out of retrieval like the mean; the mood is a part."""
    one = np.array([5])
    candidates, queries = RankedCandidates(retriever, parts.test, 30), parts.test.queries.take(one)
    items = candidates.found.row(5)
    retrieved = candidates.retrieved[candidates.found.offsets[5] :][: len(items)]
    found = ScoredItems(items, retrieved, "retrieval")
    explained = explain_ranker(served[name], queries, found, items, moods.schema.query)
    assert explained is not None
    score = served[name].score(queries, Ragged.from_rows([items]), retrieved)
    np.testing.assert_allclose(explained.score, score, atol=1e-6)
    np.testing.assert_allclose(explained.baseline + explained.contributions.sum(axis=0), score, atol=1e-6)
    amounts = {
        part.kind: contribution for part, contribution in zip(explained.parts, explained.contributions, strict=True)
    }
    assert set(amounts) >= {"liked", "feature"}
    kind = np.array([(int(one) - 100) % 2 for one in moods.items.ids.to_pylist()])
    mood = kind[parts.test.targets.row(5)[0]]
    of_the_mood = kind[items] == mood
    assert amounts["feature"][of_the_mood].mean() > 0 > amounts["feature"][~of_the_mood].mean()
    blank = take_rows(queries.features, np.array([-1]))
    nobody = QueryBatch(Ragged.empty(1), Ragged.empty(1), blank, np.array([np.nan]), np.array([np.nan]))
    stood = np.tile(np.array([0, np.log(np.arange(len(items)) + 1).mean()], np.float32), (len(items), 1))
    alone = served[name].ranker.score_as(nobody, Ragged.from_rows([items]), stood)  # type: ignore[attr-defined]
    np.testing.assert_allclose(explained.baseline, alone, atol=1e-6)


@pytest.mark.parametrize("name", BOTH)
def test_served_as_trained(
    name: str, parts: Split, retriever: Retriever, fitted: dict[str, FittedRanker], served: dict[str, ServedRanker]
) -> None:
    candidates, queries = RankedCandidates(retriever, parts.test, 30), parts.test.queries
    trained, loaded = fitted[name].ranker, served[name].ranker
    assert isinstance(trained, (DeepCross, BoostedTrees))
    assert type(loaded) is type(trained)
    given = queries, candidates.found, candidates.retrieved
    np.testing.assert_allclose(loaded.logits(*given), trained.logits(*given), atol=1e-4)  # type: ignore[attr-defined]
    np.testing.assert_allclose(served[name].score(*given), trained.score(*given), atol=1e-4)
    assert isinstance(trained, BoostedTrees) or isinstance(trained.network, Answering)


@pytest.mark.parametrize("name", BOTH)
def test_keeps_the_contract(name: str, moods: Dataset, parts: Split, served: dict[str, ServedRanker]) -> None:
    """Single as batch, strangers without a history, no candidates, no retrieval scores."""
    assert isinstance(served[name], Ranker)
    check_ranker(served[name], parts.test.queries, moods.num_items)


@pytest.mark.parametrize("name", BOTH)
def test_unknown_people_and_unseen_items(
    name: str, moods: Dataset, parts: Split, retriever: Retriever, served: dict[str, ServedRanker]
) -> None:
    """A stranger in a mood gets items of it; an item nobody took is scored by its features."""
    stranger = parts.test.queries.take(np.array([0, 0]))
    specs = moods.schema.query
    stranger = replace(
        stranger,
        liked=Ragged.empty(2),
        disliked=Ragged.empty(2),
        user_idx=np.array([-1, 10_000]),
        features=encode_values(specs, [{"mood": "wild"}, {"mood": "calm"}]),
    )
    candidates = Ragged.from_rows([range(moods.num_items)] * 2)
    scores = served[name].score(stranger, candidates).reshape(2, -1)
    wild = np.array([(int(one) - 100) % 2 == 1 for one in moods.items.ids.to_pylist()])
    assert wild[np.argsort(-scores[0])[:10]].all()
    assert not wild[np.argsort(-scores[1])[:10]].any()
    odd = replace(stranger, features=encode_values(specs, [{"mood": "never heard of"}, {}]))
    assert np.isfinite(served[name].score(odd, candidates)).all()


def test_further_targets_are_learned(parts: Split, moods: Dataset, fitted: dict[str, FittedRanker]) -> None:
    """Dislikes and values follow from the item's grade."""
    ranker = fitted["deep_cross"].ranker
    assert isinstance(ranker, DeepCross)
    candidates = Ragged.from_rows([range(moods.num_items)] * len(parts.test))
    logits = ranker.logits(parts.test.queries, candidates).reshape(len(parts.test), -1, 3).mean(axis=0)
    bad = np.array([(int(one) - 100) % 6 >= 4 for one in moods.items.ids.to_pylist()])
    assert logits[bad, 1].min() > logits[~bad, 1].max()
    assert logits[bad, 2].max() < logits[~bad, 2].min()


def test_the_score_is_the_stated_product() -> None:
    logits = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -1.0]], np.float32)

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    combination = Combination({"liked": 2.0, "disliked": 0.5, "value": 1.5}, Platt(0.5, -1.0))
    p = sigmoid(0.5 * logits[:, 0] - 1)
    expected = p**2 * (1 - sigmoid(logits[:, 1])) ** 0.5 * sigmoid(logits[:, 2]) ** 1.5
    np.testing.assert_allclose(combination.score(logits), expected, rtol=1e-5)


def test_dislikes_weigh_as_much_as_is_asked(
    moods: Dataset, parts: Split, retriever: Retriever, fitted: dict[str, FittedRanker]
) -> None:
    ranker = fitted["deep_cross"].ranker
    assert isinstance(ranker, DeepCross)
    strict = DeepCross(
        ranker.network,
        ranker.features,
        ranker.scale,
        ranker.specs,
        Combination({"liked": 1, "disliked": 5, "value": 0}),
    )
    candidates = RankedCandidates(retriever, parts.test, 30)
    bad = np.array([(int(one) - 100) % 6 >= 4 for one in moods.items.ids.to_pylist()])

    def shown(one: DeepCross) -> float:
        scores = one.score(parts.test.queries, candidates.found, candidates.retrieved)
        return float(bad[candidates.order(scores).padded(10, fill=0)].mean())

    assert shown(strict) < 0.02 < 0.05 < shown(ranker)


@pytest.mark.parametrize("name", RANKERS)
def test_probabilities_come_true(
    name: str, parts: Split, retriever: Retriever, fitted: dict[str, FittedRanker]
) -> None:
    found = fitted[name].course["calibration"]
    if name.endswith(("logistic", "binary")):  # as good as calibrated already, but for the candidates it did not draw
        assert found["after"]["log_loss"] < found["before"]["log_loss"] + 0.01
    else:
        assert found["after"]["ece"] < 0.5 * found["before"]["ece"]
    candidates = RankedCandidates(retriever, parts.test, 30)
    scores = fitted[name].ranker.score(parts.test.queries, candidates.found, candidates.retrieved)
    assert scores.mean() == pytest.approx(candidates.labels.mean(), rel=0.4)


def test_untrained_it_keeps_the_retriever_s_order(moods: Dataset, parts: Split, retriever: Retriever) -> None:
    from shortlist.models.deep_cross import PairScale
    from shortlist.models.deep_cross_network import DeepCrossNetwork
    from shortlist.settings import DeepCrossSettings
    from shortlist.training.feature_rankers import pair_features

    chosen = DeepCrossSettings()
    features = pair_features(moods, parts.train, retriever, chosen, (1.0, 1.0))
    network = DeepCrossNetwork(moods.num_items, moods.schema, moods.item_features, len(features.names), 1, chosen)
    candidates = RankedCandidates(retriever, parts.test, 30)
    width = len(features.names)
    scale = PairScale(np.zeros(width, np.float32), np.ones(width, np.float32))
    ranker = DeepCross(Answering(network), features, scale, network.specs, Combination())  # type: ignore[arg-type]
    scores = ranker.score(parts.test.queries, candidates.found, candidates.retrieved)
    np.testing.assert_array_equal(candidates.order(scores).values, candidates.found.values)


@pytest.fixture(scope="module", params=BOTH)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole path from files, with ``refit``."""
    import pyarrow as pa
    import pyarrow.csv as csv

    made = tmp_path_factory.mktemp(request.param)
    moods = two_moods(40)
    log = moods.interactions
    ids = np.array(moods.items.ids.to_pylist())
    mood = np.array(["calm", "wild"])[(ids[log.item_idx] - 100) % 2]
    table = {"user_id": log.user_idx, "item_id": ids[log.item_idx], "timestamp": log.timestamp // 1000, "mood": mood}
    csv.write_csv(pa.table(table), made / "log.csv")
    catalogue = pa.table({"item_id": ids, "kind": np.array(["calm", "wild"])[(ids - 100) % 2]})
    csv.write_csv(catalogue, made / "items.csv")
    ranker = {**NETWORK, "epochs": 4} if request.param == "deep_cross" else {**TREES, "trees": 25}
    settings = Settings.from_dict(
        {
            "data": {
                "interactions": str(made / "log.csv"),
                "items": str(made / "items.csv"),
                "columns": {"timestamp": "timestamp"},
            },
            "features": {"item": {"kind": {"kind": "tags"}}, "context": {"mood": {"kind": "category"}}},
            "retriever": {"model": "mf", "embedding_dim": 4},
            "ranker": ranker,
            "evaluation": {"baselines": ["popularity"], "k": [5, 10]},
        }
    )
    train(settings, made / "artifact")
    return made / "artifact"


def test_trained_saved_loaded_and_served_without_torch(folder: Path) -> None:
    recommender = load(folder)
    answer = recommender.recommend(Query(user_id=3, k=5, features={"mood": "wild"}))
    assert "rank" in answer.stages
    assert all(0 <= item.score <= 1 for item in answer.items)
    report = recommender.report
    assert report is not None
    calibration = report.training["ranker"]["calibration"]
    assert set(calibration) == {"slope", "offset", "before", "after"}
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "numba", "llvmlite", "onnx", "onnxscript"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import shortlist
query = shortlist.Query(user_id=3, k=5, features={"mood": "wild"})
print([item.item_id for item in shortlist.load(sys.argv[1]).recommend(query).items])
"""
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str([item.item_id for item in answer.items]), done.stderr


def test_without_the_library_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(SettingsError, match=r"Install shortlist\[trees\]"):
        lightgbm()
