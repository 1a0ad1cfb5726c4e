"""For whoever runs it: does it live, can it answer, how does it fare, take the new artifact."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from shortlist.errors import QueryError
from shortlist.recommender import Query
from shortlist.service import schemas
from shortlist.service.answers import ERRORS, PROBLEM, STORE_ERRORS, reply
from shortlist.service.serving import Serving

_RELOAD: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    409: {**PROBLEM, "description": "A reload is under way"},
    500: {**PROBLEM, "description": "The new artifact cannot be used; the old one goes on"},
}


def router(serving: Serving) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/healthz")
    async def alive() -> Response:
        """The process lives."""
        return reply({"status": "ok"})

    @routes.get("/readyz", responses=STORE_ERRORS)
    def ready() -> Response:
        """The recommender answers, and the event store does."""
        recommender = serving.now.recommender
        if not recommender.recommend(Query(k=1), explain=False).items:
            raise QueryError("The recommender gives no item for an empty history.")
        if serving.events is not None:
            serving.events.check()
        events = "none" if serving.events is None else "ok"
        status = {"model": recommender.retriever.name, "items": recommender.dataset.num_items, "events": events}
        return reply({"status": "ready", **status})

    @routes.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(serving.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.post("/v1/reload", response_model=schemas.ReloadResponse, responses=_RELOAD)
    def reload() -> Response:
        """Load the artifact anew: verified first, switched in one step, and left as it was where it fails."""
        workers = serving.reload()
        recommender = serving.now.recommender
        found = {"model": recommender.retriever.name, "items": recommender.dataset.num_items, "workers": workers}
        return reply({**found, "data_fingerprint": recommender.artifact.dataset.fingerprint})

    return routes
