"""What happens right now, for whoever runs it: figures since the start, and the latest events."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as QueryParameter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from shortlist.errors import StoreError
from shortlist.service import schemas
from shortlist.service.answers import ERRORS, reply
from shortlist.service.live_figures import live_figures
from shortlist.service.metrics import SECONDS
from shortlist.service.serving import Serving

Newest = Annotated[int, QueryParameter(ge=0, le=200, description="how many of the newest events are given")]
ByLabel = dict[str, int]


class LatestEvent(schemas.ItemModel):
    """An event as it arrived."""

    sequence: Annotated[int, Field(description="in the order of arrival")]
    user_id: schemas.Id
    event: str
    meaning: str | None
    timestamp: Annotated[int, Field(description="when it happened, milliseconds since 1970")]
    value: float | None = None


class HistogramModel(BaseModel):
    """How long something took."""

    count: int
    sum: Annotated[float, Field(description="seconds")]
    buckets: Annotated[list[int], Field(description="how many up to each of `bounds`, the last: longer")]


class LiveResponse(BaseModel):
    """Totals since the service was started; two answers make a rate."""

    instance: Annotated[str, Field(description="of which server the figures are: all its workers say the same")]
    time: float
    started: Annotated[float, Field(description="seconds since 1970")]
    workers: int
    model: str
    items: int
    events_store: Annotated[str, Field(description="ok, none, or unavailable")]
    bounds: Annotated[list[float], Field(description="seconds")]
    requests: list[dict[str, Any]]
    queries: ByLabel
    fallbacks: ByLabel
    refused: ByLabel
    events: ByLabel
    reloads: ByLabel
    repeated_events: int
    store_errors: int
    request_seconds: dict[str, HistogramModel]
    stage_seconds: dict[str, HistogramModel]
    commit_seconds: dict[str, HistogramModel]
    exposure: Annotated[dict[str, Any], Field(description="by band of popularity: learned, shown, taken, drift")]
    latest: list[LatestEvent]


def router(serving: Serving) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["live"])

    @routes.get("/v1/live", response_model=LiveResponse, responses=ERRORS)
    def show_live(events: Newest = 30) -> Response:
        """The figures of `/metrics` as JSON, of all workers together, and the newest events of the store."""
        now, metrics = serving.now, serving.metrics
        state, latest = _latest(serving, events)
        about = {
            "instance": _instance(serving),
            "time": round(time.time(), 3),
            "started": round(serving.started, 3),
            "workers": 1 if serving.peers is None else serving.peers.count,
            "model": now.recommender.retriever.name,
            "items": now.recommender.dataset.num_items,
            "events_store": state,
            "bounds": list(SECONDS),
        }
        return reply({**about, **live_figures(metrics.families(), now.bands), "latest": latest})

    return routes


def _instance(serving: Serving) -> str:
    """Tells the servers behind one address apart, and says nothing of where they run."""
    process = os.getpid() if serving.peers is None else os.getppid()
    return hashlib.sha256(f"{socket.gethostname()}:{process}".encode()).hexdigest()[:12]


def _latest(serving: Serving, limit: int) -> tuple[str, list[dict[str, Any]]]:
    """How the store is, and its newest events with what is shown of their items."""
    if serving.events is None:
        return "none", []
    try:
        found = serving.events.latest(limit) if limit else []
    except StoreError:
        return "unavailable", []
    now = serving.now
    dataset, meanings = now.recommender.dataset, now.live.meanings
    rows = dataset.items.rows([one.item_id for one in found])
    shown = iter(now.recommender.display(rows[rows >= 0]))
    latest = []
    for row, one in zip(rows.tolist(), found, strict=True):
        item = (
            {"item_id": dataset.items.id(row), **next(shown)}
            if row >= 0
            else {"item_id": dataset.items.typed(one.item_id)}
        )
        what = {"event": one.event, "meaning": meanings(one.event, one.value), "timestamp": one.timestamp}
        value = {} if one.value is None else {"value": one.value}
        latest.append({**item, "sequence": one.sequence, "user_id": dataset.users.typed(one.user_id), **what, **value})
    return "ok", latest
