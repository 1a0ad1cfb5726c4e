"""A recommender as a folder anyone can open, written whole or not at all.

    manifest.json         format and package version, settings, data fingerprint, sha256 of every file, report
    schema.json           the features and how they are encoded; the data summary
    users.parquet         ids and features; items.parquet: ids, titles, features; interactions.parquet: histories;
                          availability.parquet: from when until when items are recommended, where that is known
    retriever/            config.json, item_vectors.npy; a network also query_encoder.onnx and weights.safetensors, a two-tower
                          network of item features item_encoder.onnx, for items that come later
    ranker/               config.json and, where there is a ranker, its weights; of feature rankers network.onnx or trees.txt
                          and statistics.safetensors
    baselines/NAME/       the retrievers its report compares with
    index/                config.json: how nearest items are found, and what was measured; clusters.faiss, where it is not exactly
    pipeline.json         the stages a query passes, in order
    training.json         the course of the training
    ranks.parquet         every test target's rank under each model: any accuracy figure, for any part of the people
    report.html           the report as one page that needs nothing else
    golden.json           queries with their answers at save time; loading replays them

No pickle: nothing in it can run.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shortlist.data.dataset import Dataset
from shortlist.data.storage import load_saved_dataset, save_dataset
from shortlist.errors import ArtifactError
from shortlist.evaluation.html import render
from shortlist.evaluation.report import Report
from shortlist.recommender.folders import exchange, sha256, write_json
from shortlist.recommender.model_card import model_card
from shortlist.recommender.query import Query
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.saved_index import load_index, save_index
from shortlist.recommender.served_ranker import ServedRanker, load_ranker
from shortlist.recommender.served_retriever import load_retriever
from shortlist.settings import CANDIDATES, Settings

FORMAT_VERSION = 1
RANKS, PAGE, PIPELINE, MANIFEST = "ranks.parquet", "report.html", "pipeline.json", "manifest.json"
_NUM_GOLDEN = 8
_TOLERANCE = 1e-3  # of golden scores: other processors round otherwise


def save(
    recommender: Recommender,
    folder: str | Path,
    training: Mapping[str, Any] | None = None,
    per_target: pa.Table | None = None,
) -> None:
    """Write an artifact; a kill at any moment leaves the old one whole.

    Args:
        recommender: what to save.
        folder: where; an artifact already there is replaced in one step.
        training: the course of the training.
        per_target: ranks of every test target under each model.

    Raises:
        ArtifactError: the folder is there and is no artifact, or cannot be written.
    """
    target = Path(folder)
    if target.exists() and not (target / "manifest.json").is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ArtifactError(
            f"{target} is there and is no artifact; give an empty or new folder, so that nothing is lost."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.part-", dir=target.parent))
    try:
        _write(recommender, part, target.name, training, per_target)
        part.chmod(0o755)
        exchange(part, target)
    except OSError as error:
        raise ArtifactError(
            f"Cannot write the artifact {target}: {error.strerror}. Check free space and permissions."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(
    recommender: Recommender, part: Path, name: str, training: Mapping[str, Any] | None, per_target: pa.Table | None
) -> None:
    save_dataset(recommender.dataset, part)
    retrievers = {
        "retriever": recommender.retriever,
        **{f"baselines/{n}": r for n, r in recommender.baselines.items()},
    }
    for place, retriever in retrievers.items():
        shutil.copytree(retriever.folder, part / place)
    ranker = recommender.funnel.ranker
    if isinstance(ranker, ServedRanker):
        shutil.copytree(ranker.folder, part / "ranker")
    save_index(recommender, part / "index")
    write_json(part / PIPELINE, pipeline(recommender))
    write_json(part / "training.json", dict(training or {}))
    if per_target is not None:
        pq.write_table(per_target, part / RANKS)
    write_json(part / "golden.json", _golden(recommender))
    (part / PAGE).write_text(render([(name, model_card(recommender).to_dict())]), encoding="utf-8")
    manifest = {
        "format_version": FORMAT_VERSION,
        "package_version": version("shortlist"),
        "settings": recommender.settings.to_dict(),
        "data_fingerprint": recommender.dataset.fingerprint,
        "files": {str(f.relative_to(part)): sha256(f) for f in sorted(part.rglob("*")) if f.is_file()},
        "report": None if recommender.report is None else recommender.report.to_dict(),
    }
    write_json(part / "manifest.json", manifest)
    for file in part.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())


def load(folder: str | Path) -> Recommender:
    """Read an artifact, verify every file's hash, and replay its golden queries.

    Raises:
        ArtifactError: it is missing, damaged, incomplete, from a newer format, or answers otherwise than when saved.
    """
    path = Path(folder)
    manifest = read_manifest(path)
    for name, expected in manifest["files"].items():
        file = path / name
        if not file.is_file():
            raise ArtifactError(
                f"The artifact {path} lacks the file {name}. Copy the whole folder again, or train anew."
            )
        if sha256(file) != expected:
            raise ArtifactError(
                f"The file {name} of the artifact {path} was changed or truncated: its sha256 is not the one in "
                "manifest.json. Copy the whole folder again, or train anew."
            )
    try:
        dataset = load_saved_dataset(path)
        retriever = load_retriever(path / "retriever", dataset.schema)
        settings = Settings.from_dict(manifest["settings"])
        names: list[str] = [name for name in settings.evaluation.baselines if (path / "baselines" / name).is_dir()]
        baselines = {name: load_retriever(path / "baselines" / name, dataset.schema) for name in names}
        index = load_index(path / "index", retriever)
        ranker = load_ranker(path / "ranker", dataset) if (path / "ranker").is_dir() else None
        report = None if manifest["report"] is None else Report.from_dict(manifest["report"])
        golden = json.loads((path / "golden.json").read_text(encoding="utf-8"))
    except (KeyError, ValueError, TypeError, OSError, pa.ArrowInvalid) as error:
        raise ArtifactError(
            f"The artifact {path} cannot be read ({type(error).__name__}: {error}). Train anew."
        ) from error
    candidates = CANDIDATES if settings.ranker is None else settings.ranker.candidates
    recommender = Recommender(
        dataset, retriever, settings, report, baselines, ranker=ranker, candidates=candidates, index=index
    )
    _replay(recommender, golden, path)
    return recommender


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest alone, without reading the rest.

    Raises:
        ArtifactError: there is none, or it is of a newer format.
    """
    path = Path(folder)
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        newer = int(manifest["format_version"]) > FORMAT_VERSION
    except FileNotFoundError:
        raise ArtifactError(
            f"There is no artifact in {path} (no manifest.json). Make one with `shortlist train CONFIG.toml --out {path}`."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"The manifest of {path} cannot be read ({error}). Copy the whole folder again.") from None
    if newer:
        raise ArtifactError(
            f"The artifact {path} has format {manifest['format_version']}, made by shortlist {manifest.get('package_version')}; "
            f"this is shortlist {version('shortlist')}, which reads formats up to {FORMAT_VERSION}. Upgrade shortlist."
        )
    return dict(manifest)


def pipeline(recommender: Recommender) -> dict[str, Any]:
    """The stages of the path, for ``pipeline.json``: ``[[rerank]]`` steps with their settings, in order."""
    stages: list[dict[str, Any]] = [
        {"stage": "encode", "retriever": "retriever"},
        {"stage": "retrieve", "index": "index"},
    ]
    if recommender.funnel.ranker is not None:
        stages.append({"stage": "rank", "ranker": "ranker", "candidates": recommender.funnel.candidates})
    stages += [{"stage": "rerank", **step.model_dump(mode="json")} for step in recommender.settings.rerank]
    return {"stages": [*stages, {"stage": "explain"}]}


def _golden(recommender: Recommender) -> list[dict[str, Any]]:
    """A few histories, from none to long, and what the models recommend for them.

    Without re-ranking, which only orders: it may be changed without a change of these.
    """
    recommender = recommender.reranked(())
    lengths = recommender.dataset.interactions.positives().lengths
    by_length = np.argsort(lengths, kind="stable")
    users = by_length[np.linspace(0, len(by_length) - 1, _NUM_GOLDEN - 1).astype(int)]
    user_ids = [None, *recommender.dataset.users.ids_of(users)]
    k = min(10, recommender.dataset.num_items)
    moment = _golden_moment(recommender.dataset)
    answers = recommender.recommend_many([Query(user_id=one, k=k, time=moment) for one in user_ids])
    return [
        {"user_id": one, "time": moment, "answer": [[item.item_id, item.score] for item in answer.items]}
        for one, answer in zip(user_ids, answers, strict=True)
    ]


def _golden_moment(dataset: Dataset) -> str | None:
    """When golden queries are asked: a moment that is kept, so that their answers do not depend on the clock."""
    if not dataset.has_time:
        return None if dataset.availability is None else f"{np.datetime64('now', 'ms')}Z"
    return f"{np.datetime64(int(dataset.interactions.timestamp.max()), 'ms')}Z"


def _replay(recommender: Recommender, golden: list[dict[str, Any]], path: Path) -> None:
    recommender = recommender.reranked(())
    for one in golden:
        k = max(1, len(one["answer"]))
        scores = np.array([score for _, score in one["answer"]])
        query = Query(user_id=one["user_id"], k=k, time=one.get("time"))
        answer = recommender.recommend(query, explain=False)
        now = np.array([item.score for item in answer.items])
        if len(now) != len(scores) or not np.allclose(now, scores, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise ArtifactError(
                f"The artifact {path} answers otherwise than when it was saved (golden query of user {one['user_id']!r}). "
                "The installed onnxruntime or numpy may not fit; reinstall shortlist's requirements, or train anew."
            )
