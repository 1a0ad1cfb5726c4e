"""A ranker behind a retriever: from settings to an answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.errors import SettingsError
from shortlist.models.mf import MatrixFactorization
from shortlist.models.ncf_network import NCFNetwork
from shortlist.recommender import Query, Recommender
from shortlist.recommender.artifact import load
from shortlist.recommender.evaluation import evaluate
from shortlist.recommender.model_card import model_card
from shortlist.settings import NCFSettings, Settings
from shortlist.testing import check_ranker
from shortlist.training.ncf_objective import NCFObjective
from shortlist.training.rankers import fit_ranker, for_selection
from shortlist.training.retrievers import fit_retriever
from shortlist.training.run import train

RANKER = {"model": "neumf", "candidates": 30, "embedding_dim": 8, "epochs": 12, "batch_size": 64, "learning_rate": 0.03}


def settings_for(log: Path | None = None, **ranker: object) -> Settings:
    data = {} if log is None else {"interactions": str(log), "columns": {"timestamp": "timestamp"}}
    given = {"retriever": {"model": "popularity"}, "ranker": {**RANKER, **ranker}}
    return Settings.from_dict({"data": data, **given, "evaluation": {"k": [10], "baselines": []}})


@pytest.fixture(scope="module")
def folder(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world's log through ``train``: a retriever that knows no taste, then a ranker that does."""
    place = tmp_path_factory.mktemp("ranked")
    log = world.interactions
    ids = world.items.ids_of(log.item_idx)
    lines = [f"{u},{i},{t // 1000}" for u, i, t in zip(log.user_idx, ids, log.timestamp, strict=True)]
    (place / "log.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(lines) + "\n")
    train(settings_for(place / "log.csv"), place / "artifact")
    return place / "artifact"


@pytest.fixture(scope="module")
def recommender(folder: Path) -> Recommender:
    return load(folder)


def test_the_ranker_brings_the_taste_the_retriever_lacks(recommender: Recommender) -> None:
    for user in (2, 3):
        answer = recommender.recommend(Query(user_id=user, k=8))
        own = [int(recommender.dataset.items.id(i)) for i in recommender.dataset.interactions.positives().row(user)]  # type: ignore[arg-type]
        assert {int(item.item_id) % 2 for item in answer.items} == {own[0] % 2}
        assert answer.stages["rank"]["model"] == "neumf"
        assert answer.stages["rank"]["candidates"] == 28  # 40 items without the 12 seen ones
        assert all(item.places["ranker"] == item.rank for item in answer.items)


def test_a_stranger_gets_what_the_retriever_found(recommender: Recommender) -> None:
    answer = recommender.recommend(Query(history=[100], k=5))
    assert [item.places["retrieval"] for item in answer.items] == [1, 2, 3, 4, 5]


def test_the_report_has_a_row_of_the_whole_path(recommender: Recommender) -> None:
    report = recommender.report
    assert report is not None
    assert list(report.models) == ["popularity", "neumf"]
    assert report.models["neumf"]["ndcg@10"]["value"] > 2 * report.models["popularity"]["ndcg@10"]["value"]
    assert report.comparisons["against"]["neumf"]["difference"] < 0
    assert any(note.startswith("The ranker neumf changes ndcg@10 by +0.") for note in report.notes)
    limits = model_card(recommender).limits
    assert any("neumf knows people by their id" in one for one in limits)
    assert not any("neumf is better" in one for one in limits)
    again = evaluate(recommender)
    assert again.models["neumf"] == report.models["neumf"]


def test_served_without_torch(folder: Path) -> None:
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "numba", "llvmlite", "onnx", "onnxscript"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import shortlist
assert "rank" in shortlist.load(sys.argv[1]).recommend(shortlist.Query(user_id=2)).stages
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr


def test_served_keeps_the_contract(recommender: Recommender) -> None:
    parts = split(recommender.dataset, recommender.settings.split)
    assert recommender.funnel.ranker is not None
    check_ranker(recommender.funnel.ranker, parts.test.queries, recommender.dataset.num_items)


def test_negatives_are_fresh_and_never_observed(world: Dataset) -> None:
    network = NCFNetwork(world.num_users, world.num_items, NCFSettings(embedding_dim=4))
    objective = NCFObjective(network, world.interactions, 4)
    taken = {(int(u), int(i)) for u, i in zip(world.interactions.user_idx, world.interactions.item_idx, strict=True)}
    rng, epochs = np.random.default_rng(0), []
    for _ in range(2):
        batches = list(objective.epoch(50, rng))
        pairs = np.concatenate([np.column_stack([one.user_idx, one.item_idx]) for one in batches])
        assert {(int(row[0]), int(row[1])) for row in pairs} == liked_pairs(world)
        assert not {(int(row[0]), int(i)) for row in pairs for i in row[2:]} & taken
        epochs.append(pairs[np.lexsort(pairs[:, 1::-1].T)])
    assert (epochs[0][:, :2] == epochs[1][:, :2]).all()
    assert (epochs[0][:, 2:] != epochs[1][:, 2:]).mean() > 0.8


def liked_pairs(world: Dataset) -> set[tuple[int, int]]:
    log = world.interactions
    return {(int(u), int(i)) for u, i in zip(log.user_idx[log.liked], log.item_idx[log.liked], strict=True)}


def test_selection_does_not_see_validation_targets(world: Dataset) -> None:
    """A closed form that was fitted on validation, too, is fitted anew without it."""
    settings = Settings.from_dict({"retriever": {"model": "mf", "embedding_dim": 4}})
    parts = split(world, settings.split)
    fitted = fit_retriever(world, parts, settings)
    last, first = fitted.retriever, for_selection(fitted, world, parts, settings)
    expected = MatrixFactorization.fit(parts.train, world.num_items, settings.retriever)  # type: ignore[arg-type]
    np.testing.assert_array_equal(first.encode_items(), expected.encode_items())
    assert not np.array_equal(last.encode_items(), expected.encode_items())


def test_pre_training_joins_and_goes_on(world: Dataset) -> None:
    settings = settings_for(pretrained=True, epochs=3)
    parts = split(world, settings.split)
    retriever = fit_retriever(world, parts, settings).retriever
    fitted = fit_ranker(world, parts, settings, retriever, retriever)
    assert set(fitted.course["selection"]) == set(fitted.course["refit"]) == {"gmf", "mlp", "neumf"}
    assert fitted.course["selection"]["neumf"]["start_validation"] is not None
    again = fit_ranker(world, parts, settings, retriever, retriever)
    for name, array in fitted.ranker.arrays.items():
        np.testing.assert_array_equal(array, again.ranker.arrays[name])


def test_settings_teach() -> None:
    with pytest.raises(SettingsError, match=r"unknown setting 'ranker.candidats'; did you mean .candidates"):
        settings_for(candidats=10)
    with pytest.raises(
        SettingsError, match=r"ranker.model: 'deep' is not available; allowed: .* gmf, logistic_mf, mlp, neumf"
    ):
        settings_for(model="deep")
    with pytest.raises(SettingsError, match=r'ranker: .*joins gmf and mlp, and model = "gmf" is one of them'):
        settings_for(model="gmf", pretrained=True)
    assert Settings.from_dict(settings_for().to_dict()) == settings_for()
