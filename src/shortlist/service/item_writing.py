"""Items in: a new or changed one, or one that is gone. 2xx is said when it is on disk and in this worker's next answer."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, Field

from shortlist.errors import EventError, ItemError
from shortlist.events.event import MAX_ID, plain_id
from shortlist.events.items import ItemChange
from shortlist.service import schemas
from shortlist.service.answers import PROBLEM, STORE_ERRORS, reply
from shortlist.service.serving import Serving

_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": True,
                "description": "all columns of the item, by their names in answers or in the item table; what is left out is "
                "missing. Beside them available_from and available_until: ISO 8601, seconds or milliseconds.",
                "example": {"title": "Heat (1995)", "genres": ["Action", "Crime"], "year": 1995},
            }
        }
    },
}


class PutItemResponse(BaseModel):
    """The item as it is from now on."""

    item: schemas.ItemModel
    created: Annotated[bool, Field(description="whether there was none before")]
    revision: Annotated[int, Field(description="grows with every change of any item")]
    placed_by: Annotated[str, Field(description="what its vector is from: training, item_tower or content_neighbours")]


class DeletedItemResponse(BaseModel):
    """An item that is in no answer any more."""

    item_id: schemas.Id
    revision: int


def router(serving: Serving) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["items"])

    @routes.put(
        "/v1/items/{item_id:path}",
        response_model=PutItemResponse,
        responses={**STORE_ERRORS, 201: {"model": PutItemResponse}, 409: PROBLEM},
        openapi_extra={"requestBody": _BODY},
    )
    async def put_item(item_id: str, request: Request) -> Response:
        """A new item, or all columns of one that is there; searchable when this is answered, on other workers within a second."""
        body = await request.body()
        return await run_in_threadpool(_put, serving, item_id, body)

    @routes.delete("/v1/items/{item_id:path}", response_model=DeletedItemResponse, responses=STORE_ERRORS)
    def delete_item(item_id: str) -> Response:
        """Take an item out of all answers, also one that the artifact knows; PUT brings it back. May be sent again."""
        name, items = _name(serving, item_id), serving.artifact.recommender.dataset.items
        serving.follow_items()
        if serving.last_change(name) is None:
            items.row(name)  # says if there is no such item
        return reply({"item_id": items.typed(name), "revision": _kept(serving, name, None).revision})

    return routes


def _put(serving: Serving, item_id: str, body: bytes) -> Response:
    name, live = _name(serving, item_id), serving.artifact.items
    columns = live.check(name, _document(body))
    serving.follow_items()
    before = serving.now.recommender
    created = name not in before.dataset.items or before.dataset.items.row(name) in before.withdrawn
    change = _kept(serving, name, columns)
    now = serving.now.recommender
    row = now.dataset.items.rows([name])  # −1: the store kept it, but did not answer since
    item = {"item_id": now.dataset.items.typed(name), **(now.display(row)[0] if row[0] >= 0 else columns)}
    told = {"created": created, "revision": change.revision, "placed_by": live.placed_by(name)}
    return reply({"item": item, **told}, 201 if created else 200)


def _kept(serving: Serving, name: str, columns: dict[str, Any] | None) -> ItemChange:
    """Keep a change; one that says what was said last is there already."""
    last = serving.last_change(name)
    if last is not None and last.columns == columns:
        return last
    change = serving.store.items.put(name, columns)
    serving.metrics.item_changes.labels("deleted" if columns is None else "put").inc()
    serving.follow_items(change)
    return change


def _name(serving: Serving, item_id: str) -> str:
    """The id as the store keeps it.

    Raises:
        StoreError: there is no store.
        ItemError: it is no id.
    """
    if serving.store is not None:
        with suppress(EventError):
            return plain_id(item_id, "item_id")
    raise ItemError(f"item_id: expected 1 to {MAX_ID} printable characters, got {item_id[:80]!r}.")


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ItemError("body: expected JSON: an object with the item's columns.") from None
