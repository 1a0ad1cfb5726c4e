from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shortlist.errors import ArtifactError
from shortlist.recommender import Query, Recommender, artifact, folders


@pytest.fixture
def copy(demo_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo_folder, tmp_path / "copy"))


def test_loaded_equals_saved(demo: Recommender, tmp_path: Path) -> None:
    artifact.save(demo, tmp_path / "again")
    again = artifact.load(tmp_path / "again")
    for query in (Query(user_id=1), Query(history=[1, 588])):
        assert again.recommend(query).items == demo.recommend(query).items
    assert again.report == demo.report
    assert again.settings == demo.settings


def test_nothing_in_it_can_run(demo_folder: Path) -> None:
    """The page runs in a browser alone, under a policy of its own; arrays are read without pickle."""
    kinds = {file.suffix for file in demo_folder.rglob("*") if file.is_file()}
    assert kinds == {".json", ".parquet", ".npy", ".npz", ".onnx", ".safetensors", ".html"}
    for file in [*demo_folder.rglob("*.npy"), *demo_folder.rglob("*.npz")]:
        np.load(file, allow_pickle=False)


@pytest.mark.parametrize(
    "name",
    ["retriever/item_vectors.npy", "interactions.parquet", "golden.json", "retriever/query_encoder.onnx"],
)
def test_damage_is_found(copy: Path, name: str) -> None:
    file = copy / name
    content = bytearray(file.read_bytes())
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=f"{name} of the artifact .* was changed or truncated"):
        artifact.load(copy)
    file.unlink()
    with pytest.raises(ArtifactError, match=f"lacks the file {name}"):
        artifact.load(copy)


def test_a_newer_format_and_a_broken_manifest(copy: Path, tmp_path: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format_version": 99, "package_version": "9.9"}))
    with pytest.raises(ArtifactError, match=r"format 99, made by shortlist 9\.9.*Upgrade"):
        artifact.load(copy)
    (copy / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"manifest of .* cannot be read"):
        artifact.load(copy)
    with pytest.raises(ArtifactError, match=r"no artifact in .*shortlist train"):
        artifact.load(tmp_path / "nowhere")


def test_golden_queries_are_replayed(copy: Path) -> None:
    golden = json.loads((copy / "golden.json").read_text())
    golden[0]["answer"][0][1] += 1
    (copy / "golden.json").write_text(json.dumps(golden))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["golden.json"] = folders.sha256(copy / "golden.json")
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="answers otherwise than when it was saved"):
        artifact.load(copy)


def test_what_is_no_artifact_is_not_overwritten(demo: Recommender, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="is no artifact"):
        artifact.save(demo, tmp_path)
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("can_exchange", [True, False])
def test_saving_replaces_and_leaves_no_rest(
    demo: Recommender, copy: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(folders, "_swap", lambda *_: False)
    (copy / "old.txt").write_text("from before")
    artifact.save(demo, copy)
    assert not (copy / "old.txt").exists()
    assert [one.name for one in copy.parent.iterdir()] == ["copy"]
    artifact.load(copy)


def test_a_killed_save_leaves_the_old_one_whole(copy: Path) -> None:
    """Killed while it writes, at several moments."""
    code = (
        "import sys; from shortlist.recommender import artifact; r = artifact.load(sys.argv[1]); print('go', flush=True)\n"
        "while True: artifact.save(r, sys.argv[1])"
    )
    for milliseconds in (5, 60, 200):
        process = subprocess.Popen([sys.executable, "-c", code, str(copy)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(timeout=milliseconds / 1000)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        artifact.load(copy)
