"""Errors as problem JSON (RFC 9457)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from shortlist.errors import ShortlistError
from shortlist.recommender.query import encoded
from shortlist.service.answers import PROBLEM


def problem(status: int, title: str, detail: str) -> Response:
    """One problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(encoded(body), status, media_type="application/problem+json")


_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what was wrong and where, what was expected, what to do"},
    },
}


def install(app: FastAPI) -> None:
    """Answer every error of ours, of validation and of routing with a problem document."""

    @app.exception_handler(ShortlistError)
    def ours(_: Request, error: ShortlistError) -> Response:
        answer = problem(error.status, error.title, str(error))
        if error.status == 503:
            answer.headers["Retry-After"] = "1"
        return answer

    @app.exception_handler(Exception)
    def unforeseen(_: Request, error: Exception) -> Response:
        return problem(500, "Internal error", f"{type(error).__name__}. The server's log says more.")

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        return problem(422, "Invalid request", "; ".join(_explain(one) for one in error.errors()) + ". See /docs.")

    @app.exception_handler(HTTPException)
    def routing(request: Request, error: HTTPException) -> Response:
        answer = problem(
            error.status_code,
            str(error.detail),
            f"{request.method} {request.url.path}: {error.detail}. See /docs.",
        )
        answer.headers.update(error.headers or {})
        return answer


def describe(app: FastAPI) -> None:
    """Say in OpenAPI what a problem is, and which ones any operation may end in besides its own."""
    plain = app.openapi

    def with_problems() -> dict[str, Any]:
        schema = plain()
        parts = schema.setdefault("components", {}).setdefault("schemas", {})
        parts["Problem"] = _SCHEMA
        for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own form of what is invalid
            parts.pop(unused, None)
        for operations in schema["paths"].values():
            for method, operation in operations.items():
                answers = operation["responses"]
                if "application/json" in answers.get("422", {}).get("content", {}):
                    answers["422"] = PROBLEM
                said = {"500": "A failure of the service itself; its log says more"}
                if method != "get":
                    said["403"] = "Sent by a page of another origin"
                if "requestBody" in operation:
                    said["413"] = "The body is too long"
                for status, why in said.items():
                    answers.setdefault(status, {**PROBLEM, "description": why})
        return schema

    app.openapi = with_problems  # type: ignore[method-assign]


def _explain(error: dict[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"body: expected JSON, got something else at character {error['loc'][-1]} ({error['ctx']['error']})"
    where = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))
    got = f", got {str(error['input'])[:80]!r}" if "input" in error and error["type"] != "missing" else ""
    return f"{where or 'body'}: {error['msg'][0].lower()}{error['msg'][1:]}{got}"
