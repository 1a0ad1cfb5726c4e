"""Spans for OpenTelemetry, where it is set up: one for each request, and in it one for each stage of its answer."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from shortlist.recommender import Answer
from shortlist.service.middleware import METHODS, App, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


def found() -> Tracer | None:
    """What makes spans; None where OpenTelemetry is not installed, or nobody has said where spans go."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    provider = trace.get_tracer_provider()
    is_nobody = isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider))
    return None if is_nobody else provider.get_tracer("shortlist", version("shortlist"))


class Traced:
    """A span for each request, within that of who asked (``traceparent``).

    It has the method, the route (``/v1/users/{user_id}``) and the status; no path, no address, nobody's id.

    Args:
        app: what answers.
        tracer: see ``found``.
    """

    def __init__(self, app: App, tracer: Tracer) -> None:
        self.app, self.tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, StatusCode

        method = scope["method"] if scope["method"] in METHODS else "other"
        within = extract({name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]})
        # what an exception says may hold what somebody sent
        with self.tracer.start_as_current_span(
            method, within, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            status = 500

            async def sending(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await self.app(scope, receive, sending)
            finally:
                route = getattr(scope.get("route"), "path_format", None) or "other"
                span.update_name(f"{method} {route}")
                span.set_attributes(
                    {"http.request.method": method, "http.route": route, "http.response.status_code": status}
                )
                if status >= 500:
                    span.set_status(StatusCode.ERROR)


def trace_stages(tracer: Tracer | None, answer: Answer) -> None:
    """A span for each stage of an answer that was just made.

    Stages say how long they took, one after the other; so their spans are laid end to end up to now.
    """
    if tracer is None or "remembered" in answer.stages:
        return
    timed = {name: stage for name, stage in answer.stages.items() if "seconds" in stage}
    begin = time.time_ns() - int(1e9 * sum(stage["seconds"] for stage in timed.values()))
    for name, stage in timed.items():
        end = begin + int(1e9 * stage["seconds"])
        plain = {
            f"shortlist.{key}": one for key, one in stage.items() if isinstance(one, (str, int)) and key != "seconds"
        }
        tracer.start_span(name, start_time=begin, attributes=plain).end(end)
        begin = end
