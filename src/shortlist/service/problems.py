"""Errors as problem JSON (RFC 9457)."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from shortlist.errors import ShortlistError


def problem(status: int, title: str, detail: str) -> Response:
    """One problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(json.dumps(body, ensure_ascii=False), status, media_type="application/problem+json")


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


def _explain(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))
    got = f", got {str(error['input'])[:80]!r}" if "input" in error and error["type"] != "missing" else ""
    return f"{where or 'body'}: {error['msg'][0].lower()}{error['msg'][1:]}{got}"
