"""``shortlist similar``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, item_table, out, print_json


def similar(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact.")],
    item: Annotated[str, typer.Option(help="The item's id.")],
    k: Annotated[int, typer.Option("-k", help="Items wanted.")] = 10,
    json: JsonFlag = False,
) -> None:
    """Items whose vectors point the same way."""
    import numpy as np

    from shortlist.recommender.artifact import load

    recommender = load(folder)
    found = recommender.similar(item, k)
    row = recommender.dataset.items.row(item)
    shown = recommender.display(np.array([row]))[0]
    if json:
        item_id = recommender.dataset.items.id(row)
        print_json({"item": {"item_id": item_id, **shown}, "items": [one.to_dict() for one in found]})
    else:
        out().print(item_table(found, f"similar to {shown.get('title', item)}"))
