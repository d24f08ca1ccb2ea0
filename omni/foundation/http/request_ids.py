"""Request ids, trace context and the last safety net, as one pure ASGI middleware."""

from __future__ import annotations

import time
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omni.kit.ids import uuid7
from omni.telemetry.metrics import HttpMetrics
from omni.telemetry.traces import Tracing


def request_id_of(request: Request) -> str:
    """The id that this request is known by; the same that its response carries."""
    return str(request.scope.get("request_id", ""))


class RequestContext:
    """Gives each request an id (the gateway's, when it sent one), a span, log context and metrics."""

    def __init__(self, app: ASGIApp, tracing: Tracing, metrics: HttpMetrics, trust_request_id: bool) -> None:
        self._app = app
        self._tracing = tracing
        self._metrics = metrics
        self._trust_request_id = trust_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value for name, value in scope["headers"] if name in (b"x-request-id", b"traceparent")}
        request_id = self._request_id(headers.get(b"x-request-id"))
        scope["request_id"] = request_id
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        started = time.perf_counter()
        with self._tracing.server_span(scope["method"], headers.get(b"traceparent", b"").decode("latin-1")) as span:
            structlog.contextvars.bind_contextvars(request_id=request_id)
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:  # noqa: BLE001 - `problems` has logged it; past here nobody knows the request
                span.fail(error)
            finally:
                route = getattr(scope.get("route"), "path", "unknown")
                span.finish_http(scope["method"], route, status)
                self._metrics.observe(scope["method"], route, status, time.perf_counter() - started, span.kept_trace_id)
                structlog.contextvars.unbind_contextvars("request_id")

    def _request_id(self, sent: bytes | None) -> str:
        if sent and self._trust_request_id:
            try:
                return str(UUID(sent.decode("ascii")))
            except ValueError:
                pass
        return str(uuid7())
