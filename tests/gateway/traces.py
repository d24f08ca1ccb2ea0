"""A collector of traces, and gateways that export to it."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from omni.gateway.app import Gateway
from omni.telemetry.request_spans import OtlpRequestSpans
from tests.gateway.conftest import StartGateway
from tests.gateway.support import ControlPlane, RedisServer, Tenant, ask


class Collector:
    """An OTLP/HTTP collector that keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[ResourceSpans] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.path == "/v1/traces"
                collector.received += ExportTraceServiceRequest.FromString(body).resource_spans
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def spans(self, service: str) -> list[Span]:
        return [
            span
            for group in self.received
            if any(a.key == "service.name" and a.value.string_value == service for a in group.resource.attributes)
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Traced:
    """A gateway that exports, with a tenant to ask it."""

    def __init__(self, gateway: Gateway, spans: OtlpRequestSpans, tenant: Tenant) -> None:
        self.gateway, self.spans, self.tenant = gateway, spans, tenant
        self.port = gateway.ports.public

    async def scrape(self) -> str:
        """The gateway's metrics."""
        return (await ask(self.gateway.ports.metrics, "GET", "/metrics")).body.decode()

    async def finish(self) -> None:
        """Drains the gateway and sends what waits."""
        await self.gateway.drain(1)
        await asyncio.to_thread(self.spans.close)


async def traced(
    endpoint: str, redis: RedisServer, control: ControlPlane, start: StartGateway, ratio: float = 1.0, **changes: Any
) -> Traced:
    spans = OtlpRequestSpans("gateway", "1", endpoint, ratio)
    return Traced(await start(redis.url, spans=spans, **changes), spans, await control.tenant())


def attributes(span: Span) -> dict[str, str | int | bool]:
    return {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in span.attributes}
