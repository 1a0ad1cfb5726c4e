"""``shortlist rerank``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, out, print_json


def rerank(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact.")],
    config: Annotated[
        Path | None,
        typer.Argument(
            help="Settings (TOML) whose [[rerank]] tables take the place of the artifact's; left out: print the artifact's."
        ),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take all re-ranking steps out of the artifact.")] = False,
    json: JsonFlag = False,
) -> None:
    """Show or change how an artifact re-ranks; nothing is trained, and its models stay as they are."""
    if clear and config is not None:
        raise typer.BadParameter("give CONFIG or --clear, not both", param_hint="--clear")
    from shortlist.recommender.artifact import load
    from shortlist.recommender.reshaping import reshape, steps_of

    changes = clear or config is not None
    steps = () if config is None else steps_of(config)
    recommender = reshape(folder, steps) if changes else load(folder)
    present = [step.model_dump(mode="json") for step in recommender.settings.rerank]
    stages = {} if recommender.report is None else recommender.report.to_dict()["stages"]
    if json:
        print_json({"rerank": present, "stages": stages})
        return
    if not present:
        out().print("no re-ranking: the list is as the models leave it")
    for step in present:
        shown = ", ".join(
            f"{key} = {value}" for key, value in step.items() if key != "step" and value not in (None, [])
        )
        out().print(f"{step['step']:<12} {shown}", soft_wrap=True)
    if stages:
        from shortlist.evaluation.stage_table import stage_table

        out().print(stage_table(stages))
