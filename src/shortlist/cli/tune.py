"""``shortlist tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, err, out, print_json


def tune(
    config: Annotated[Path, typer.Argument(help="Settings (TOML) to start from; paths in it are relative to it.")],
    trials: Annotated[int, typer.Option(min=1, help="End with this many finished trials, earlier ones included.")] = 30,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Begin no further trial after this long.", show_default="no limit")
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of best.toml and trials.json.", show_default="CONFIG.tune beside CONFIG"),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; repeatable."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Search the model's settings for the best validation figure; the same command again goes on."""
    from shortlist.settings import Settings
    from shortlist.training.requirements import require_training_packages

    settings = Settings.from_toml(config, overrides or ())
    require_training_packages()
    from shortlist.training.tuning import tune as run

    result = run(settings, out_dir or config.with_suffix(".tune"), trials, minutes, err())
    if json:
        print_json(result.to_dict())
        return
    out().print(result.table())
    out().print(result.summary(), soft_wrap=True)
    if result.importance:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in list(result.importance.items())[:4])
        out().print(f"what mattered most, roughly: {shares}", soft_wrap=True)
    best = result.out / "best.toml"
    out().print(
        f"settings: {best}   try: shortlist train {best} --out artifacts/{config.stem}", style="dim", soft_wrap=True
    )
