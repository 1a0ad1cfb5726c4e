"""What all routes share: ready-made bytes, and how problems are described."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query as QueryParameter
from fastapi.responses import Response

from shortlist.recommender.query import encoded
from shortlist.service import schemas

PROBLEM: dict[str, Any] = {
    "description": "What was wrong, what was expected, what to do (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
ERRORS: dict[int | str, dict[str, Any]] = dict.fromkeys((400, 404, 422), PROBLEM)
STORE_ERRORS: dict[int | str, dict[str, Any]] = {**ERRORS, 503: PROBLEM}

K = Annotated[int, QueryParameter(ge=1, le=schemas.MAX_K)]


def reply(document: Any, status: int = 200) -> Response:
    """A document as JSON."""
    return Response(encoded(document), status, media_type="application/json")
