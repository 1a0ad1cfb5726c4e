"""``shortlist describe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, out, print_json


def describe(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact.")],
    json: JsonFlag = False,
) -> None:
    """The model card: data, settings, figures, limits."""
    from shortlist.recommender.artifact import load
    from shortlist.recommender.model_card import model_card

    card = model_card(load(folder))
    if json:
        print_json(card.to_dict())
    else:
        out().print(card.text())
