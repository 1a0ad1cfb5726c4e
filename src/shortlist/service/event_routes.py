"""Events in: 2xx is said after they are on disk, never before."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as QueryParameter
from fastapi.responses import Response

from shortlist.errors import EventError, ShortlistError, StoreError, did_you_mean
from shortlist.events import Event
from shortlist.events.event import plain_id
from shortlist.service import schemas
from shortlist.service.answers import STORE_ERRORS, reply
from shortlist.service.serving import Serving

MAX_EVENTS = 1_000
_PATIENCE_SECONDS = 15
_FIELDS = tuple(schemas.EventModel.model_fields)
_REQUIRED = ("user_id", "item_id", "event")
_SCHEMA = schemas.EventModel.model_json_schema()
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"oneOf": [_SCHEMA, {"type": "array", "items": _SCHEMA, "minItems": 1, "maxItems": MAX_EVENTS}]}
        }
    },
}
Strict = Annotated[
    bool, QueryParameter(description="refuse items the artifact does not know, and keep none of the list")
]


def router(serving: Serving) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.post(
        "/v1/events",
        status_code=201,
        response_model=schemas.EventsResponse,
        responses=STORE_ERRORS,
        openapi_extra={"requestBody": _BODY},
    )
    async def add_events(request: Request, strict: Strict = False) -> Response:
        """Keep one event or a list: all of them, or none. Answered when they are durable."""
        store = serving.store
        events = read_events(await request.body())
        unknown = _unknown_items(serving, events)
        if strict and unknown:
            raise EventError(
                f"item_id: {len(unknown)} items are not known ({', '.join(unknown[:5])}). Leave them out, or send without "
                "strict=true: such events are kept for the next training."
            )
        try:
            kept = await asyncio.wait_for(asyncio.wrap_future(store.submit(events)), _PATIENCE_SECONDS)
        except TimeoutError:
            serving.metrics.store_errors.inc()
            raise StoreError("The event store is too slow. Send the events again, with an event_id each.") from None
        except StoreError:
            serving.metrics.store_errors.inc()
            raise
        _count(serving, [one for one in events if one.event_id in kept.new], kept.repeated)
        ids = [one.event_id for one in events]
        found = {"accepted": len(events), "repeated": kept.repeated, "event_ids": ids, "unknown_items": unknown}
        return reply(found, 201)

    @routes.delete("/v1/users/{user_id:path}", response_model=schemas.DeletedResponse, responses=STORE_ERRORS)
    def delete_user(user_id: str) -> Response:
        """Delete all events of a user; what the artifact says of them no longer counts."""
        deleted = serving.store.delete_user(plain_id(user_id, "user_id"))
        shown = serving.now.recommender.dataset.users.typed(user_id)
        return reply({"user_id": shown, "deleted_events": deleted})

    return routes


def read_events(body: bytes) -> list[Event]:
    """The body of a request → checked events.

    Raises:
        EventError: names the event by its place in the list, the field, and what was expected.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise EventError("body: expected JSON: one event, or a list of them.") from None
    if not isinstance(document, list):
        return [_event(document, "")]
    if not 1 <= len(document) <= MAX_EVENTS:
        raise EventError(f"body: expected 1 to {MAX_EVENTS:,} events, got {len(document):,}.")
    return [_event(one, f"[{place}].") for place, one in enumerate(document)]


def _event(document: Any, place: str) -> Event:
    if not isinstance(document, dict):
        raise EventError(f"{place or 'body '}: expected an event as an object, got {str(document)[:80]!r}.")
    for name in _REQUIRED:
        if name not in document:
            raise EventError(f"{place}{name}: it is missing. An event has {', '.join(_REQUIRED)}.")
    for name in document:
        if name not in _FIELDS:
            raise EventError(f"{place}{name}: an event has no such field; {did_you_mean(name, _FIELDS)}.")
    try:
        return Event.of(**document)
    except ShortlistError as error:
        raise EventError(f"{place}{error}") from None


def _unknown_items(serving: Serving, events: list[Event]) -> list[str]:
    names = list(dict.fromkeys(one.item_id for one in events))
    rows = serving.now.recommender.dataset.items.rows(names)
    return [name for name, row in zip(names, rows.tolist(), strict=True) if row < 0]


def _count(serving: Serving, new: list[Event], repeated: int) -> None:
    now = serving.now
    meant = [now.live.meanings(one.event, one.value) or "other" for one in new]
    for meaning in meant:
        serving.metrics.events.labels(meaning).inc()
    taken = [one.item_id for one, meaning in zip(new, meant, strict=True) if meaning in ("liked", "taken")]
    if taken:
        serving.metrics.taken.add(now.bands.of_texts(taken))
    serving.metrics.repeated_events.inc(repeated)
