"""What verbs print: people read tables; ``--json`` prints exactly one document on standard output."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shortlist.cli.explained import percent
from shortlist.errors import ArtifactError
from shortlist.recommender.query import Recommendation

if TYPE_CHECKING:
    from shortlist.recommender import Recommender

JsonFlag = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on standard output, all else on standard error."),
]

RerankOption = Annotated[
    Path | None,
    typer.Option(
        "--rerank", metavar="CONFIG", help="Settings (TOML) whose [[rerank]] tables count instead, this once."
    ),
]


def load(folder: Path, rerank: Path | None) -> Recommender:
    """An artifact, with other re-ranking where a settings file is given."""
    from shortlist.recommender.artifact import load as load_artifact
    from shortlist.recommender.reshaping import steps_of

    recommender = load_artifact(folder)
    return recommender if rerank is None else recommender.reranked(steps_of(rerank))


def out() -> Console:
    """For the answer."""
    return Console(highlight=False)


def err() -> Console:
    """For progress."""
    return Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """Exactly one document."""
    print(json.dumps(document, ensure_ascii=False))


def write_page(path: Path, page: str, console: Console) -> None:
    """Write a page, whole or not at all, and say where it is."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"Cannot write the page {path}: {error.strerror}. Check the folder and permissions."
        ) from None
    console.print(f"report: {path}", style="dim")


def item_table(items: Sequence[Recommendation], title: str) -> Table:
    """A list of items for people: whatever columns they have, and why."""
    columns = list(dict.fromkeys(name for item in items for name in item.display if name != "title"))
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", justify="right", style="dim")
    table.add_column("id", style="cyan")
    if any("title" in item.display for item in items):
        table.add_column("title", style="bold")
    for name in columns:
        table.add_column(name, style="dim")
    table.add_column("score", justify="right")
    stages = list(items[0].places) if items else []
    if stages:
        table.add_column("place after " + ", ".join(stages), style="dim")
    if any(item.reasons for item in items):
        table.add_column("because of")
    for item in items:
        cells = [str(item.rank), str(item.item_id)]
        cells += [item.title] if "title" in item.display else []
        cells += [_cell(item.display.get(name)) for name in columns]
        cells.append(f"{item.score:.3f}")
        cells += [" → ".join(str(item.places[stage] or "–") for stage in stages)] if stages else []
        if any(one.reasons for one in items):
            cells.append("; ".join(f"{reason.text} {percent(reason.share)}" for reason in item.reasons))
        table.add_row(*cells)
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
