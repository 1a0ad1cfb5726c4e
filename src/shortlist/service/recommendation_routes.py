"""Lists for people, with what they did a moment ago."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi import Query as QueryParameter
from fastapi.responses import Response

from shortlist.recommender import Query
from shortlist.service import schemas
from shortlist.service.answers import ERRORS, K
from shortlist.service.quick_road import QuickRoad, sent
from shortlist.service.serving import Serving

Where = Annotated[
    str | None, QueryParameter(max_length=2_000, description='such as: genres has "Comedy" and year >= 1990')
]
Excluded = Annotated[str, QueryParameter(max_length=100_000, description="item ids, separated by commas")]
Allowed = Annotated[
    str | None, QueryParameter(max_length=100_000, description="item ids of which alone any may come back, likewise")
]
Seen = Annotated[Literal["remove", "keep"], QueryParameter(description="whether what the user has may come back")]
Exposed = Annotated[
    bool, QueryParameter(description="false: the person will not see the list; an experiment keeps no exposure")
]


def router(serving: Serving) -> APIRouter:
    """The routes."""
    road = QuickRoad(serving)
    routes = APIRouter(route_class=road.route())

    @routes.get("/v1/recommendations/{user_id:path}", response_model=schemas.RecommendationResponse, responses=ERRORS)
    def recommend_to_user(
        request: Request,
        user_id: str,
        k: K = 10,
        exclude: Excluded = "",
        where: Where = None,
        allow: Allowed = None,
        seen: Seen = "remove",
        explain: schemas.Explain = "reasons",
        expose: Exposed = True,
    ) -> Response:
        """Recommend to a user: one of the artifact, or of whom there are events."""
        allowed = None if allow is None else _ids(allow)
        query = Query(user_id=user_id, k=k, exclude=_ids(exclude), where=where, allow=allowed, seen=seen)
        answer = serving.answer(query, explain=explain, exposed=expose)
        road.learn(request, query, explain)
        return sent(answer)

    @routes.post("/v1/recommendations", response_model=schemas.RecommendationResponse, responses=ERRORS)
    def recommend(request: schemas.RecommendationRequest) -> Response:
        """Recommend to a known user, or to anyone by a history; re-ranked as the artifact says, or by the steps given."""
        found = serving.answer(request.query(), explain=request.explain, exposed=request.expose, rerank=request.rerank)
        return sent(found)

    return routes


def _ids(text: str) -> list[str | int]:
    return [one for one in text.split(",") if one]
