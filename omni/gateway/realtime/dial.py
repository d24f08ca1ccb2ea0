"""Opens a WebSocket at one of a model's targets: who is tried, and what answers to the handshake mean."""

from __future__ import annotations

import asyncio
import base64
import math
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools

from omni.contracts.routes import ModelRoute, Provider, Target
from omni.contracts.wire import ProviderRequest
from omni.gateway.access.auth import Caller
from omni.gateway.config import GatewayConfig
from omni.gateway.edge.exchange import Watched
from omni.gateway.edge.handshake import accept_key
from omni.gateway.metrics import Calls
from omni.gateway.observers import Observers
from omni.gateway.routing.attempts import Attempts
from omni.gateway.routing.catalogue import Catalogue
from omni.gateway.routing.failures import provider_failed, retry_after
from omni.gateway.routing.health import Call
from omni.gateway.routing.router import Ask, provider_limited
from omni.gateway.upstream.answers import ClientGone, deadline_exceeded
from omni.kit.errors import InvalidInput, LimitExceeded, NotConfigured, OmniError, UpstreamFailed
from omni.providers.formats.chat import error_answer
from omni.providers.openai.realtime import opening, supports_realtime

_HEAD_LIMIT_BYTES = 64 * 1024
_ERROR_LIMIT_BYTES = 64 * 1024
_MISCONFIGURED = frozenset((401, 403, 404))


@dataclass(frozen=True, slots=True)
class Wish:
    """A session that is wanted at one of a model's targets."""

    model: ModelRoute
    caller: Caller
    ask: Callable[[], Ask]
    deadline: float
    """Loop time until when it has to be open."""
    watch: Callable[[Watched], None]
    head: bytes
    """Header lines for every provider: trace context, request id."""
    beta: bool


@dataclass(slots=True)
class Line:
    """An open WebSocket to a provider, whose reading is paused."""

    target: Target
    own_key: bool
    """Whether the tenant's own key opened it."""
    dial: Dial
    rest: bytes
    """What came behind the answer's head."""
    calls: Calls
    """Where it is counted."""

    def transport(self) -> asyncio.Transport:
        """Raises UpstreamFailed when it is lost meanwhile."""
        if self.dial.transport is None:
            raise provider_failed("the connection was lost before the session began")
        return self.dial.transport


class ProviderSays(OmniError):
    """The provider's own refusal, for the client to read."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__("provider_refused", "The provider refuses the session.", internal=f"status {status}")
        self.answer_status = status
        self.body = body


class Dial(asyncio.Protocol):
    """The handshake on one connection. Ends with a status, headers, and a body or what follows a 101."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.serial = 1
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = bytearray()
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        """What comes behind the head of a 101; else empty, once the body is whole."""
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0

    def abort_request(self, serial: int, error: Exception) -> None:
        """Ends the handshake, and the connection."""
        del serial
        self._fail(error)
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None
        self._fail(provider_failed("connection lost within the handshake"))

    def _fail(self, error: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)

    def data_received(self, data: bytes) -> None:
        if self.answered.done():
            return
        try:
            if self._head_bytes > _HEAD_LIMIT_BYTES:
                raise provider_failed("head too large")
            self._head_bytes += len(data) if not self.status else 0
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            assert self.transport is not None
            self.transport.pause_reading()
            self.answered.set_result(data[upgrade.args[0] :])
        except (httptools.HttpParserError, UpstreamFailed) as error:
            self.abort_request(1, provider_failed(f"unreadable handshake: {error}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in self.headers and name.startswith(b"sec-websocket-"):
            raise provider_failed("repeated header")
        self.headers[name] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == 101 and not self._parser.should_upgrade():
            raise provider_failed("101 without an upgrade")
        if status < 200 and status != 101:
            self.headers.clear()
        else:
            self.status = status

    def on_body(self, data: bytes) -> None:
        self.body += data
        if len(self.body) > _ERROR_LIMIT_BYTES:
            raise provider_failed("error too large")

    def on_message_complete(self) -> None:
        if self.status >= 200 and not self.answered.done():
            self.answered.set_result(b"")


class Dialler:
    """Opens sessions, and keeps the book of how targets fare together with `Attempts`."""

    def __init__(self, catalogue: Catalogue, attempts: Attempts, observers: Observers, config: GatewayConfig) -> None:
        self._catalogue = catalogue
        self._attempts = attempts
        self._metrics = observers.metrics
        self._logger = observers.logger
        self._loop = asyncio.get_running_loop()
        self._connect_timeout_seconds = config.connect_timeout_seconds
        self._tls: ssl.SSLContext | None = None

    async def open(self, wish: Wish) -> Line:
        """The first target's that takes the session. Raises OmniError when none does, or ClientGone."""
        failure: OmniError | None = None
        for target in self._attempts.router.targets(wish.model, wish.ask):
            try:
                return await self._try(wish, target)
            except ProviderSays:
                raise
            except OmniError as error:
                failure = error
        assert failure is not None
        raise failure

    async def _try(self, wish: Wish, target: Target) -> Line:
        provider = self._catalogue.provider(target.provider)
        if not supports_realtime(provider):
            raise InvalidInput("operation_not_supported", f"The model {wish.model.name} cannot do this.", param="model")
        key = self._catalogue.key(wish.caller, provider)
        if key is None:
            raise NotConfigured(
                "provider_not_configured", f"The provider {provider.code} has no key. Ask the operator."
            )
        request = opening(provider, key[0], target.upstream_model, beta=wish.beta)
        health = self._attempts.health.of(target.id).start()
        started = self._loop.time()
        self._metrics.provider_calls.add(provider.code)
        try:
            async with asyncio.timeout_at(min(wish.deadline, started + target.timeout_seconds)):
                dial, rest = await self._shake_hands(wish, provider, request)
            self._judge(dial, health, target, key[0])
        except (ClientGone, asyncio.CancelledError, ProviderSays, LimitExceeded):
            health.given_up()
            raise
        except (OmniError, TimeoutError, OSError) as error:
            health.failed(self._loop.time())
            self._metrics.provider_failures.add(provider.code)
            self._logger.warning("target_failed", target=target.id, reason=repr(error))
            if isinstance(error, TimeoutError):
                raise deadline_exceeded() from None
            raise (error if isinstance(error, OmniError) else provider_failed(repr(error))) from None
        self._metrics.calls.first_byte.add(self._loop.time() - started)
        health.succeeded(self._loop.time(), self._loop.time() - started)
        return Line(target, key[1], dial, rest, self._metrics.calls.of("realtime", provider))

    async def _shake_hands(self, wish: Wish, provider: Provider, request: ProviderRequest) -> tuple[Dial, bytes]:
        place = urlsplit(provider.base_url)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise UpstreamFailed("provider_misconfigured", "The provider cannot be called.", internal="base URL")
        nonce = base64.b64encode(os.urandom(16))
        lines = b"".join([b"%b: %b\r\n" % header for header in request.headers])
        if lines.count(b"\n") != len(request.headers):
            raise UpstreamFailed("provider_misconfigured", "The provider cannot be called.", internal="header")
        path = place.path.rstrip("/").encode("ascii") + request.path
        head = (
            b"GET %b HTTP/1.1\r\nhost: %b\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: %b\r\n%b%b\r\n"
        ) % (path, place.netloc.encode("ascii"), nonce, lines, wish.head)
        tls = self._context() if place.scheme == "https" else None
        async with asyncio.timeout(self._connect_timeout_seconds):
            transport, dial = await self._loop.create_connection(
                Dial, place.hostname, place.port or (443 if tls else 80), ssl=tls
            )
        try:
            wish.watch(dial)
            transport.write(head)
            rest = await dial.answered
            if dial.status == 101 and not _agrees(dial.headers, nonce):
                raise provider_failed("a handshake that does not answer ours")
        except BaseException:
            transport.abort()
            raise
        return dial, rest

    def _judge(self, dial: Dial, health: Call, target: Target, key: str) -> None:
        """What an answer says of the target. Raises what the client is told of anything but a 101."""
        status = dial.status
        if status == 101:
            return
        if dial.transport is not None:
            dial.transport.abort()
        if status == 429:
            seconds = retry_after(dial.headers.get(b"retry-after", b""))
            health.limited(self._loop.time(), seconds)
            raise provider_limited(math.ceil(seconds))
        if status in _MISCONFIGURED:
            self._logger.error("provider_refuses_us", target=target.id, status=status)
            raise UpstreamFailed("provider_misconfigured", "The provider refuses the platform's request.")
        if not 400 <= status < 500:
            raise provider_failed(f"status {status} in place of 101")
        answer = error_answer(status, bytes(dial.body), key)
        raise ProviderSays(answer.status, answer.body)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _agrees(headers: dict[bytes, bytes], nonce: bytes) -> bool:
    return (
        headers.get(b"upgrade", b"").lower() == b"websocket"
        and headers.get(b"sec-websocket-accept") == accept_key(nonce)
        and b"sec-websocket-extensions" not in headers
        and b"sec-websocket-protocol" not in headers
    )
