"""Other re-ranking for a saved artifact: a settings edit, no training; and everything else stays as it is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shortlist.data.splitting import split
from shortlist.errors import ArtifactError
from shortlist.evaluation.html import render
from shortlist.recommender.artifact import (
    MANIFEST,
    PAGE,
    PIPELINE,
    load,
    pipeline,
    read_manifest,
)
from shortlist.recommender.folders import exchange, sha256, write_json
from shortlist.recommender.model_card import model_card
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.stage_evaluation import evaluate_stages, learned_from
from shortlist.recommender.tradeoff import Tradeoff
from shortlist.settings import RerankSettings, Settings


def reshape(folder: str | Path, steps: Sequence[RerankSettings]) -> Recommender:
    """Put ``[[rerank]]`` steps into an artifact in place of those it has, and judge the stages anew.

    What changes: ``settings`` and ``report`` in the manifest, ``pipeline.json``, ``report.html``, and their hashes. Models,
    data and golden answers (which are those of the models) stay the same files. The new folder takes the old one's
    place in one step.

    Args:
        folder: of the artifact.
        steps: in order; none: the list as the models leave it.

    Returns:
        The artifact, loaded.

    Raises:
        ArtifactError: it cannot be used or written.
        SettingsError: a step does not fit its data; nothing was changed.
    """
    recommender = load(folder).reranked(steps)
    if recommender.report is not None:
        recommender.report = recommender.report.with_stages(_stages(recommender))
    return _rewritten(Path(folder), recommender)


def keep_tradeoff(folder: str | Path, curve: Tradeoff) -> Recommender:
    """Put a curve into an artifact's report, where its page draws it. Other re-ranking takes it out again.

    Raises:
        ArtifactError: it has no report, or cannot be used or written.
    """
    recommender = load(folder)
    if recommender.report is None:
        raise ArtifactError(
            f"The artifact {folder} has no report to put the curve into. Train it with `shortlist train`."
        )
    recommender.report = recommender.report.with_tradeoff(curve.step, curve.to_dict())
    return _rewritten(Path(folder), recommender)


def steps_of(path: Path) -> tuple[RerankSettings, ...]:
    """The ``[[rerank]]`` steps of a settings file, whatever else it holds.

    Raises:
        SettingsError: it cannot be read, or holds what is no setting.
    """
    return Settings.from_toml(path).rerank


def _stages(recommender: Recommender) -> dict[str, object]:
    settings = recommender.settings
    parts = split(recommender.dataset, settings.split, settings.seed)
    log = learned_from(parts, refit=settings.training.refit)
    return evaluate_stages(recommender, parts.test, log)


def _rewritten(target: Path, recommender: Recommender) -> Recommender:
    """The artifact with this recommender's steps and report, in place of its own in one step."""
    part = Path(tempfile.mkdtemp(prefix=f".{target.resolve().name}.part-", dir=target.resolve().parent))
    try:
        shutil.copytree(target, part, copy_function=_link, dirs_exist_ok=True)
        _edit(part, recommender, target.resolve().name)
        part.chmod(0o755)
        exchange(part, target)
    except OSError as error:
        raise ArtifactError(
            f"Cannot change the artifact {target}: {error.strerror}. Check free space and permissions."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return load(target)


def _edit(part: Path, recommender: Recommender, name: str) -> None:
    manifest = read_manifest(part)
    for file in (PIPELINE, PAGE, MANIFEST):
        (part / file).unlink(missing_ok=True)  # a link to the old artifact's file, which must stay as it is
    write_json(part / PIPELINE, pipeline(recommender))
    (part / PAGE).write_text(render([(name, model_card(recommender).to_dict())]), encoding="utf-8")
    files = {**manifest["files"], **{file: sha256(part / file) for file in (PIPELINE, PAGE)}}
    report = None if recommender.report is None else recommender.report.to_dict()
    settings = {**manifest["settings"], "rerank": recommender.settings.to_dict()["rerank"]}
    write_json(part / MANIFEST, {**manifest, "settings": settings, "files": files, "report": report})
    for file in (PIPELINE, PAGE, MANIFEST):
        with (part / file).open("rb") as opened:
            os.fsync(opened.fileno())


def _link(source: str, target: str) -> None:
    """The same file under another name, where the file system can; else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
