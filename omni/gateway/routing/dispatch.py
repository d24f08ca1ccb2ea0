"""How a request leaves for a target: in its provider's format, with the key that it is called with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from omni.contracts.routes import Operation, Provider
from omni.contracts.wire import Adapter, Headers, ModelRequest, ProviderCall, Untranslatable
from omni.gateway.access.auth import Caller
from omni.gateway.config import GatewayConfig
from omni.gateway.routing.catalogue import Catalogue
from omni.gateway.routing.failures import TryNext
from omni.gateway.routing.ways import Access, Leg, Served, Way
from omni.gateway.upstream.answers import BackendResponse
from omni.gateway.upstream.pools import BackendPool, Origins, send_to
from omni.kit.errors import Forbidden, InvalidInput, NotConfigured, UpstreamFailed

_LINES_KNOWN: Final = 1_000


class Dispatch:
    """Sends requests to providers and to the platform's own engines."""

    def __init__(
        self, catalogue: Catalogue, adapters: Mapping[str, Adapter], backends: BackendPool, config: GatewayConfig
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._catalogue = catalogue
        self._adapters = adapters
        self._backends = backends
        self.origins = Origins(config)
        self._known_lines: dict[Headers, bytes] = {}

    def access(self, caller: Caller, provider: Provider, model: str, operation: Operation) -> Access:
        """How a caller is let in at a provider. Raises TryNext where it is not."""
        if caller.key.mode != "live" and provider.kind != "backend":
            raise TryNext(
                Forbidden("test_key_not_allowed", "Test keys reach the platform's own engines only: use a live key.")
            )
        adapter = self._adapters.get(provider.kind)
        key = self._catalogue.key(caller, provider)
        if adapter is None or key is None:
            raise TryNext(
                NotConfigured("provider_not_configured", f"The provider {provider.code} has no key. Ask the operator.")
            )
        if not adapter.supports(provider, operation):
            raise TryNext(InvalidInput("operation_not_supported", f"The model {model} cannot do this.", param="model"))
        return adapter, *key

    def call(self, leg: Leg, request: ModelRequest) -> ProviderCall:
        """The request as its provider gets it. Raises TryNext for what its format cannot say."""
        try:
            return leg.adapter.call(leg.provider, leg.secret, leg.target.upstream_model, request)
        except Untranslatable as error:
            raise TryNext(InvalidInput("not_supported_by_model", str(error))) from None

    async def send(self, way: Way, served: Served) -> BackendResponse:
        """Raises OmniError or ClientGone."""
        head = way.head if served.traced is None else served.traced.head
        provider = served.leg.provider
        if provider.kind == "backend":
            return await self._backends.send(
                lambda authority: self.whole(served, b"", authority, head + way.backend_head()),
                served.deadline,
                way.watch,
            )
        origin = self.origins.get(provider.base_url)
        return await send_to(
            origin, self.whole(served, origin.path, origin.authority, head), served.deadline, way.watch
        )

    def whole(self, served: Served, path: bytes, authority: bytes, head: bytes) -> bytes:
        """The request as it goes over the wire; `path` is its server's own. Raises UpstreamFailed."""
        request, left_ms = served.call.request, int((served.deadline - served.started_at) * 1000)
        lines, body = self._known_lines.get(request.headers), request.body
        if lines is None:
            lines = self._lines(request.headers)
        return b"%b %b%b HTTP/1.1\r\nhost: %b\r\n%b%bx-request-timeout-ms: %d\r\ncontent-length: %d\r\n\r\n%b" % (
            request.method, path, request.path, authority, lines, head, left_ms if left_ms > 0 else 1, len(body), body,
        )  # fmt: skip

    def _lines(self, headers: Headers) -> bytes:
        """Header lines. Raises UpstreamFailed for what would be more than one each."""
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        if lines.count(b"\n") != len(headers):
            raise UpstreamFailed("provider_misconfigured", "The provider cannot be called.", internal="header")
        if len(self._known_lines) >= _LINES_KNOWN:
            self._known_lines.clear()
        self._known_lines[headers] = lines
        return lines
