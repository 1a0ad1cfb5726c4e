"""``shortlist serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import RerankOption, err


def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    events: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where events are kept: sqlite:///events.db or postgresql://USER:PASSWORD@HOST/NAME; none: they are not. "
            "Default: DIR.events.db, beside the artifact.",
            envvar="SHORTLIST_EVENTS",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer; each reads the artifact.")] = 1,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="A line of JSON a request on standard error, without personal data.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="SECONDS",
            help="After so long what is popular answers in the model's place; default: never.",
        ),
    ] = None,
    rerank: RerankOption = None,
) -> None:
    """Serve recommendations over HTTP, take events, and show the web page."""
    from shortlist.service.server import Service, check_port, default_store, run

    check_port(host, port)
    store = None if events == "none" else events or default_store(folder)
    said = f"Shortlist is at http://{host}:{port} (Ctrl-C ends it; the API is at /docs)"
    service = Service(str(folder), store, workers, access_log, timeout, None if rerank is None else str(rerank))
    run(service, host, port, on_ready=lambda: err().print(said))
