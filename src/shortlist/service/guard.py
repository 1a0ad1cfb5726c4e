"""Who may ask what, and how often: decided before a request is read. Plain ASGI, since it is on the hot path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response

from shortlist.service.answers import PROBLEM
from shortlist.service.keys import ADMIN, READ, WRITE, Key, Keyring
from shortlist.service.limits import Limits
from shortlist.service.metrics import Metrics
from shortlist.service.middleware import App, Receive, Scope, Send
from shortlist.service.problems import problem

OPEN = frozenset({"/", "/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"})
"""Paths that anybody may get, and all below ``/static/``: they say nothing of users or items."""

RULES: Sequence[tuple[str, str, str]] = (
    ("GET", "/v1/recommendations", READ),
    ("POST", "/v1/recommendations", READ),
    ("GET", "/v1/items", READ),
    ("GET", "/v1/tags", READ),
    ("GET", "/v1/users", READ),
    ("GET", "/v1/map", READ),
    ("POST", "/v1/map", READ),
    ("GET", "/v1/shape", READ),
    ("POST", "/v1/shape", READ),
    ("GET", "/v1/report", READ),
    ("GET", "/report", READ),
    ("POST", "/v1/events", WRITE),
    ("PUT", "/v1/items", ADMIN),
    ("DELETE", "/v1/items", ADMIN),
    ("DELETE", "/v1/users", ADMIN),
    ("POST", "/v1/reload", ADMIN),
    ("GET", "/metrics", ADMIN),
    ("GET", "/v1/live", ADMIN),
)
"""Method, path (with all below it), scope. What stands nowhere needs ``admin``: a forgotten route is a closed one."""


def rule(method: str, path: str) -> str | None:
    """The scope that the rules give, None where they are silent; ``open`` for what anybody may get.

    >>> rule("GET", "/v1/users/7"), rule("DELETE", "/v1/users/7"), rule("HEAD", "/static/app.js")
    ('read', 'admin', 'open')
    >>> rule("GET", "/v1/usersx") is None
    True
    """
    method = "GET" if method == "HEAD" else method
    if method == "GET" and (path in OPEN or path.startswith("/static/")):
        return "open"
    for verb, prefix, scope in RULES:
        if verb == method and (path == prefix or path.startswith(f"{prefix}/")):
            return scope
    return None


class Guard:
    """Refuses what has no key, not the right one, or comes too often.

    Args:
        app: what answers.
        metrics: refusals are counted by their reason.
        keys: who may ask; None: anybody may.
        limits: how often each key may, or each address where there is no key; None: as often as it likes.
    """

    def __init__(self, app: App, metrics: Metrics, keys: Keyring | None, limits: Limits | None) -> None:
        self.app, self.metrics, self.keys, self.limits = app, metrics, keys, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        needed = rule(scope["method"], scope["path"].removeprefix(scope.get("root_path", "")))
        if needed == "open":
            return None
        token = bearer(scope["headers"])
        key = self.keys.find(token) if self.keys is not None and token is not None else None
        if self.limits is not None:
            wait = self.limits.wait(_address(scope) if key is None else f"key {key.name}")
            if wait > 0:
                return self._refuse("rate", _too_many(self.limits, wait))
        if self.keys is None or (key is not None and key.may(needed or ADMIN)):
            return None
        if key is None:
            return self._refuse("key", _unknown(token))
        return self._refuse("scope", _forbidden(key, needed or ADMIN))

    def _refuse(self, reason: str, answer: Response) -> Response:
        self.metrics.refused.labels(reason).inc()
        return answer


def bearer(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """The key that a request bears: bytes of any kind, since anything can come; None where there is not exactly one.

    >>> bearer([(b"authorization", b"Bearer abc")]), bearer([(b"authorization", b"Basic abc")])
    (b'abc', None)
    """
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        return None
    scheme, _, token = values[0].strip().partition(b" ")
    return token.strip() or None if scheme.lower() == b"bearer" else None


def describe(app: FastAPI) -> None:
    """Say in OpenAPI that keys are asked for, and which scope each operation needs."""
    plain = app.openapi

    def with_keys() -> dict[str, Any]:
        schema = plain()
        schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["key"] = {"type": "http", "scheme": "bearer", "description": "A key of `shortlist keys add`."}
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                needed = rule(method.upper(), path) or ADMIN
                if needed != "open":
                    operation["security"] = [{"key": []}]
                    said = {"401": "No key, or an unknown one", "403": f"The key has not the scope {needed}"}
                    operation["responses"] |= {status: {**PROBLEM, "description": why} for status, why in said.items()}
        return schema

    app.openapi = with_keys  # type: ignore[method-assign]


def describe_limits(app: FastAPI) -> None:
    """Say in OpenAPI that there may be too many requests."""
    plain = app.openapi

    def with_limits() -> dict[str, Any]:
        schema = plain()
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                if rule(method.upper(), path) != "open":
                    operation["responses"]["429"] = {**PROBLEM, "description": "Too many requests: see Retry-After"}
        return schema

    app.openapi = with_limits  # type: ignore[method-assign]


def _address(scope: Scope) -> str:
    client = scope.get("client") or ("",)
    return f"address {client[0][:64]}"  # a proxy's header says it, so it could be of any length


def _unknown(token: bytes | None) -> Response:
    how = "Send it as the header Authorization: Bearer KEY (`shortlist keys add` makes one)."
    if token is None:
        answer = problem(401, "Key needed", f"This service asks for an API key. {how}")
    else:
        answer = problem(401, "Unknown key", f"This key is not known here: it was removed or mistyped. {how}")
    answer.headers["WWW-Authenticate"] = 'Bearer realm="shortlist"' + (', error="invalid_token"' if token else "")
    return answer


def _forbidden(key: Key, needed: str) -> Response:
    answer = problem(
        403,
        "Scope missing",
        f"The key {key.name!r} has the scope {' and '.join(key.scopes)}; this needs {needed}. Use a key that has it: "
        f"`shortlist keys add FILE --name NAME --scopes {needed}` makes one.",
    )
    answer.headers["WWW-Authenticate"] = f'Bearer realm="shortlist", error="insufficient_scope", scope="{needed}"'
    return answer


def _too_many(limits: Limits, wait: float) -> Response:
    seconds = math.ceil(wait)
    answer = problem(
        429,
        "Too many requests",
        f"At most {limits.rate:g} requests a second are answered, {limits.burst:g} at once. Ask again in {seconds} s, "
        "and send events as lists.",
    )
    answer.headers["Retry-After"] = str(seconds)
    return answer
