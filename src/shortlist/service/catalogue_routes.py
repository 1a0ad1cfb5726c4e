"""Users as people look for them, items of the same kind, and the report."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameter
from fastapi.responses import Response

from shortlist.service import schemas
from shortlist.service.answers import ERRORS, K, reply
from shortlist.service.serving import Serving

Search = Annotated[str, QueryParameter(max_length=200)]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]


def router(serving: Serving) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/v1/items/{item_id:path}/similar", response_model=schemas.SimilarResponse, responses=ERRORS)
    def similar(item_id: str, k: K = 10) -> Response:
        """Items of the same kind."""
        recommender = serving.now.recommender
        found = recommender.similar(item_id, k)
        items = recommender.dataset.items
        row = items.rows([item_id])
        item = {"item_id": items.id(int(row[0])), **recommender.display(row)[0]}
        return reply({"item": item, "items": [one.to_dict() for one in found]})

    @routes.get("/v1/users", response_model=schemas.UsersResponse, responses=ERRORS)
    def users(search: Search = "", limit: Limit = 20) -> Response:
        """Users of the artifact by the beginning of their id; the most active where nothing is searched."""
        return reply({"users": serving.now.catalogue.users(search, limit)})

    @routes.get("/v1/users/{user_id:path}", response_model=schemas.UserResponse, responses=ERRORS)
    def user(user_id: str) -> Response:
        """A user's features, and history with live events, oldest first."""
        now = serving.now
        return reply(now.catalogue.user(user_id, now.live.known(user_id)))

    @routes.get("/v1/report")
    def show_report() -> Response:
        """The evaluation, as `shortlist train --json` printed it."""
        return Response(serving.now.report, media_type="application/json")

    return routes
