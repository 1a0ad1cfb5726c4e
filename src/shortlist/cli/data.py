"""``shortlist data``."""

from __future__ import annotations

from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, out, print_json

app = typer.Typer(help="Data sets Shortlist knows; files are looked for in $SHORTLIST_DATA.", no_args_is_help=True)


@app.command("list")
def list_known(json: JsonFlag = False) -> None:
    """The known data sets, and where they are."""
    from rich.table import Table

    from shortlist.data.sources import KNOWN

    rows = [
        {
            "name": one.name,
            "title": one.title,
            "licence": one.licence,
            "path": None if one.path() is None else str(one.path()),
        }
        for one in KNOWN.values()
    ]
    if json:
        print_json(rows)
        return
    table = Table("name", "what", "licence", "folder")
    for row in rows:
        table.add_row(row["name"], row["title"], row["licence"], row["path"] or "not found")
    out().print(table)


@app.command("path")
def path(name: Annotated[str, typer.Argument(help="Name of a data set.")], json: JsonFlag = False) -> None:
    """The folder of one data set."""
    from shortlist.data.sources import folder_of

    folder = folder_of(name)
    if json:
        print_json({"name": name, "path": str(folder)})
    else:
        print(folder)
