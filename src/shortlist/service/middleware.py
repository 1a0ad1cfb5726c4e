"""Around every request: limits, headers, figures, and a line in the log. Plain ASGI, since it is on the hot path."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from shortlist.service.metrics import Metrics
from shortlist.service.problems import problem

MAX_BODY = 4 * 1024 * 1024
POLICY = b"default-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}  # any other word comes from outside
_READING = {"GET", "HEAD", "OPTIONS"}
LOG = logging.getLogger("shortlist.access")

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Edge:
    """The outermost layer of the application.

    Args:
        app: what answers.
        metrics: requests are counted by their route (``/v1/users/{user_id}``), never by their path.
        access_log: whether each request becomes one line of JSON on the logger ``shortlist.access``: method, route,
            status, milliseconds and a random id that the answer bears, too; no address, no path, no id of anybody.
    """

    def __init__(self, app: App, metrics: Metrics, *, access_log: bool = False) -> None:
        self.app, self.metrics, self.access_log = app, metrics, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, request_id = time.perf_counter(), 500, secrets.token_hex(8)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_headers(scope["path"], request_id)]
            await send(message)

        try:
            if _is_foreign(scope):
                await _from_elsewhere()(scope, receive, sending)
            elif _announced(scope) > MAX_BODY:
                await _too_large()(scope, receive, sending)
            else:
                await self.app(scope, _limited(receive), sending)
        finally:
            self._account(scope, status, time.perf_counter() - began, request_id)

    def _account(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path_format", None) or "other"
        method = scope["method"] if scope["method"] in METHODS else "other"
        self.metrics.requests.labels(method, route, str(status)).inc()
        self.metrics.request_seconds.labels(route).observe(seconds)
        if self.access_log:
            line = {"time": round(time.time(), 3), "method": method, "route": route, "status": status}
            LOG.info(json.dumps({**line, "ms": round(seconds * 1000, 2), "request_id": request_id}))


def _headers(path: str, request_id: str) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-request-id", request_id.encode()),
    ]
    # FastAPI's own page brings scripts from elsewhere; the report has its own, stricter policy in itself
    if not path.startswith(("/docs", "/report")):
        headers.append((b"content-security-policy", POLICY))
    if path.startswith("/static/"):
        headers.append((b"cache-control", b"no-cache"))  # names carry no hash: ask, and be told 304
    return headers


def _is_foreign(scope: Scope) -> bool:
    """Whether a page of another origin has a browser send what changes something: a plain POST needs nobody's leave."""
    if scope["method"] in _READING:
        return False
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"://")[2].lower() != headers.get(b"host", b"").lower()


def _from_elsewhere() -> Any:
    return problem(
        403,
        "Another origin",
        "A page of another origin may not ask this of the service. Send it from a server, without an Origin header, or from the "
        "service's own page; a proxy in between has to pass the Host header on as it came.",
    )


def _announced(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0


def _limited(receive: Receive) -> Receive:
    taken = 0

    async def receiving() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY:
            raise HTTPException(413, "Request too large")  # more than was announced
        return message

    return receiving


def _too_large() -> Any:
    return problem(
        413, "Request too large", f"The body has more than {MAX_BODY // 1024 // 1024} MiB. Send it in several requests."
    )
