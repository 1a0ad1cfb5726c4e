"""``shortlist serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import err


def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve recommendations over HTTP, and the web page."""
    from shortlist.recommender.artifact import load
    from shortlist.service.server import check_port, run

    check_port(host, port)
    recommender = load(folder)
    err().print(f"Shortlist is at http://{host}:{port} (Ctrl-C ends it; the API is at /docs)")
    run(recommender, host, port)
