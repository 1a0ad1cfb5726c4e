"""The HTTP application. Every route parses, calls one function, and returns ready-made bytes."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi import Query as QueryParameter
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from shortlist.errors import QueryError
from shortlist.recommender import Query, Recommender
from shortlist.recommender.artifact import PAGE
from shortlist.service import problems, schemas
from shortlist.service.catalogue import Catalogue

STATIC = Path(__file__).parent / "static"
_PROBLEM = {
    "description": "What was wrong, what was expected, what to do (RFC 9457)",
    "content": {"application/problem+json": {}},
}
_ERRORS: dict[int | str, dict[str, Any]] = {400: _PROBLEM, 404: _PROBLEM, 422: _PROBLEM}
_POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"

Search = Annotated[str, QueryParameter(max_length=200)]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]
Where = Annotated[
    str | None, QueryParameter(max_length=2_000, description='such as: genres has "Comedy" and year >= 1990')
]
Excluded = Annotated[str, QueryParameter(max_length=100_000, description="item ids, separated by commas")]
Allowed = Annotated[
    str | None, QueryParameter(max_length=100_000, description="item ids of which alone any may come back, likewise")
]
K = Annotated[int, QueryParameter(ge=1, le=schemas.MAX_K)]


def create_app(recommender: Recommender) -> FastAPI:
    """An application over one recommender."""
    app = FastAPI(title="Shortlist", version=version("shortlist"), description="Recommendations over HTTP.")
    problems.install(app)
    catalogue = Catalogue(recommender)
    report = json.dumps({} if recommender.report is None else recommender.report.to_dict()).encode()

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        # FastAPI's own page brings scripts from elsewhere; the report has its own, stricter policy in itself
        if not request.url.path.startswith(("/docs", "/report")):
            response.headers["Content-Security-Policy"] = _POLICY
        if request.url.path.startswith("/static/"):
            response.headers["Cache-Control"] = "no-cache"  # names carry no hash: ask, and be told 304
        return response

    @app.get("/v1/recommendations/{user_id}", response_model=schemas.RecommendationResponse, responses=_ERRORS)
    def recommend_to_user(
        user_id: str, k: K = 10, exclude: Excluded = "", where: Where = None, allow: Allowed = None
    ) -> Response:
        """Recommend to a known user."""
        allowed = None if allow is None else _ids(allow)
        query = Query(user_id=user_id, k=k, exclude=_ids(exclude), where=where, allow=allowed)
        return _json(recommender.recommend(query).to_dict())

    @app.post("/v1/recommendations", response_model=schemas.RecommendationResponse, responses=_ERRORS)
    def recommend(request: schemas.RecommendationRequest) -> Response:
        """Recommend to a known user, or to anyone by a history."""
        return _json(recommender.recommend(Query(**request.model_dump())).to_dict())

    @app.get("/v1/items/{item_id}/similar", response_model=schemas.SimilarResponse, responses=_ERRORS)
    def similar(item_id: str, k: K = 10) -> Response:
        """Items of the same kind."""
        found = recommender.similar(item_id, k)
        items = recommender.dataset.items
        row = items.rows([item_id])
        item = {"item_id": items.id(int(row[0])), **recommender.display(row)[0]}
        return _json({"item": item, "items": [one.to_dict() for one in found]})

    @app.get("/v1/items", response_model=schemas.ItemsResponse, responses=_ERRORS)
    def items(search: Search = "", limit: Limit = 20) -> Response:
        """Items by words of their title; the most popular where nothing is searched."""
        return _json({"items": catalogue.items(search, limit)})

    @app.get("/v1/users", response_model=schemas.UsersResponse, responses=_ERRORS)
    def users(search: Search = "", limit: Limit = 20) -> Response:
        """Known users by the beginning of their id; the most active where nothing is searched."""
        return _json({"users": catalogue.users(search, limit)})

    @app.get("/v1/users/{user_id}", response_model=schemas.UserResponse, responses=_ERRORS)
    def user(user_id: str) -> Response:
        """A known user's features and history, oldest first."""
        return _json(catalogue.user(user_id))

    @app.get("/v1/report")
    def show_report() -> Response:
        """The evaluation, as `shortlist train --json` printed it."""
        return Response(report, media_type="application/json")

    @app.get("/report", include_in_schema=False)
    def show_report_page() -> Response:
        """The evaluation as one page that needs nothing else."""
        page = recommender.retriever.folder.parent / PAGE
        if not page.is_file():
            raise QueryError("This artifact has no report page. Train it anew to have one.")
        return FileResponse(page, headers={"Cache-Control": "no-cache"})

    @app.get("/healthz")
    def alive() -> Response:
        """The process lives."""
        return _json({"status": "ok"})

    @app.get("/readyz")
    def ready() -> Response:
        """The recommender answers."""
        if not recommender.recommend(Query(k=1), explain=False).items:
            raise QueryError("The recommender gives no item for an empty history.")
        return _json({"status": "ready", "model": recommender.retriever.name, "items": recommender.dataset.num_items})

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        """The web page."""
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _ids(text: str) -> list[str]:
    return [one for one in text.split(",") if one]


def _json(document: Any) -> Response:
    return Response(json.dumps(document, ensure_ascii=False, separators=(",", ":")), media_type="application/json")
