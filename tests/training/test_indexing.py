from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shortlist.errors import ArtifactError
from shortlist.recommender import Query, artifact
from shortlist.recommender.model_card import model_card
from shortlist.retrieval import AnnIndex, ExactIndex
from shortlist.settings import Settings
from shortlist.training import indexing
from shortlist.training.run import train

ANN = {"kind": "ann", "recall": 0.9, "k": 20, "only_if_faster": False}
SETTINGS = {
    "data": {"dataset": "ml-latest-small"},
    "retriever": {"model": "mf", "embedding_dim": 8, "iterations": 2},
    "evaluation": {"baselines": []},
    "index": ANN,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ann") / "artifact"
    train(Settings.from_dict(SETTINGS), out)
    return out


def test_an_index_travels_with_the_artifact(folder: Path, tmp_path: Path) -> None:
    recommender = artifact.load(folder)
    assert isinstance(recommender.index, AnnIndex)
    config = json.loads((folder / "index" / "config.json").read_text())
    assert (config["kind"], config["in_use"], config["k"]) == ("ann", "ann", 20)
    assert config["measured"]["recall"] >= 0.9
    assert {one["share"] for one in config["measured"]["filters"]} == {1.0, 0.5, 0.1, 0.01}
    assert recommender.report is not None
    assert any("recall@20" in note for note in recommender.report.notes)
    assert recommender.report.cost["index"]["latency_ms"]["exact"]["median"] > 0
    assert "recall@20" in str([getattr(line, "plain", "") for line in model_card(recommender).text().renderables])
    artifact.save(recommender, tmp_path / "again")
    again = artifact.load(tmp_path / "again")
    exact = ExactIndex(recommender.item_vectors)
    shared = []
    for user in recommender.dataset.users.ids_of(np.arange(0, 610, 5)):
        query = Query(user_id=user, k=20)
        answer = recommender.recommend(query, explain=False)
        assert answer.items == again.recommend(query, explain=False).items
        asked = recommender.asking.read([query])
        best = exact.search(recommender.retriever.encode_queries(asked.batch), 20, asked.candidates)[0]
        ids = recommender.dataset.items.ids_of(best.item_idx)
        shared.append(len({item.item_id for item in answer.items} & set(ids)))
    assert np.mean(shared) / 20 >= 0.88


def test_a_damaged_index_is_found(folder: Path) -> None:
    file = folder / "index" / "clusters.faiss"
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-10])
        with pytest.raises(ArtifactError, match=r"index/clusters.faiss of the artifact .* was changed or truncated"):
            artifact.load(folder)
    finally:
        file.write_bytes(content)


def test_nothing_is_trained_where_the_package_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent() -> None:
        raise ArtifactError("faiss-cpu is not installed")

    monkeypatch.setattr(indexing, "require_faiss", absent)
    with pytest.raises(ArtifactError, match="faiss-cpu"):
        train(Settings.from_dict({"data": {"interactions": "nowhere.csv"}, "index": ANN}), tmp_path / "out")
