"""``shortlist precompute`` as a person runs it: a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

PLAIN = "from shortlist.cli import main; main()"
INTERRUPTED = """
import os, signal
from shortlist.recommender import precompute
from shortlist.recommender.parts import Parts
precompute._LISTS_A_PART = 16
write = Parts.write
def second(self, number, table):
    if number == 1:
        os.kill(os.getpid(), signal.SIGINT)
    write(self, number, table)
Parts.write = second
from shortlist.cli import main; main()
"""
RESUMED = f"from shortlist.recommender import precompute\nprecompute._LISTS_A_PART = 16\n{PLAIN}"


def run(*arguments: str | Path, code: str = PLAIN) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tastes, from CSV."""
    place = tmp_path_factory.mktemp("precompute")
    rows = [f"{u},{(u % 2) + 2 * ((u + n * 3) % 12)},{n}" for u in range(40) for n in range(8)]
    (place / "log.csv").write_text("user_id,item_id,when\n" + "\n".join(rows) + "\n")
    (place / "run.toml").write_text(
        '[data]\ninteractions = "log.csv"\n[data.columns]\ntimestamp = "when"\n'
        '[retriever]\nmodel = "mf"\nembedding_dim = 4\n[evaluation]\nbaselines = []\n'
    )
    done = run("train", place / "run.toml", "--out", place / "a")
    assert done.returncode == 0, done.stderr
    return place / "a"


def test_the_file_and_one_document(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "lists.parquet"
    done = run("precompute", folder, "--out", file, "-k", "3", "--exclude", "0,1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {**told, "seconds": 0} == {
        "file": str(file),
        "of": "users",
        "lists": 40,
        "rows": 120,
        "k": 3,
        "time": None,
        "kept": 0,
        "device": "cpu",
        "seconds": 0,
    }
    rows = pq.read_table(file).to_pylist()
    answer = json.loads(run("recommend", folder, "--user", "7", "-k", "3", "--exclude", "0,1", "--json").stdout)
    mine = [(row["rank"], row["item_id"]) for row in rows if row["user_id"] == 7]
    assert mine == [(item["rank"], item["item_id"]) for item in answer["items"]]
    shown = run("precompute", folder, "--out", file)
    assert shown.returncode == 0
    assert f"{file}: 800 rows for 40 users, up to 24 items each" in shown.stdout, "each has 4 of the 24 items there are"
    similar = run("precompute", folder, "--items", "--out", tmp_path / "similar.parquet", "-k", "3")
    assert similar.returncode == 0, similar.stderr
    assert "72 rows for 24 items, up to 3 items each" in similar.stdout
    assert shown.stderr == ""


def test_ctrl_c_and_on(folder: Path, tmp_path: Path) -> None:
    whole, file = tmp_path / "whole.parquet", tmp_path / "lists.parquet"
    assert run("precompute", folder, "--out", whole, "-k", "5", code=RESUMED).returncode == 0
    stopped = run("precompute", folder, "--out", file, "-k", "5", "--json", code=INTERRUPTED)
    assert (stopped.returncode, stopped.stdout) == (130, "")
    assert f"stopped: 16 of 40 users are kept in {file}.parts; the same command goes on" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert not file.exists()
    other = run("precompute", folder, "--out", file, "-k", "6", code=RESUMED)
    assert other.returncode == 1
    assert "was begun otherwise (k: was 5, is now 6)" in other.stderr
    assert "Traceback" not in other.stderr
    resumed = run("precompute", folder, "--out", file, "-k", "5", "--json", code=RESUMED)
    assert json.loads(resumed.stdout)["kept"] == 16
    assert f"going on after 16 of 40 users, kept in {file}.parts" in resumed.stderr
    assert file.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "--out"),
        (("--out", "FILE", "--feature", "hour"), 2, "NAME=VALUE"),
        (("--out", "FILE", "--device", "tpu"), 2, "'auto', 'cpu', 'cuda'"),
        (("--out", "FILE", "--device", "cuda"), 1, "device = cuda: PyTorch"),
        (("--out", "FILE", "-k", "0"), 1, "expected 1 to 24 (the corpus), got 0"),
        (("--out", "FILE", "--where", "year >"), 1, "Expected a number"),
        (("--out", "FILE", "--allow", "0,x"), 1, "allow: 1 of 2 items are not known (x)"),
    ],
)
def test_failures_are_explained(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    file = tmp_path / "lists.parquet"
    done = run("precompute", folder, *[str(file) if one == "FILE" else one for one in arguments])
    assert (done.returncode, done.stdout) == (status, "")
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
