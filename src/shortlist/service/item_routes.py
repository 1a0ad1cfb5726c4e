"""Items over HTTP: search, one item with its past, and who would like it."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter
from fastapi import Query as QueryParameter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from shortlist.recommender import Recommender
from shortlist.recommender.audience import Audience
from shortlist.service import schemas
from shortlist.service.answers import ERRORS, reply
from shortlist.service.item_search import ItemSearch, Sort
from shortlist.service.kept import Kept
from shortlist.service.serving import Serving

PERIODS = 48  # into which an item's past is cut

Search = Annotated[str, QueryParameter(max_length=200)]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]
Offset = Annotated[int, QueryParameter(ge=0, le=10_000_000, description="matches to skip")]
Tag = Annotated[str | None, QueryParameter(max_length=200, description="only items that have it: see /v1/tags")]
Sorting = Annotated[Sort, QueryParameter(description="relevance: where words of the title begin, then popularity")]
Fans = Annotated[int, QueryParameter(ge=1, le=100)]


class ItemsResponse(schemas.ItemsResponse):
    """Items found: one page of them."""

    total: Annotated[int, Field(description="matches on all pages")]


class TagsResponse(BaseModel):
    """Values of the feature by which items are filtered."""

    feature: str | None
    tags: list[dict[str, Any]]


class Taken(BaseModel):
    """How often an item was taken."""

    total: int
    liked: int
    disliked: int
    start: Annotated[int | None, Field(description="of the first period, seconds since 1970; null: no times are known")]
    end: int | None
    counts: Annotated[list[int], Field(description="in periods of equal length, over the whole data")]


class ItemResponse(BaseModel):
    """One item and its past."""

    item: schemas.ItemModel
    taken: Taken


class FanModel(BaseModel):
    """A user who would like the item."""

    user_id: schemas.Id
    score: float
    lift: Annotated[float, Field(description="standard deviations above their scores of other items")]
    place: Annotated[int, Field(description="of the item among what they have not taken")]
    history_length: int


class AudienceResponse(BaseModel):
    """Users who would like an item and have not taken it, by how far its score stands out of their others."""

    item: schemas.ItemModel
    users: list[FanModel]
    users_asked: int


def router(serving: Serving) -> APIRouter:
    """Routes about the items of the recommender that answers now."""
    routes = APIRouter(tags=["items"])
    searches: Kept[ItemSearch] = Kept(ItemSearch, lambda known, recommender: ItemSearch(recommender, known))
    audiences: Kept[Audience] = Kept(Audience, Audience.over)

    @routes.get("/v1/items", response_model=ItemsResponse, responses=ERRORS)
    def items(
        search: Search = "", limit: Limit = 20, offset: Offset = 0, sort: Sorting = "relevance", tag: Tag = None
    ) -> Response:
        """Items by words of their title and columns; the most popular where nothing is searched."""
        found, total = searches.of(serving.now.recommender).find(search, tag, sort, limit, offset)
        return reply({"items": found, "total": total})

    @routes.get("/v1/tags", response_model=TagsResponse)
    def tags(limit: Limit = 50) -> Response:
        """The values by which items can be filtered, the most frequent first."""
        search = searches.of(serving.now.recommender)
        return reply({"feature": search.feature, "tags": search.tags(limit)})

    @routes.get("/v1/items/{item_id:path}/audience", response_model=AudienceResponse, responses=ERRORS)
    def audience(item_id: str, k: Fans = 10) -> Response:
        """Known users who would like the item and have not taken it."""
        recommender = serving.now.recommender
        asked = audiences.of(recommender)
        fans = [vars(fan) for fan in asked.of(item_id, k)]
        shown = searches.of(recommender).shown(np.array([recommender.item_row(item_id)]))[0]
        return reply({"item": shown, "users": fans, "users_asked": asked.num_users})

    # after its kin: an id may hold slashes, and this route would take theirs
    @routes.get("/v1/items/{item_id:path}", response_model=ItemResponse, responses=ERRORS)
    def item(item_id: str) -> Response:
        """One item: its columns, and how often it was taken over time."""
        recommender = serving.now.recommender
        row = recommender.item_row(item_id)
        shown = searches.of(recommender).shown(np.array([row]))[0]
        return reply({"item": shown, "taken": _taken(recommender, row)})

    return routes


def _taken(recommender: Recommender, row: int) -> dict[str, Any]:
    log = recommender.dataset.interactions
    mine = np.flatnonzero(log.item_idx == row)
    counts: dict[str, Any] = {
        "total": len(mine),
        "liked": int(log.in_history[mine].sum()),
        "disliked": int(log.disliked[mine].sum()),
    }
    if not recommender.dataset.has_time or not len(log):
        return {**counts, "start": None, "end": None, "counts": []}
    span = int(log.timestamp.min()), int(log.timestamp.max())
    per_period, _ = np.histogram(log.timestamp[mine], PERIODS, (span[0], max(span[1], span[0] + 1)))
    return {**counts, "start": span[0] // 1000, "end": span[1] // 1000, "counts": per_period.tolist()}
