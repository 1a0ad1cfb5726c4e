"""Every verb as a person runs it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest


def shortlist(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from shortlist.cli import main; main()", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "120", **environment}
    )


def document(*arguments: str | Path) -> Any:
    done = shortlist(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # exactly one document


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A small log of one's own: two tastes, in CSV."""
    rows = [f"u{u},{(u % 2) + 2 * ((u + n * 3) % 12)},{n}" for u in range(40) for n in range(8)]
    (tmp_path / "log.csv").write_text("who,what,when\n" + "\n".join(rows) + "\n")
    file = tmp_path / "run.toml"
    file.write_text(
        '[data]\ninteractions = "log.csv"\n[data.columns]\nuser_id = "who"\nitem_id = "what"\ntimestamp = "when"\n'
        '[retriever]\nmodel = "mf"\nembedding_dim = 4\n[evaluation]\nk = [5, 10]\nbaselines = ["popularity"]\n'
    )
    return file


def test_train_prints_the_report_and_writes_the_artifact(config: Path, tmp_path: Path) -> None:
    report = document("train", config, "--out", tmp_path / "a", "--set", "retriever.iterations=3")
    assert list(report["models"]) == ["mf", "popularity"]
    assert set(report["models"]["mf"]["recall@5"]) == {"value", "low", "high"}
    assert set(report["definition"]) == set(report["models"]["mf"])
    assert report["num_queries"] == 40
    assert report["seed"] == 0
    assert {"fit", "evaluate"} <= set(report["seconds"])
    assert report["peak_memory_mb"] > 10
    assert report["split"]["method"] == "last_out"
    again = document("evaluate", tmp_path / "a")
    assert again["models"] == report["models"]
    shown = shortlist("train", config, "--out", tmp_path / "a")
    assert shown.returncode == 0
    assert {"ndcg", "@5", "recall"} <= set(shown.stdout.split())
    assert "40 users with 24 items" in shown.stderr


def test_training_goes_on_from_an_artifact(config: Path, tmp_path: Path) -> None:
    document("train", config, "--out", tmp_path / "a", "--set", "retriever.iterations=3")
    more = [f"u{u},{24 + u % 2},{n}" for u in range(40, 50) for n in (1,)]
    more += [f"u{u},{24 + u % 2},9" for u in range(30)]
    (tmp_path / "grown.csv").write_text((tmp_path / "log.csv").read_text() + "\n".join(more) + "\n")
    grown = f"data.interactions={tmp_path / 'grown.csv'}"
    report = document("train", "--from", tmp_path / "a", "--out", tmp_path / "b", "--set", grown)
    assert report["notes"][-1] == "Training went on from a: it knew 24 of the 26 items."
    assert report["num_queries"] == 40
    settings = json.loads((tmp_path / "b" / "manifest.json").read_text())["settings"]
    assert settings["retriever"]["iterations"] == 3
    with_file = document("train", config, "--from", tmp_path / "a", "--out", tmp_path / "c", "--set", grown)
    assert with_file["models"] == report["models"]
    refused = shortlist(
        "train", "--from", tmp_path / "a", "--out", tmp_path / "d", "--set", "retriever.embedding_dim=8"
    )
    assert refused.returncode == 1
    assert "embedding_dim: expected 4, as in the artifact, got 8" in " ".join(refused.stderr.split())
    nothing = shortlist("train", "--out", tmp_path / "d")
    assert nothing.returncode == 2
    assert "--from DIR" in nothing.stderr


def test_seeds_are_reported_beside_each_other(config: Path, tmp_path: Path) -> None:
    report = document("train", config, "--out", tmp_path / "a", "--seeds", "3", "--set", "evaluation.baselines=[]")
    seeds = report["seeds"]
    assert sorted(seeds["seeds"]) == [0, 1, 2]
    figure = seeds["figures"]["ndcg@5"]
    assert len(figure["values"]) == 3
    assert figure["mean"] == pytest.approx(sum(figure["values"]) / 3)
    assert figure["values"][0] == report["models"]["mf"]["ndcg@5"]["value"]
    assert report["seed"] == seeds["seeds"][0]


def test_artifacts_are_compared_on_the_same_queries(config: Path, tmp_path: Path) -> None:
    for name, more in (
        ("a", []),
        ("b", ["--set", "retriever.model=popularity"]),
        ("c", ["--set", "split.method=random"]),
    ):
        overrides = more if name == "b" else [*more, "--set", "retriever.iterations=3"]
        text = config.read_text().replace("embedding_dim = 4\n", "") if name == "b" else config.read_text()
        own = config.with_name(f"{name}.toml")
        own.write_text(text)
        document("train", own, "--out", tmp_path / name, *overrides)
    page = tmp_path / "page.html"
    found = document("compare", tmp_path / "a", tmp_path / "b", tmp_path / "c", "--html", page)
    assert list(found["artifacts"]) == ["a", "b", "c"]
    pairs = {(one["first"], one["second"]): one for one in found["comparisons"]}
    same = pairs["a", "b"]
    assert same["comparable"]
    difference = same["figures"]["ndcg@10"]["difference"]
    values = [
        found["artifacts"][name]["report"]["models"][m]["ndcg@10"]["value"]
        for name, m in (("a", "mf"), ("b", "popularity"))
    ]
    assert difference == pytest.approx(values[0] - values[1])
    assert not pairs["a", "c"]["comparable"]
    assert "fingerprints differ" in pairs["a", "c"]["why_not"]
    assert "<html" in page.read_text()
    shown = shortlist("compare", tmp_path / "a", tmp_path / "c")
    assert "cannot be compared" in " ".join(shown.stdout.split())
    alone = shortlist("compare", tmp_path / "a")
    assert alone.returncode == 1
    assert "at least two" in alone.stderr


def test_describe_writes_the_page(config: Path, tmp_path: Path) -> None:
    document("train", config, "--out", tmp_path / "a", "--set", "retriever.iterations=3")
    assert (tmp_path / "a" / "report.html").read_text().startswith("<!doctype html>")
    assert document("describe", tmp_path / "a", "--html", tmp_path / "card.html")["model"] == "mf"
    assert (tmp_path / "card.html").is_file()
    refused = shortlist("describe", tmp_path / "a", "--html", tmp_path / "nowhere" / "card.html")
    assert refused.returncode == 1
    assert "Cannot write the page" in refused.stderr


def test_sampled_figures_only_by_name_and_with_a_warning(tmp_path: Path) -> None:
    for part, days in (("train", range(6)), ("test", range(6, 7))):
        rows = [f"{u},{(u % 2) + 2 * ((u + n * 5) % 12)},{n}" for u in range(40) for n in days]
        (tmp_path / f"{part}.csv").write_text("user_id,item_id,day\n" + "\n".join(rows) + "\n")
    taken = {u: {(u % 2) + 2 * ((u + n * 5) % 12) for n in range(7)} for u in range(40)}
    pairs = [f"{u},{i}" for u in range(40) for i in range(24) if i not in taken[u]]
    (tmp_path / "negatives.csv").write_text("user_id,item_id\n" + "\n".join(pairs) + "\n")
    config = tmp_path / "run.toml"
    plain = (
        '[data.columns]\ntimestamp = "day"\n[split]\nmethod = "files"\ntrain = "train.csv"\ntest = "test.csv"\n'
        '{negatives}[retriever]\nmodel = "mf"\nembedding_dim = 4\niterations = 3\n'
        '[evaluation]\nk = [5]\nbaselines = ["popularity"]\n'
    )
    config.write_text(plain.format(negatives='negatives = "negatives.csv"\n'))
    report = document("train", config, "--out", tmp_path / "given")
    own = report["models"]["mf"]
    assert {"hit_rate@5", "sampled_hit_rate@5"} <= set(own)
    assert own["sampled_hit_rate@5"]["value"] >= own["hit_rate@5"]["value"]
    assert any("do not keep the order of models" in note for note in report["notes"])
    assert "sampled_hit_rate@5" in document("evaluate", tmp_path / "given", "--protocol", "sampled")["models"]["mf"]
    full = document("evaluate", tmp_path / "given")
    assert not any(name.startswith("sampled") for name in full["models"]["mf"])
    assert not any("do not keep the order" in note for note in full["notes"])
    config.write_text(plain.format(negatives=""))
    document("train", config, "--out", tmp_path / "none")
    refused = shortlist("evaluate", tmp_path / "none", "--protocol", "sampled")
    assert refused.returncode == 1
    assert "There are no given negatives" in refused.stderr


def test_tune_finds_settings_that_train(config: Path, tmp_path: Path) -> None:
    found = document("tune", config, "--trials", "3", "--set", "retriever.iterations=3")
    out = tmp_path / "run.tune"
    assert found["out"] == str(out)
    assert found["select_on"] == "ndcg@10"
    assert found["num_finished"] == len(found["trials"]) == 3
    assert found["trials"][0]["parameters"]["retriever.iterations"] == 3
    assert found["best"]["validation"] == max(one["validation"] for one in found["trials"])
    report = document("train", out / "best.toml", "--out", tmp_path / "a")
    assert report["num_queries"] == 40
    shown = shortlist("tune", config, "--trials", "4", "--set", "retriever.iterations=3")
    assert shown.returncode == 0
    assert "going on after 3 finished trials" in shown.stderr
    assert "4/4  trial 4" in shown.stderr
    assert "4 trials, on validation" in shown.stdout
    assert f"shortlist train {out / 'best.toml'}" in shown.stdout
    refused = shortlist("tune", config, "--set", "seed=1")
    assert refused.returncode == 1
    assert "seed was 0, is now 1" in refused.stderr


def test_recommend_similar_describe(demo_folder: Path) -> None:
    answer = document("recommend", demo_folder, "--history", "1,588,364,595,2081", "-k", "5", "--exclude", "551")
    assert [item["rank"] for item in answer["items"]] == [1, 2, 3, 4, 5]
    assert {"item_id", "score", "rank", "reasons", "title", "genres", "year"} <= set(answer["items"][0])
    assert set(answer["stages"]) == {"encode", "retrieve", "explain"}
    assert 551 not in {item["item_id"] for item in answer["items"]}
    for item in answer["items"]:
        (attribution,) = item["attributions"]
        total = attribution["baseline"] + sum(part["contribution"] for part in attribution["parts"])
        assert abs(total - item["score"]) < 1e-4
        assert {reason["item_id"] for reason in item["reasons"]} <= {1, 588, 364, 595, 2081}
        assert item["moves"][-1]["place"] == item["rank"]
    assert document("recommend", demo_folder, "--user", "15", "--where", "year > 2000")["user_id"] == 15
    only = document("recommend", demo_folder, "--history", "1", "--allow", "2,3,1", "--where", "year = 1995")
    assert {item["item_id"] for item in only["items"]} == {2, 3}
    similar = document("similar", demo_folder, "--item", "1")
    assert similar["item"]["title"] == "Toy Story (1995)"
    assert len(similar["items"]) == 10
    card = document("describe", demo_folder)
    assert card["data"]["num_interactions"] == 100_004
    assert card["limits"]
    told = shortlist("recommend", demo_folder, "--history", "1,588", "-k", "2", "--explain").stdout
    assert "retrieval, softmax_dnn: score" in told
    assert "for somebody unknown, and" in told
    assert "% Aladdin (1992)" in told
    assert "retrieval: place 2" in told
    for arguments in (("recommend", "--history", "1"), ("similar", "--item", "1"), ("describe",), ("evaluate",)):
        shown = shortlist(arguments[0], demo_folder, *arguments[1:])
        assert shown.returncode == 0
        assert len(shown.stdout.splitlines()) > 5


def test_data(tmp_path: Path) -> None:
    published = {"ml-latest-small", "ml-100k", "ml-1m", "ncf-ml-1m", "gowalla-lightgcn", "globo-clicks"}
    assert {one["name"] for one in document("data", "list")} == published
    assert Path(document("data", "path", "ml-latest-small")["path"]).is_dir()
    missing = shortlist("data", "path", "ml-1m", SHORTLIST_DATA=str(tmp_path))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "SHORTLIST_DATA" in missing.stderr


def test_help() -> None:
    assert 'retriever (model = "softmax_dnn")' in shortlist("train", "--help-settings").stdout
    assert "recommend" in shortlist("--help").stdout
    assert shortlist("--version").stdout.strip() == "0.1.0"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["train", "none.toml", "--out", "x"], 1, "Cannot read the settings file none.toml"),
        (["recommend", "nowhere", "--user", "1"], 1, "There is no artifact in nowhere"),
        (["recommend", "DEMO", "--user", "99999"], 1, "There is no user '99999'"),
        (["recommend", "DEMO", "--history", "1,424242"], 1, "history: 1 of 2 items are not known (424242)"),
        (["recommend", "DEMO", "--history", "1", "-k", "0"], 1, "expected 1 to 9,066 (the corpus), got 0"),
        (["recommend", "DEMO", "--history", "1", "-k", "9067"], 1, "got 9067"),
        (["recommend", "DEMO", "--history", "1", "--where", "year >"], 1, "Expected a number"),
        (["recommend", "DEMO", "--history", "1", "--where", "year > 3000"], 1, "no item of 9,066 meets"),
        (["recommend", "DEMO", "--history", "1", "--feature", "age=3"], 1, "no query feature 'age'"),
        (["similar", "DEMO", "--item", "none"], 1, "There is no item 'none'"),
        (["recommend", "DEMO"], 2, "--user / --history"),
        (["recommend", "DEMO", "--user", "1", "--feature", "age"], 2, "NAME=VALUE"),
        (["evaluate", "DEMO", "--protocol", "half"], 2, "expected full"),
        (["trian"], 2, "No such command"),
        (["serve", "DEMO", "--port", "99999"], 2, "--port"),
    ],
)  # fmt: skip
def test_failures_are_explained(demo_folder: Path, arguments: list[str], status: int, message: str) -> None:
    done = shortlist(*[str(demo_folder) if one == "DEMO" else one for one in arguments])
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_training_leaves_an_artifact(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('[data]\ndataset = "ml-latest-small"\n[training]\nepochs = 500\npatience = 500\n'
                      '[evaluation]\nbaselines = ["popularity"]\n')  # fmt: skip
    command = [sys.executable, "-c", "from shortlist.cli import main; main()", "train", config, "--out", tmp_path / "a"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch   1"):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "interrupted: going on with the best weights so far (epoch 1)" in err
    assert "softmax_dnn" in out
    assert (tmp_path / "a" / "manifest.json").is_file()
    assert not (tmp_path / "a.checkpoint").exists()


def test_serve_answers_and_a_taken_port_is_explained(demo_folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "from shortlist.cli import main; main()",
        "serve",
        demo_folder,
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                    assert json.load(answer)["status"] == "ready"
                break
            except OSError:
                assert time.monotonic() < deadline, "the server did not come up"
                time.sleep(0.2)
        taken = shortlist("serve", demo_folder, "--port", str(port))
        assert taken.returncode == 1
        assert f"Cannot listen on 127.0.0.1:{port}" in taken.stderr
        assert "--port" in taken.stderr
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_re_ranking_from_settings_to_the_curve(config: Path, tmp_path: Path) -> None:
    """Added to a saved artifact, tried once, swept; the report judges every stage."""
    document(
        "train", config, "--out", tmp_path / "a", "--set", "retriever.iterations=3", "--set", "training.refit=false"
    )
    plain = document("recommend", tmp_path / "a", "--user", "u3")
    assert "places" not in plain["items"][0]
    steps = tmp_path / "steps.toml"
    steps.write_text('[[rerank]]\nstep = "popularity"\nstrength = 0.9\n[[rerank]]\nstep = "diversity"\n')
    once = document("recommend", tmp_path / "a", "--user", "u3", "--rerank", steps)
    assert [one["step"] for one in once["stages"]["rerank"]["steps"]] == ["popularity", "diversity"]
    changed = document("rerank", tmp_path / "a", steps)
    assert [one["step"] for one in changed["rerank"]] == ["popularity", "diversity"]
    assert [one["stage"] for one in changed["stages"]["stages"]] == ["retrieval", "popularity", "diversity"]
    kept = document("recommend", tmp_path / "a", "--user", "u3")
    assert [one["item_id"] for one in kept["items"]] == [one["item_id"] for one in once["items"]]
    assert set(kept["items"][0]["places"]) == {"retrieval", "popularity", "diversity"}
    shown = shortlist("evaluate", tmp_path / "a")
    assert "stage by stage, the first 5" in shown.stdout
    curve = document(
        "tradeoff", tmp_path / "a", "--step", "popularity", "--strengths", "0,1", "--max-loss", "0.5", "--keep"
    )
    assert {0.0, 1.0} <= {one["strength"] for one in curve["points"]}
    assert 0 <= curve["chosen"] <= 1
    kept_in = json.loads((tmp_path / "a" / "manifest.json").read_text())["report"]["tradeoffs"]
    assert kept_in["popularity"]["points"] == curve["points"]
    assert '"tradeoffs": {"popularity"' in (tmp_path / "a" / "report.html").read_text()
    assert document("rerank", tmp_path / "a", "--clear") == {"rerank": [], "stages": {}}
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[[rerank]]\nstep = "calibration"\nfeature = "genres"\n')
    refused = shortlist("rerank", tmp_path / "a", wrong)
    assert refused.returncode == 1
    assert "rerank.0.feature: there is no item feature 'genres'" in " ".join(refused.stderr.split())
