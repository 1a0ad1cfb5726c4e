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
    experiment: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Experiment (TOML) whose arms users are dealt to; needs an event store."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="API keys, made by `shortlist keys add FILE`; needed to listen beyond this machine. "
            "Default: whoever reaches the service may do anything.",
            envvar="SHORTLIST_KEYS",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="N",
            help="Requests a second that one key (without keys: one address) may ask of each worker, twice as many at "
            "once; default: any number.",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without keys: something else asks for them.")
    ] = False,
) -> None:
    """Serve recommendations over HTTP, take events, and show the web page."""
    from shortlist.service.server import Service, check_exposure, check_port, default_store, run

    check_exposure(host, None if keys is None else str(keys), insecure)
    check_port(host, port)
    if experiment is not None and events == "none":
        raise typer.BadParameter("an experiment keeps what it showed in the event store", param_hint="--events")
    store = None if events == "none" else events or default_store(folder)
    said = f"Shortlist is at http://{host}:{port} (Ctrl-C ends it; the API is at /docs)"
    service = Service(
        str(folder),
        store,
        workers,
        access_log,
        timeout,
        rerank=None if rerank is None else str(rerank),
        keys=None if keys is None else str(keys),
        rate=rate,
        experiment=None if experiment is None else str(experiment),
    )
    run(service, host, port, on_ready=lambda: err().print(said))
