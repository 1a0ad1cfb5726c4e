"""``shortlist train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, err, out, print_json


def _print_settings(wanted: bool) -> None:
    if not wanted:
        return
    from shortlist.settings.help import documentation

    section = None
    for current, key, default, meaning in documentation():
        if current != section and current:
            print(f"\n[{current}]")
        section = current
        print(f"{key} = {default}\n    {meaning}")
    raise typer.Exit


def train(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the artifact.")],
    config: Annotated[
        Path | None,
        typer.Argument(help="Settings (TOML); paths in it are relative to it. With --from it may be left out."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Artifact to go on from, with its settings and weights; new items, users and values start fresh. What CONFIG "
            "and --set say counts over its settings, such as --set data.interactions=grown.csv.",
        ),
    ] = None,
    events: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Store of a service whose events are part of the log: sqlite:///events.db, "
            "postgresql://USER:PASSWORD@HOST/NAME, or an SQLite file. They mean what they mean while serving ([events]).",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; repeatable."),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            min=1, help="Train with so many seeds on the same split; the best on validation is kept, all are reported."
        ),
    ] = 1,
    json: JsonFlag = False,
    help_settings: Annotated[  # noqa: ARG001 - the callback acts
        bool,
        typer.Option("--help-settings", callback=_print_settings, is_eager=True, help="Document every setting."),
    ] = False,
) -> None:
    """Fit a model, evaluate it on the test part beside baselines, and write the artifact."""
    from shortlist.settings import Settings
    from shortlist.training.requirements import require_training_packages

    if config is None and start is None:
        raise typer.BadParameter("give the settings, or an artifact to go on from with --from DIR", param_hint="CONFIG")
    settings = None if config is None or start is not None else Settings.from_toml(config, overrides or ())
    require_training_packages()
    from shortlist.training.continuation import continued_settings
    from shortlist.training.run import train as run

    if settings is None:
        assert start is not None
        settings = continued_settings(start, config, overrides or ())
    recommender = run(settings, out_dir, err(), seeds, start, events)
    assert recommender.report is not None
    if json:
        print_json(recommender.report.to_dict())
        return
    out().print(recommender.report.table())
    out().print(f"artifact: {out_dir}   report: {out_dir}/report.html   try: shortlist serve {out_dir}", style="dim")
