"""``shortlist events``."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, out, print_json

app = typer.Typer(help="What was kept while serving.", no_args_is_help=True)

Store = Annotated[
    str,
    typer.Option(
        "--events",
        metavar="URL",
        help="The store: sqlite:///events.db, postgresql://USER:PASSWORD@HOST/NAME, or an SQLite file.",
        envvar="SHORTLIST_EVENTS",
    ),
]
_DAYS = {"h": 1 / 24, "d": 1, "w": 7, "y": 365.25}


@app.command("export")
def export(
    file: Annotated[Path, typer.Option("--out", metavar="FILE.parquet", help="File to write.")],
    events: Store,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only events from then on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only events before.")] = None,
    json: JsonFlag = False,
) -> None:
    """Write events to a Parquet file that `shortlist train` reads: user_id, item_id, event, timestamp, value."""
    from shortlist.data.moments import milliseconds
    from shortlist.events import EventStore
    from shortlist.events.export import export as run

    first = None if since is None else int(milliseconds(since, "since"))
    last = None if until is None else int(milliseconds(until, "until"))
    with EventStore(events, create=False) as store:
        rows = run(store, file, first, last)
    if json:
        print_json({"file": str(file), "events": rows})
    else:
        out().print(f"{file}: {rows:,} events", soft_wrap=True)


@app.command("prune")
def prune(
    older_than: Annotated[str, typer.Option(metavar="AGE", help="Such as 12h, 90d, 8w or 2y.")],
    events: Store,
    json: JsonFlag = False,
) -> None:
    """Delete events that happened longer ago, and what experiments showed then; what they said counts no more."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([hdwy])", older_than)
    if match is None:
        raise typer.BadParameter(
            f"expected an age such as 12h, 90d, 8w or 2y, got {older_than!r}", param_hint="--older-than"
        )
    from shortlist.events import EventStore
    from shortlist.experiments.exposures import prune as prune_exposures

    before = time.time() - float(match[1]) * _DAYS[match[2]] * 86_400
    with EventStore(events, create=False) as store:
        deleted = store.prune(int(before * 1000))
        exposures = prune_exposures(store, int(before * 1000))
        left = store.count()
    if json:
        print_json({"deleted": deleted, "left": left, "deleted_exposures": exposures})
    else:
        out().print(f"deleted {deleted:,} events and {exposures:,} exposures, {left:,} events are left")
