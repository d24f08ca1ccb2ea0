"""The main path: authenticate → admit → route → forward → settle."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final
from uuid import UUID

from omni.contracts.delegation import DELEGATION_HEADER, Delegation, InvalidDelegation
from omni.contracts.money import ANY_MODEL
from omni.contracts.principal import PRINCIPAL_HEADER
from omni.contracts.quotes import cost_nanos
from omni.gateway.access.auth import NO_QUOTE, Authenticator, Caller, check_caller, credential_of, invalid_key
from omni.gateway.admission.charges import in_batch
from omni.gateway.admission.ledger import Ledger, Refused, Ticket, give_back, one_request
from omni.gateway.admission.limits import Reserved
from omni.gateway.config import GatewayConfig
from omni.gateway.edge.bodies import pieces
from omni.gateway.edge.errors import error_body, error_headers, unrecorded
from omni.gateway.edge.exchange import Exchange
from omni.gateway.edge.handshake import Opening
from omni.gateway.edge.public import PublicPages
from omni.gateway.edge.routes import Route, unknown_route
from omni.gateway.express import Express
from omni.gateway.extras import Kept
from omni.gateway.models import ModelService
from omni.gateway.observers import Observers
from omni.gateway.overload import OVERLOADED, WAIT, LoadGuard, overloaded, waited_seconds
from omni.gateway.realtime.service import RealtimeService
from omni.gateway.relay import outcome_of, passed_headers, relay
from omni.gateway.routing.ways import Engines
from omni.gateway.upstream.answers import BackendResponse, ClientGone
from omni.kit.clock import unix_micros
from omni.kit.errors import OmniError
from omni.telemetry.spans import RequestSpan, RequestSpans

DELEGATION: Final = DELEGATION_HEADER.encode("ascii")
_PRINCIPAL_LINE: Final = PRINCIPAL_HEADER.encode("ascii")
_FORWARDED: Final = (b"content-type", b"accept", b"idempotency-key")
_CLIENT_CLOSED_STATUS: Final = 499
_UPLOAD_SECONDS: Final = 3_600.0
"""How long a body that is streamed may take; one that stops coming ends sooner."""
_LOOK_AGAIN_SECONDS: Final = 0.01


class Pipeline:
    """Serves exchanges."""

    def __init__(
        self, config: GatewayConfig, auth: Authenticator, ledger: Ledger, engines: Engines,
        services: tuple[ModelService, RealtimeService], pages: PublicPages, observers: Observers,
    ) -> None:  # fmt: skip
        self._config = config
        self._models, self._realtime = services
        self._auth = auth
        self._ledger = ledger
        self._backends = engines.backends
        self._gate = engines.gate
        self._guard = LoadGuard(config.open_requests_limit)
        self._pages = pages
        self._metrics = observers.metrics
        self._logger = observers.logger
        self._spans = observers.spans
        self._slow_requests = observers.slow_requests
        self._loop = asyncio.get_running_loop()
        self._proxies = tuple(ip_network(network) for network in config.trusted_proxies)
        self._tasks: dict[Exchange, asyncio.Task[None]] = {}
        models = self._models
        self._express = Express(self, auth, models, ledger, observers, config.request_timeout_seconds)

    @property
    def open_requests(self) -> int:
        return len(self._tasks) + self._express.open

    def tick(self, late_seconds: float) -> None:
        """Takes note of how late a timer of the event loop was."""
        self._guard.tick(late_seconds, self.open_requests)

    def run(self, exchange: Exchange) -> None:
        """Serves the exchange: on the express lane, or in a task of its own."""
        route = exchange.route
        if route is not None and route.operation is not None and exchange.refusal is None and not self._guard.active:
            try:
                if self._express.takes(exchange, route):
                    return
            except OmniError as error:
                self.answer_error(exchange, error, b"")
                self.done(exchange)
                return
            except Exception as error:  # noqa: BLE001 - the edge: whatever broke, the client gets an answer
                self.broken(exchange, error)
                self.done(exchange)
                return
        self.go_on(exchange, self._serve(exchange))

    def run_upgrade(self, exchange: Exchange) -> None:
        """Serves one that is to become a realtime session."""
        self.go_on(exchange, self._serve_upgrade(exchange))

    def go_on(self, exchange: Exchange, work: Coroutine[Any, Any, None]) -> None:
        """Serves an exchange in a task of its own."""
        self._tasks[exchange] = self._loop.create_task(self._work(exchange, work))

    async def wait_idle(self, seconds: float) -> None:
        """Returns when nothing is being served, or the time is over."""
        deadline = self._loop.time() + seconds
        while self.open_requests and (left := deadline - self._loop.time()) > 0:
            if self._express.open:
                await asyncio.sleep(min(left, _LOOK_AGAIN_SECONDS))
            else:
                await asyncio.wait(list(self._tasks.values()), timeout=left)

    async def _work(self, exchange: Exchange, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (OmniError, Refused, ClientGone) as error:
            self._answer_refused(exchange, error)
        except Exception as error:  # noqa: BLE001 - the edge: whatever broke, the client gets an answer
            self.broken(exchange, error)
        finally:
            self._tasks.pop(exchange, None)
            self.done(exchange)

    async def _serve(self, exchange: Exchange) -> None:
        if exchange.refusal is not None:
            raise exchange.refusal
        if exchange.route is None:
            await self._pages.answer(exchange)
        elif self._guard.active and not self._guard.lets_in(batch=exchange.is_batch):
            raise overloaded()
        else:
            await self._main_path(exchange, exchange.route)

    async def _serve_upgrade(self, exchange: Exchange) -> None:
        if exchange.refusal is not None:
            raise exchange.refusal
        if self._guard.active and not self._guard.lets_in(batch=exchange.is_batch):
            raise overloaded()
        assert exchange.route is not None
        opening = Opening(exchange.target, exchange.headers)
        credential = credential_of(exchange.headers)
        caller = self._auth.cached(credential) or await self._auth.look_up(credential)
        check_caller(caller, exchange.route, self._client_address(exchange) if caller.networks else None)
        exchange.begin_trace(self._spans)
        await self._realtime.serve(exchange, caller, exchange.route, opening)

    def _answer_refused(self, exchange: Exchange, error: OmniError | Refused | ClientGone) -> None:
        if isinstance(error, OmniError):
            self.answer_error(exchange, error, b"")
        elif isinstance(error, Refused):
            self.answer_error(exchange, error.error, error.headers)
        else:
            exchange.status = _CLIENT_CLOSED_STATUS

    async def _main_path(self, exchange: Exchange, route: Route) -> None:
        if DELEGATION in exchange.headers:
            caller = await self._delegated(exchange, route)
        elif route.delegated:
            raise unknown_route()
        else:
            credential = credential_of(exchange.headers)
            caller = self._auth.cached(credential) or await self._auth.look_up(credential)
            check_caller(caller, route, self._client_address(exchange) if caller.networks else None)
        if route.streamed:
            await self._admit_and_forward(exchange, caller, route, None, None)
            return
        body = exchange.body_parts[0] if exchange.complete and len(exchange.body_parts) == 1 else await exchange.body()
        if route.operation is not None:
            asked = self._models.serves(route, exchange.headers.get(b"content-type", b""), body)
            if asked is not None:
                await self._models.serve(exchange, caller, route, asked)
                return
            if caller.narrowed:
                self._models.refuse_denied(caller, route, exchange.headers.get(b"content-type", b""), body)
        extras = self._models.extras
        if route.deterministic and caller.tenant.cache_seconds > 0 and not exchange.in_batch and extras is not None:
            await extras.serve_engine(
                exchange, caller, route, body, lambda kept: self._admit_and_forward(exchange, caller, route, body, kept)
            )
            return
        await self._admit_and_forward(exchange, caller, route, body, None)

    async def _admit_and_forward(
        self, exchange: Exchange, caller: Caller, route: Route, body: bytes | None, kept: Kept | None
    ) -> None:
        """The rest of the main path, for our own engines. A `body` of None goes on as it comes; `kept` takes an answer
        that is to be given again."""
        at_micros = unix_micros()
        metered = route.metered
        limits = caller.limits(at_micros) if metered else caller.free_limits(at_micros)
        reserved = Reserved(0, len(body) // 4 if metered and body is not None else 0)
        if exchange.terms is not None:
            reserved = Reserved(cost_nanos(exchange.terms), 0)
        ticket = await self._ledger.admit(limits, caller.events(route), exchange.request_id, at_micros, reserved)
        ticket.is_asked_again = exchange.in_batch or exchange.terms is not None
        place, refusal = None, None
        try:
            if exchange.terms is None and body is not None:  # slices and uploads take long, and are few
                place = await self._gate.enter(caller.key.tenant_id, batch=exchange.is_batch)
        except OmniError as error:
            refusal = error
        if refusal is not None:
            await self._settle_refused(exchange, ticket, refusal)
            return
        try:
            await self._forward_and_settle(exchange, caller, body, ticket, kept)
        finally:
            if place is not None:
                self._gate.leave(place, exchange.waited_seconds)
            self._ledger.abandon(ticket)

    async def _delegated(self, exchange: Exchange, route: Route) -> Caller:
        """For whom one of our processes asks; the request takes the id that the delegation gives it."""
        value = exchange.headers[DELEGATION].decode("latin-1")
        try:
            delegation = Delegation.verify(value, self._config.principal_secret, unix_micros())
        except InvalidDelegation:
            raise invalid_key() from None
        if route.delegated != (delegation.terms is not None):
            raise unknown_route()
        digest = delegation.key_digest
        caller = self._auth.cached_by_digest(digest) or await self._auth.look_up_digest(digest)
        check_caller(caller, route, None, delegated=True)
        exchange.request_id, exchange.terms = str(delegation.request_id), delegation.terms
        exchange.in_batch = delegation.in_batch
        return caller

    async def _forward_and_settle(
        self, exchange: Exchange, caller: Caller, body: bytes | None, ticket: Ticket, kept: Kept | None
    ) -> None:
        failure: OmniError | ClientGone | None = None
        try:
            answer = await self._forward(exchange, caller, body, ticket.occurred_at_micros)
        except (OmniError, ClientGone) as error:
            failure = error
        if isinstance(failure, OmniError):
            await self._settle_refused(exchange, ticket, failure)
            return
        if failure is not None:
            await self._settle_gone(exchange, ticket)
            return
        exchange.waited_seconds = waited_seconds(answer.header(WAIT))
        if answer.body is None:
            await relay(exchange, answer, ticket, self._ledger)
            return
        assert exchange.route is not None
        outcome = outcome_of(answer, unix_micros() - ticket.occurred_at_micros, metered=exchange.route.metered)
        if exchange.in_batch:
            outcome.quantities = in_batch(outcome.quantities)
        elif exchange.terms is not None:
            outcome.model = ANY_MODEL
            outcome.quantities = self._ledger.billable(exchange.terms, ticket, outcome.quantities)
        headers = passed_headers(answer.headers) + ticket.headers
        if kept is not None:
            kept.answered(answer.status, answer.header(b"content-type"), answer.body)
            headers += kept.headers
        outcome.status, content = self._models.listing.merged(exchange, caller, answer.status, answer.body)
        try:
            await self._ledger.settle(ticket, outcome)
        except OSError:
            raise unrecorded() from None
        exchange.respond(outcome.status, headers, content)

    def _client_address(self, exchange: Exchange) -> IPv4Address | IPv6Address | None:
        address = exchange.connection.peer
        for hop in reversed(exchange.headers.get(b"x-forwarded-for", b"").split(b",")):
            if address is None or not any(address in network for network in self._proxies):
                break
            try:
                address = ip_address(hop.strip().decode("ascii", "replace"))
            except ValueError:
                return None
        return address

    async def _forward(self, exchange: Exchange, caller: Caller, body: bytes | None, at_micros: int) -> BackendResponse:
        seconds = self._config.request_timeout_seconds if body is not None else _UPLOAD_SECONDS
        deadline_micros = at_micros + int(seconds * 1_000_000)
        headers = exchange.headers
        trace = exchange.begin_trace(self._spans)
        route = exchange.route
        quote = self._ledger.quoted(at_micros) if route is not None and route.quotes else NO_QUOTE
        principal = caller.principal(UUID(exchange.request_id), deadline_micros, self._config.principal_secret, quote)
        names = _FORWARDED + route.passed if route is not None else _FORWARDED
        passed = b"".join([b"%b: %b\r\n" % (name, headers[name]) for name in names if name in headers])
        length = exchange.headers.get(b"content-length")
        if body is None:
            passed += b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %b\r\n" % length
        elif body or exchange.method == b"POST":
            passed += b"content-length: %d\r\n" % len(body)

        def build(authority: bytes) -> bytes:
            return (
                b"%b %b HTTP/1.1\r\nhost: %b\r\n%b: %b\r\nomni-deadline-micros: %d\r\nx-request-id: %b\r\n"
                b"traceparent: %b\r\n%b\r\n%b"
            ) % (
                exchange.method, exchange.target, authority, _PRINCIPAL_LINE, principal,
                deadline_micros, exchange.request_id.encode("ascii"), trace.header(), passed, body or b"",
            )  # fmt: skip

        if exchange.gone:
            raise ClientGone
        deadline = self._loop.time() + seconds
        if body is None:
            return await self._backends.upload(
                build, pieces(exchange), deadline, exchange.watch, chunked=length is None
            )
        return await self._backends.send(build, deadline, exchange.watch)

    async def _settle_refused(self, exchange: Exchange, ticket: Ticket, error: OmniError) -> None:
        """The backend gave no answer: nothing is billed."""
        try:
            await self._ledger.settle(ticket, give_back(error.status))
        except OSError:
            error = unrecorded()
        self.answer_error(exchange, error, ticket.headers)

    async def _settle_gone(self, exchange: Exchange, ticket: Ticket) -> None:
        """The client left before an answer: the backend worked for it, so the request counts. A worker of ours that
        left asks again."""
        exchange.status = _CLIENT_CLOSED_STATUS
        counts = exchange.route is not None and exchange.route.metered and not ticket.is_asked_again
        try:
            await self._ledger.settle(ticket, (one_request if counts else give_back)(_CLIENT_CLOSED_STATUS))
        except OSError as error:
            self._logger.error("usage_not_recorded", **exchange.ids(), error=error)

    def broken(self, exchange: Exchange, error: Exception) -> None:
        """Answers a request that something broke under: the client is told so, and the log why."""
        self._logger.error("request_failed", **exchange.ids(), error=error, exc_info=error)
        self.answer_error(exchange, _broken(), b"")

    def answer_error(self, exchange: Exchange, error: OmniError, headers: bytes) -> None:
        """Answers with an error, or cuts the connection where an answer has begun."""
        if exchange.status or exchange.gone:
            exchange.connection.abort()  # a part of an answer is out: only cutting it says that it failed
            return
        if error.code == OVERLOADED:
            self._metrics.shed.add("batch" if exchange.is_batch else "interactive")
        shape = exchange.route.error_shape if exchange.route is not None else "problem"
        content_type, body = error_body(error, exchange.request_id, shape)
        exchange.respond(error.status, content_type + error_headers(error) + headers, body)

    def done(self, exchange: Exchange) -> None:
        """The exchange is answered: what is counted, logged and kept of it."""
        seconds = self._loop.time() - exchange.started_at
        route_name = exchange.route.name if exchange.route is not None else ""
        notable = exchange.status >= 500 or seconds > self._config.slow_request_seconds
        trace_id = ""
        if self._spans is not None:
            trace_id = _export_span(self._spans, exchange, seconds, keep=notable)
        if notable and self._slow_requests is not None and self._slow_requests.wants(exchange, seconds):
            self._slow_requests.keep(exchange, _span(exchange, seconds))
            trace_id = exchange.begin_trace().trace_id.decode("ascii")
        self._metrics.request_done(route_name, exchange.status, seconds, trace_id)
        if notable:
            duration_ms = round(seconds * 1000, 3)
            self._logger.info(
                "request", **exchange.ids(), route=route_name, status=exchange.status, duration_ms=duration_ms
            )
        exchange.connection.finished(exchange)


def _broken() -> OmniError:
    return OmniError("internal_error", "Something broke on our side.")


def _export_span(spans: RequestSpans, exchange: Exchange, seconds: float, *, keep: bool) -> str:
    """The id of the trace when the request's span is exported: it was sampled, or is to be kept for how it ended."""
    if not (exchange.is_traced(spans) or (keep and spans.has_room())):
        return ""
    spans.export(_span(exchange, seconds))
    return exchange.begin_trace().trace_id.decode("ascii")


def _span(exchange: Exchange, seconds: float) -> RequestSpan:
    route = exchange.route.endpoint.template if exchange.route is not None else None
    end_nanos = unix_micros() * 1_000
    start_nanos = end_nanos - int(seconds * 1_000_000_000)
    return exchange.begin_trace().server_span(exchange.method, route, exchange.status, start_nanos, end_nanos)
