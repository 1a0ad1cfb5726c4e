"""``shortlist evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, RerankOption, load, out, print_json


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact.")],
    protocol: Annotated[
        str,
        typer.Option(
            help="full: every item of the corpus competes; sampled: figures among given negatives beside it, with a warning."
        ),
    ] = "full",
    rerank: RerankOption = None,
    json: JsonFlag = False,
) -> None:
    """Measure an artifact again, through the serving path."""
    if protocol not in ("full", "sampled"):
        raise typer.BadParameter(f"expected full or sampled, got {protocol!r}", param_hint="--protocol")
    from shortlist.recommender.evaluation import evaluate as run

    report = run(load(folder, rerank), protocol)
    if json:
        print_json(report.to_dict())
    else:
        out().print(report.table())
