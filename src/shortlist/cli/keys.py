"""``shortlist keys``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, err, out, print_json

app = typer.Typer(help="API keys of the service: shortlist serve DIR --keys FILE.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="File of keys, such as keys.toml.")]
Name = Annotated[str, typer.Option(help="Whose key it is: letters, digits, _ and -.")]


@app.command("add")
def add(
    file: File,
    name: Name,
    scopes: Annotated[
        str,
        typer.Option(
            help="What it may, with commas between: read (recommendations, items, users, map, report), write (events), "
            "admin (all: also reload, deleting, figures)."
        ),
    ] = "read",
    json: JsonFlag = False,
) -> None:
    """Make a key and print it, this once; the file keeps its hash."""
    from shortlist.service.keys import add_key

    wanted = [scope.strip() for scope in scopes.split(",")]
    key = add_key(file, name, wanted)
    if json:
        print_json({"name": name, "scopes": wanted, "key": key})
        return
    print(key)
    err().print(f"This is the key of {name}: keep it now, it cannot be shown again.", soft_wrap=True)


@app.command("list")
def list_keys(file: File, json: JsonFlag = False) -> None:
    """Names and scopes; the keys themselves are nowhere."""
    from rich.table import Table

    from shortlist.service.keys import read_keys

    keys = read_keys(file)
    if json:
        print_json([{"name": k.name, "scopes": k.scopes, "created": k.created and str(k.created)} for k in keys])
        return
    table = Table("name", "scopes", "created")
    for key in keys:
        table.add_row(key.name, ", ".join(key.scopes), str(key.created or ""))
    out().print(table)


@app.command("remove")
def remove(file: File, name: Name, json: JsonFlag = False) -> None:
    """Forget a key; a running service does so within about a second."""
    from shortlist.service.keys import remove_key

    remove_key(file, name)
    if json:
        print_json({"removed": name})
    else:
        out().print(f"removed {name}")
