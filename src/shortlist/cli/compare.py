"""``shortlist compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, err, out, print_json, write_page


def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR DIR ...", help="Artifacts.")],
    page: Annotated[Path | None, typer.Option("--html", help="Also write one self-contained page here.")] = None,
    json: JsonFlag = False,
) -> None:
    """Artifacts beside each other: who is better on the same queries, and how surely."""
    from shortlist.recommender.comparison import compare as run

    comparison = run(folders)
    if page is not None:
        write_page(page, comparison.page(), err())
    if json:
        print_json(comparison.to_dict())
    else:
        out().print(comparison.text())
