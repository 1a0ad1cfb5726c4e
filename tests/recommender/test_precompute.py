"""The file holds what ``recommend`` answers, user by user; a killed run goes on to the same bytes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from shortlist.data.availability import Availability
from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.data.splitting import split
from shortlist.errors import ArtifactError, QueryError
from shortlist.recommender import Query, Recommender, artifact
from shortlist.recommender import precompute as module
from shortlist.recommender.parts import Parts
from shortlist.recommender.precompute import precompute
from shortlist.retrieval import Candidates, ScoredItems, Vectors
from shortlist.retrieval.torch_exact import TorchIndex
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_retriever, serve

USERS, ITEMS = 40, 24
FEEDBACK = {"liked": "value >= 3", "disliked": "value <= 1"}
MODELS: dict[str, dict[str, Any]] = {
    "softmax_dnn": {"embedding_dim": 8, "hidden_dims": [16]},
    "two_tower": {"embedding_dim": 8, "hidden_dims": [16]},
    "mf": {"embedding_dim": 8, "iterations": 3},
    "item_knn": {},
    "ease": {},
    "popularity": {},
    "recent_popularity": {},
    "sequential_rules": {},
}


def settings(model: str, **options: Any) -> Settings:
    return Settings.from_dict(
        {
            "data": {"columns": {"timestamp": "timestamp", "value": "value"}, "feedback": FEEDBACK},
            "features": {"item": {"size": {"kind": "number"}}},
            "retriever": {"model": model, **MODELS[model], **options},
            "training": {"epochs": 2, "refit": False},
        }
    )


def prepared() -> Dataset:
    """Users ``u0`` to ``u39``, of whom every fifth liked and disliked nothing; items 100 to 123, of which u1 has 22."""
    rng = np.random.default_rng(0)
    pairs = [(u, i) for u in range(USERS) for i in rng.permutation(ITEMS)[: 22 if u == 1 else 6].tolist()]
    values = rng.integers(1, 6, len(pairs)).astype(float)
    log = pa.table(
        {
            "user_id": [f"u{u}" for u, _ in pairs],
            "item_id": [100 + i for _, i in pairs],
            "timestamp": [1_600_000_000 + 60 * n for n in range(len(pairs))],
            "value": [value if u % 5 else 2.0 for (u, _), value in zip(pairs, values, strict=True)],
        }
    )
    catalogue = pa.table({"item_id": np.arange(100, 100 + ITEMS), "size": np.arange(ITEMS, dtype=float)})
    given = settings("mf")
    return prepare(log, items=catalogue, settings=given.data, features=given.features)


def saved(data: Dataset, folder: Path, model: str = "mf", **options: Any) -> Path:
    given = settings(model, **options)
    always = replace(data, availability=None)
    fitted = fit_retriever(always, split(always, given.split), given).retriever
    artifact.save(Recommender(data, serve(fitted, data, folder / f"{model}.served"), given), folder / model)
    return folder / model


@pytest.fixture(scope="module")
def data() -> Dataset:
    return prepared()


@pytest.fixture(scope="module")
def mf(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(data, tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LISTS_A_PART", 7)


def lists(file: Path) -> dict[Any, list[dict[str, Any]]]:
    rows: dict[Any, list[dict[str, Any]]] = {}
    for row in pq.read_table(file).to_pylist():
        rows.setdefault(row["user_id"], []).append(row)
    return rows


def same_as_recommend(file: Path, folder: Path, query: Query) -> None:
    recommender, written = artifact.load(folder), lists(file)
    for user in recommender.dataset.users.ids.to_pylist():
        items = recommender.recommend(replace(query, user_id=user), explain=False).items
        got = written.pop(user, [])
        assert [(one["rank"], one["item_id"]) for one in got] == [(one.rank, one.item_id) for one in items], user
        np.testing.assert_allclose([one["score"] for one in got], [one.score for one in items], rtol=1e-5, atol=1e-6)
    assert not written


@pytest.mark.parametrize("model", ["mf", "ease", "softmax_dnn"])
@pytest.mark.usefixtures("small_parts")
def test_every_item_gets_what_similar_answers(data: Dataset, tmp_path: Path, model: str) -> None:
    folder, file = saved(data, tmp_path, model), tmp_path / "similar.parquet"
    written = precompute(folder, file, Query(k=6), of="items")
    assert (written.of, written.lists, written.rows) == ("items", ITEMS, 6 * ITEMS)
    recommender, rows = artifact.load(folder), pq.read_table(file).to_pylist()
    assert list(rows[0]) == ["item_id", "rank", "similar_item_id", "score"]
    for item in recommender.dataset.items.ids.to_pylist():
        mine = [one for one in rows if one["item_id"] == item]
        expected = recommender.similar(item, 6)
        assert [(one["rank"], one["similar_item_id"]) for one in mine] == [(one.rank, one.item_id) for one in expected]
        np.testing.assert_allclose(
            [one["score"] for one in mine], [one.score for one in expected], rtol=1e-5, atol=1e-6
        )


def test_similar_items_of_all_items_under_filters(mf: Path, tmp_path: Path) -> None:
    file = tmp_path / "similar.parquet"
    precompute(mf, file, Query(k=30, where="size >= 20", exclude=[123]), of="items")
    found: dict[int, set[int]] = {}
    for row in pq.read_table(file).to_pylist():
        found.setdefault(row["item_id"], set()).add(row["similar_item_id"])
    assert all(found[item] == {120, 121, 122} - {item} for item in range(100, 100 + ITEMS)), "all that is allowed"
    with pytest.raises(QueryError, match="does not depend on features: leave out age"):
        precompute(mf, file, Query(features={"age": 3}), of="items")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.usefixtures("small_parts")
def test_every_user_gets_what_recommend_answers(data: Dataset, tmp_path: Path, model: str) -> None:
    folder, file = saved(data, tmp_path, model), tmp_path / "lists.parquet"
    written = precompute(folder, file, Query(k=5))
    assert (written.lists, written.rows, written.kept) == (USERS, 5 * USERS - 3, 0), "u1 has two items left"
    same_as_recommend(file, folder, Query(k=5))


@pytest.mark.usefixtures("small_parts")
def test_filters_and_a_k_beyond_what_is_allowed(mf: Path, tmp_path: Path) -> None:
    file = tmp_path / "lists.parquet"
    query = Query(k=20, where="size >= 4", exclude=[105], allow=list(range(102, 112)))
    assert precompute(mf, file, query).rows < 7 * USERS
    same_as_recommend(file, mf, query)
    assert {row["item_id"] for rows in lists(file).values() for row in rows} == {104, *range(106, 112)}
    assert precompute(mf, file, Query(k=10_000)).k == ITEMS, "no more than there are"
    same_as_recommend(file, mf, Query(k=ITEMS))
    assert precompute(mf, file, Query(allow=[])).rows == 0
    assert pq.read_table(file).num_rows == 0


def test_ids_keep_their_type_and_the_file_says_what_was_asked(mf: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "lists.parquet"
    precompute(mf, file, Query(k=3, where="size > 1"))
    schema = pq.read_schema(file)
    assert schema.names == ["user_id", "rank", "item_id", "score"]
    assert [str(one) for one in schema.types] == ["string", "int32", "int64", "float"]
    told = json.loads(schema.metadata[b"shortlist"])
    assert (told["k"], told["where"], told["time"]) == (3, "size > 1", None)
    assert [one.name for one in file.parent.iterdir()] == ["lists.parquet"], "nothing stays beside it"


KILLED = """
import os, signal, sys
from pathlib import Path
from shortlist.recommender import Query, parts, precompute
precompute._LISTS_A_PART = 7
write, count = parts.pq.write_table, []
def half(table, where):
    count.append(where)
    if len(count) == 4:
        Path(where).write_bytes(b"half a part")
        os.kill(os.getpid(), signal.SIGKILL)
    write(table, where)
parts.pq.write_table = half
precompute.precompute(sys.argv[1], sys.argv[2], Query(k=5))
"""


@pytest.mark.usefixtures("small_parts")
def test_killed_and_resumed_gives_the_same_bytes(mf: Path, tmp_path: Path) -> None:
    whole, file = tmp_path / "whole.parquet", tmp_path / "lists.parquet"
    precompute(mf, whole, Query(k=5))
    file.write_bytes(b"an older file")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(mf), str(file)], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert file.read_bytes() == b"an older file"
    console = Console(file=StringIO(), width=200)
    written = precompute(mf, file, Query(k=5), console)
    assert (written.kept, written.rows) == (21, 5 * USERS - 3)
    assert file.read_bytes() == whole.read_bytes()
    assert console.file.getvalue() == f"going on after 21 of 40 users, kept in {file}.parts\n"  # type: ignore[attr-defined]
    assert not Parts(file).folder.exists()


def stop_after(monkeypatch: pytest.MonkeyPatch, parts: int) -> None:
    write = Parts.write

    def until(self: Parts, number: int, table: pa.Table) -> None:
        if number == parts:
            raise KeyboardInterrupt
        write(self, number, table)

    monkeypatch.setattr(Parts, "write", until)


@pytest.mark.usefixtures("small_parts")
def test_ctrl_c_says_how_to_go_on(mf: Path, tmp_path: Path) -> None:
    file, console = tmp_path / "lists.parquet", Console(file=StringIO(), width=200)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            precompute(mf, file, Query(k=5), console)
    told = f"stopped: 14 of 40 users are kept in {file}.parts; the same command goes on\n"
    assert console.file.getvalue() == told  # type: ignore[attr-defined]
    assert not file.exists()
    assert precompute(mf, file, Query(k=5)).kept == 14


@pytest.mark.usefixtures("small_parts")
def test_other_settings_and_another_artifact_do_not_go_on(data: Dataset, mf: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "lists.parquet", saved(data, tmp_path, embedding_dim=4)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            precompute(mf, file, Query(k=5))
    with pytest.raises(ArtifactError, match=r"begun otherwise \(k: was 5, is now 6\).*delete the folder"):
        precompute(mf, file, Query(k=6))
    with pytest.raises(ArtifactError, match='where: was null, is now "size > 3"'):
        precompute(mf, file, Query(k=5, where="size > 3"))
    with pytest.raises(ArtifactError, match=r"begun otherwise \(artifact: was"):
        precompute(other, file, Query(k=5))
    assert precompute(mf, file, Query(k=5)).kept == 14, "a refusal harms nothing"
    same_as_recommend(file, mf, Query(k=5))


@pytest.mark.usefixtures("small_parts")
def test_the_clock_stands_still_from_the_first_part_to_the_last(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items 100 to 111 are there on the first day, the others on the second."""
    day, late = 86_400_000.0, np.array(data.items.ids.to_pylist()) >= 112
    windows = Availability(np.where(late, day, 0.0), np.where(late, 2 * day, day))
    folder, file = saved(replace(data, availability=windows), tmp_path), tmp_path / "lists.parquet"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            precompute(folder, file, Query(k=5, time="1970-01-01T12:00:00Z"))
    with pytest.raises(ArtifactError, match=r"time: was \"1970-01-01T12:00:00.000Z\", is now \"1970-01-02T12"):
        precompute(folder, file, Query(k=5, time="1970-01-02T12:00:00Z"))
    written = precompute(folder, file, Query(k=5))  # long after
    assert written.time == "1970-01-01T12:00:00.000Z"
    assert json.loads(pq.read_schema(file).metadata[b"shortlist"])["time"] == written.time
    assert {row["item_id"] for rows in lists(file).values() for row in rows} <= set(range(100, 112))
    same_as_recommend(file, folder, Query(k=5, time=written.time))
    now = precompute(folder, file, Query(k=5))
    assert now.rows == 0, "nothing is available any longer"
    assert str(now.time) > "2026"


def test_what_cannot_be_asked_leaves_nothing_behind(mf: Path, tmp_path: Path) -> None:
    file = tmp_path / "lists.parquet"
    for query, message in (
        (Query(k=0), "expected 1 to 24"),
        (Query(where="size > 99"), "no item of 24 meets"),
        (Query(exclude=[7]), "exclude: 1 of 1"),
        (Query(features={"age": 3}), "no query feature 'age'"),
        (Query(time="soon"), "time: expected"),
        (Query(user_id="u3"), "give no user"),
        (Query(history=[101]), "give no user"),
    ):
        with pytest.raises(QueryError, match=message):
            precompute(mf, file, query)
    with pytest.raises(ArtifactError, match="There is no artifact"):
        precompute(tmp_path / "nowhere", file)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_harmed(mf: Path, tmp_path: Path) -> None:
    file = tmp_path / "lists.parquet"
    parts = Parts(file)
    parts.folder.mkdir()
    (parts.folder / "mine.txt").write_text("precious")
    with pytest.raises(ArtifactError, match="does not say what it was made from"):
        precompute(mf, file)
    assert (parts.folder / "mine.txt").read_text() == "precious"
    (parts.folder / "mine.txt").unlink()
    with parts.opened(), pytest.raises(ArtifactError, match="Another process is writing"):
        precompute(mf, file)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ArtifactError, match="is a folder; expected the name of a Parquet file"):
        precompute(mf, tmp_path / "folder")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="Cannot write"):
        precompute(mf, tmp_path / "file" / "lists.parquet")


@pytest.mark.usefixtures("small_parts")
def test_damaged_parts_are_explained(mf: Path, tmp_path: Path) -> None:
    file = tmp_path / "lists.parquet"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            precompute(mf, file, Query(k=5))
    part = Parts(file).folder / "part-000001.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=r"part-000001.parquet cannot be read .* Delete it"):
        precompute(mf, file, Query(k=5))
    assert not file.exists()
    part.unlink()
    assert precompute(mf, file, Query(k=5)).kept == 33
    same_as_recommend(file, mf, Query(k=5))
    begun = Parts(tmp_path / "other.parquet")
    begun.folder.mkdir()
    (begun.folder / "made_from.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"cannot be read.*to begin anew"):
        precompute(mf, begun.file)


def test_many_items_a_user_make_smaller_parts(mf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS_A_PART", 50)
    file = tmp_path / "lists.parquet"
    precompute(mf, file, Query(k=5))
    groups = pq.ParquetFile(file).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)][-1] == 50
    assert groups.num_row_groups == 4
    assert json.loads(pq.read_schema(file).metadata[b"shortlist"])["lists_a_part"] == 10


class Elsewhere:
    """PyTorch's CPU, in place of a GPU."""

    def __init__(self, vectors: Vectors) -> None:
        self.index = TorchIndex(vectors, "cpu")
        self.device = "elsewhere" if isinstance(vectors, np.ndarray) else self.index.device

    def __len__(self) -> int:
        return len(self.index)

    def search(self, query_vectors: Vectors, k: int, candidates: Candidates) -> list[ScoredItems]:
        return self.index.search(query_vectors, k, candidates)


@pytest.mark.parametrize(("model", "of"), [("mf", "users"), ("mf", "items"), ("item_knn", "users")])
@pytest.mark.usefixtures("small_parts")
def test_another_device_gives_the_same_lists(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, of: module.Of
) -> None:
    folder, query = saved(data, tmp_path, model), Query(k=5, where="size >= 4")
    plain, file = tmp_path / "plain.parquet", tmp_path / "lists.parquet"
    assert precompute(folder, plain, query, of=of).device == "cpu"
    monkeypatch.setattr(module, "index_on", lambda device: Elsewhere if device == "cuda" else None)
    written = precompute(folder, file, query, of=of, device="cuda")
    assert written.device == ("cpu" if model == "item_knn" else "elsewhere"), "sparse vectors stay on the CPU"
    rows, expected = pq.read_table(file), pq.read_table(plain)
    assert rows.drop_columns("score").equals(expected.drop_columns("score"))
    np.testing.assert_allclose(rows["score"], expected["score"], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("small_parts")
def test_one_device_does_not_go_on_where_another_stopped(
    mf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "index_on", lambda device: Elsewhere if device == "cuda" else None)
    file = tmp_path / "lists.parquet"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            precompute(mf, file, Query(k=5))
    with pytest.raises(ArtifactError, match='device: was "cpu", is now "elsewhere"'):
        precompute(mf, file, Query(k=5), device="cuda")
