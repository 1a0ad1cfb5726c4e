"""``shortlist describe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, err, out, print_json, write_page


def describe(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact.")],
    page: Annotated[
        Path | None, typer.Option("--html", help="Also write the report as one self-contained page here.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """The model card: data, settings, figures, limits."""
    from shortlist.evaluation.html import render
    from shortlist.recommender.artifact import load
    from shortlist.recommender.model_card import model_card

    card = model_card(load(folder))
    if page is not None:
        write_page(page, render([(folder.resolve().name, card.to_dict())]), err())
    if json:
        print_json(card.to_dict())
    else:
        out().print(card.text())
