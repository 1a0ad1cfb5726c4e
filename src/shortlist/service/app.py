"""The HTTP application. Every route parses, calls one function, and returns ready-made bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from shortlist.errors import QueryError
from shortlist.events import EventStore
from shortlist.experiments.settings import ExperimentSettings
from shortlist.recommender import Recommender
from shortlist.recommender.artifact import PAGE
from shortlist.service import (
    catalogue_routes,
    event_routes,
    item_routes,
    item_writing,
    live_routes,
    map_routes,
    operation_routes,
    problems,
    recommendation_routes,
    shape_routes,
    tracing,
)
from shortlist.service.guard import Guard, describe, describe_limits
from shortlist.service.keys import Keyring
from shortlist.service.limits import Limits
from shortlist.service.middleware import Edge
from shortlist.service.peers import Peers
from shortlist.service.serving import Serving

STATIC = Path(__file__).parent / "static"
# FastAPI's own spans bear paths, and with them ids of people
_SILENT: Any = {"tracing": False, "metrics": False, "logs": False}


def create_app(
    recommender: Recommender,
    events: EventStore | None = None,
    *,
    load: Callable[[], Recommender] | None = None,
    peers: Peers | None = None,
    access_log: bool = False,
    timeout: float | None = None,
    keys: Keyring | None = None,
    rate: float | None = None,
    experiment: ExperimentSettings | None = None,
) -> FastAPI:
    """An application over one recommender and one event store.

    Args:
        recommender: what answers.
        events: where events go, and what every answer reads; None: none are kept. It is closed with the application.
        load: reads the artifact anew, for ``POST /v1/reload``.
        peers: the other workers of one server.
        access_log: whether each request becomes a line of the log.
        timeout: seconds the model may take before what is popular answers.
        keys: who may ask; None: anybody may.
        rate: requests a second each key may ask of this worker, or each address without keys; None: any number.
        experiment: arms between which users are dealt; it needs ``events``.
    """
    serving = Serving(recommender, events, load, peers, timeout, experiment)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        serving.start()
        yield
        serving.close()

    app = FastAPI(
        title="Shortlist",
        version=version("shortlist"),
        description="Recommendations over HTTP.",
        lifespan=lifespan,
        telemetry=_SILENT,
    )
    if keys is not None or rate is not None:
        limits = None if rate is None else Limits(rate)
        app.add_middleware(Guard, metrics=serving.metrics, keys=keys, limits=limits)
    app.add_middleware(Edge, metrics=serving.metrics, access_log=access_log)
    tracer = tracing.found()
    if tracer is not None:
        app.add_middleware(tracing.Traced, tracer=tracer)
    problems.install(app)
    for routes in (
        recommendation_routes,
        event_routes,
        catalogue_routes,
        item_writing,
        item_routes,
        map_routes,
        shape_routes,
        live_routes,
        operation_routes,
    ):
        app.include_router(routes.router(serving))

    @app.get("/report", include_in_schema=False)
    def show_report_page() -> Response:
        """The evaluation as one page that needs nothing else."""
        page = serving.now.recommender.retriever.folder.parent / PAGE
        if not page.is_file():
            raise QueryError("This artifact has no report page. Train it anew to have one.")
        return FileResponse(page, headers={"Cache-Control": "no-cache"})

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        """The web page."""
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    problems.describe(app)
    if keys is not None:
        describe(app)
    if rate is not None:
        describe_limits(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
