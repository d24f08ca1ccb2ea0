"""What the public port answers without a key: liveness, readiness, the API description and static pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import orjson

from omni.contracts.docs import page_headers
from omni.contracts.endpoints import ENDPOINTS
from omni.gateway.edge.errors import JSON, MethodNotAllowed
from omni.gateway.edge.exchange import Exchange
from omni.gateway.edge.openapi import with_own_routes
from omni.gateway.edge.routes import Routes
from omni.gateway.upstream.pools import BackendPool
from omni.kit.errors import OmniError, Unavailable

_OPENAPI_SECONDS = 30.0
_OPENAPI_TIMEOUT_SECONDS = 5.0
_OPENAPI_LIMIT_BYTES = 8 * 1024 * 1024

Checks = Callable[[], dict[str, bool]]


def readiness(checks: dict[str, bool]) -> tuple[int, bytes]:
    """Status and JSON body of `/readyz`."""
    ready = all(checks.values())
    return (200 if ready else 503), orjson.dumps({"status": "ready" if ready else "not_ready", "checks": checks})


LIVE_BODY = b'{"status":"live"}'


def _header_lines(html: bytes) -> bytes:
    return b"".join(f"{name}: {value}\r\n".encode("ascii") for name, value in page_headers(html).items())


class PublicPages:
    """Answers every path that is not an API route."""

    def __init__(self, routes: Routes, backends: BackendPool, checks: Checks, static: Mapping[str, bytes]) -> None:
        self._routes = routes
        self._backends = backends
        self._checks = checks
        self._static = {path.encode("ascii"): (_header_lines(html), html) for path, html in static.items()}
        self._loop = asyncio.get_running_loop()
        self._openapi = b""
        self._openapi_until = 0.0
        self._openapi_read = asyncio.Lock()

    async def answer(self, exchange: Exchange) -> None:
        """Raises NotFound or MethodNotAllowed for what is no page either."""
        path = exchange.path
        static = self._static.get(path)
        if static is None and path not in (b"/livez", b"/readyz", b"/openapi.json"):
            self._routes.match(exchange.method, path)
            return
        if exchange.method != b"GET":
            raise MethodNotAllowed("GET")
        if static is not None:
            exchange.respond(200, *static)
        elif path == b"/livez":
            exchange.respond(200, JSON, LIVE_BODY)
        elif path == b"/readyz":
            status, body = readiness(self._checks())
            exchange.respond(status, JSON, body)
        else:
            exchange.respond(200, JSON + b"cache-control: max-age=30\r\n", await self._read_openapi())

    async def _read_openapi(self) -> bytes:
        async with self._openapi_read:
            if self._loop.time() >= self._openapi_until:
                self._openapi = await self._fetch_openapi()
                self._openapi_until = self._loop.time() + _OPENAPI_SECONDS
            return self._openapi

    async def _fetch_openapi(self) -> bytes:
        unavailable = Unavailable("openapi_unavailable", "The API description cannot be read just now.")
        try:
            answer = await self._backends.send(
                lambda authority: (
                    b"GET /openapi.json HTTP/1.1\r\nhost: %b\r\naccept: application/json\r\n\r\n" % authority
                ),
                self._loop.time() + _OPENAPI_TIMEOUT_SECONDS,
                lambda _: None,
            )
            body = await answer.read_whole(_OPENAPI_LIMIT_BYTES)
        except OmniError:
            raise unavailable from None
        if answer.status != 200:
            raise unavailable
        return with_own_routes(body, ENDPOINTS)
