"""From a request for a model to an answer of one of its targets: failover, retries, hedging, shadow copies."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Mapping, Sequence
from random import Random

from omni.contracts.routes import Provider, RouteTable, Target
from omni.contracts.usage import USAGE_HEADER, parse_usage
from omni.contracts.wire import Adapter, Answer, BadAnswer, Headers, ProviderCall, Untranslatable, Usage
from omni.gateway.config import GatewayConfig
from omni.gateway.metrics import Calls
from omni.gateway.observers import Observers
from omni.gateway.overload import WAIT, waited_seconds
from omni.gateway.routing.calls import CLIENT_LEFT, TracedCall, whole_error, why_it_failed
from omni.gateway.routing.catalogue import Catalogue
from omni.gateway.routing.failures import provider_failed, public_error, retry_after
from omni.gateway.routing.health import Call, HealthBook, RetryBudget
from omni.gateway.routing.router import Router, provider_limited
from omni.gateway.routing.ways import Engines, Served, Tried, Way
from omni.gateway.upstream.connection import BackendResponse, ClientGone
from omni.gateway.upstream.google_tokens import TOKEN_URL, GoogleTokens, is_service_account
from omni.gateway.upstream.pools import Origins, send_to
from omni.kit.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    NotConfigured,
    OmniError,
    Unavailable,
    UpstreamFailed,
)

_REQUEST = b"%b %b%b HTTP/1.1\r\nhost: %b\r\n%b%bx-request-timeout-ms: %d\r\ncontent-length: %d\r\n\r\n%b"
_LINES_KNOWN = 1_000
_HEDGE_RATIO = 0.05
_BACKOFF_SECONDS = (0.05, 0.15)
_SHADOWS_AT_ONCE = 16
_USAGE = USAGE_HEADER.encode("ascii")
_MISCONFIGURED = frozenset((401, 403, 404))


class _TryNext(Exception):
    """This target did not serve the request; another one may."""

    def __init__(self, error: OmniError, *, again: bool = False) -> None:
        super().__init__(error.code)
        self.error = error
        self.again = again
        """Whether the same target may do better a moment later."""


class Attempts:
    """Sends requests to targets and keeps the book of how they fare."""

    def __init__(
        self,
        catalogue: Catalogue,
        adapters: Mapping[str, Adapter],
        engines: Engines,
        observers: Observers,
        config: GatewayConfig,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret
        self.health = HealthBook(self._loop.time, self._random)
        self.router = Router(self.health, self._random)
        self._catalogue = catalogue
        self._adapters = adapters
        self._backends = engines.backends
        self._gate = engines.gate
        self._origins = Origins(config)
        self._google = GoogleTokens(self._origins)
        self._metrics = observers.metrics
        self._logger = observers.logger
        self._limit_bytes = config.model_answer_limit_bytes
        self._retries = RetryBudget()
        self._hedges = RetryBudget(_HEDGE_RATIO)
        self._shadows: set[asyncio.Task[None]] = set()
        self._known_lines: dict[Headers, bytes] = {}

    def serve(self, way: Way) -> Awaitable[Served]:
        """Raises OmniError when no target serves the request, or ClientGone."""
        targets = self.router.targets(way.model, way.ask)
        self._retries.call()
        if way.model.shadow is not None:
            self._start_shadow(way, way.model.shadow)
        if way.model.hedge_after_ms is not None:
            self._hedges.call()
            return self._hedged(way, targets, way.model.hedge_after_ms / 1000)
        return self._in_turn(way, targets)

    async def _in_turn(self, way: Way, targets: Sequence[Target]) -> Served:
        failure: _TryNext | None = None
        for target in targets:
            try:
                return await self._try(way, target)
            except _TryNext as raised:
                failure = raised
        assert failure is not None
        if not failure.again or not self._retries.take():
            raise failure.error
        self._metrics.provider_retries.inc()
        await asyncio.sleep(self._random.uniform(*_BACKOFF_SECONDS))
        try:
            return await self._try(way, self.router.targets(way.model, way.ask)[0])
        except _TryNext as raised:
            raise raised.error from None

    async def _hedged(self, way: Way, targets: Sequence[Target], after_seconds: float) -> Served:
        """A second target is asked when the first keeps silent; whichever begins to answer first is taken."""
        tasks = {asyncio.create_task(self._in_a_task(way, targets[0]))}
        rest = list(targets[1:])
        failure: _TryNext | None = None
        may_hedge = True
        try:
            while tasks:
                timeout = after_seconds if may_hedge else None
                done, tasks = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    may_hedge = False
                    if self._hedges.take():
                        self._metrics.provider_hedges.inc()
                        second = rest.pop(0) if rest else targets[0]
                        tasks.add(asyncio.create_task(self._in_a_task(way, second)))
                winner: Served | None = None
                for task in done:
                    try:
                        served = task.result()
                    except _TryNext as raised:
                        failure = raised
                        continue
                    if winner is None:
                        winner = served
                    else:
                        _dismiss(served)
                if winner is not None:
                    return winner
                if not tasks and rest:
                    tasks.add(asyncio.create_task(self._in_a_task(way, rest.pop(0))))
        finally:
            for loser in tasks:
                loser.cancel()
            for late in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(late, Served):
                    _dismiss(late)
        assert failure is not None
        raise failure.error

    def _start_shadow(self, way: Way, target: Target) -> None:
        if len(self._shadows) >= _SHADOWS_AT_ONCE or self._random.random() * 1000 >= way.model.shadow_per_mille:
            return
        task = asyncio.create_task(self._shadow(way, target))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _shadow(self, way: Way, target: Target) -> None:
        """A copy whose answer nobody gets and nobody pays; the client's leaving does not end it."""
        unwatched = Way(
            way.request, way.model, way.caller, way.ask, True, self._loop.time() + target.timeout_seconds,
            lambda _: None, way.head, way.backend_head,
        )  # fmt: skip
        outcome = "answered"
        try:
            served = await self._try(unwatched, target)
            if served.answer is None:
                await served.response.read_whole(self._limit_bytes)
        except (_TryNext, OmniError):
            outcome = "failed"
        self._metrics.shadows.add(outcome)

    # --- one try ---

    async def _in_a_task(self, way: Way, target: Target) -> Served:
        return await self._try(way, target)

    def _try(self, way: Way, target: Target) -> Awaitable[Served]:
        """Raises _TryNext, OmniError or ClientGone."""
        provider = self._catalogue.provider(target.provider)
        adapter, secret, own_key = self._adapter(way, provider)
        if provider.kind == "vertex" and is_service_account(secret):
            return self._ask_with_token(way, target, provider, secret, own_key=own_key)
        call = _called(adapter, provider, secret, target, way)
        if provider.kind == "backend":
            return self._ask_engines(way, target, provider, call)
        return self._ask(way, target, provider, call, own_key=own_key)

    async def _ask_with_token(
        self, way: Way, target: Target, provider: Provider, account: str, *, own_key: bool
    ) -> Served:
        try:
            token = await self._google.token(account, provider.settings.get("token_url", TOKEN_URL), way.deadline)
        except OmniError as error:
            self._failed(target, provider, repr(error))
            raise _TryNext(error) from error
        call = _called(self._adapters[provider.kind], provider, token, target, way)
        return await self._ask(way, target, provider, call, own_key=own_key)

    async def _ask_engines(self, way: Way, target: Target, provider: Provider, call: ProviderCall) -> Served:
        try:
            place = await self._gate.enter(way.caller.key.tenant_id, batch=way.batch)
        except Unavailable as error:
            raise _TryNext(error) from None
        waited: float | None = None
        try:
            served = await self._ask(way, target, provider, call, own_key=False)
            waited = waited_seconds(served.response.header(WAIT))
            return served
        finally:
            self._gate.leave(place, waited)

    async def _ask(self, way: Way, target: Target, provider: Provider, call: ProviderCall, *, own_key: bool) -> Served:
        health = self.health.of(target.id).start()
        started = self._loop.time()
        deadline = min(way.deadline, started + target.timeout_seconds)
        request, tracing = way.request, way.tracing
        traced = None if tracing is None else tracing.begin(request.operation, provider, target, stream=request.stream)
        calls = self._metrics.calls.of(request.operation, provider)
        response: BackendResponse | None = None
        try:
            response = await self._send(way, provider, call, deadline, way.head if traced is None else traced.head)
            served = Served(target, calls, call, response, started, self._loop.time() - started, own_key=own_key)
            self._check_status(served, health)
            if way.request.stream and response.status < 400 and b"event-stream" in response.content_type:
                health.succeeded(self._loop.time(), served.first_byte_seconds)
            else:
                body = response.body
                if body is None:
                    body = await response.read_whole(self._limit_bytes)
                served.answer = _read(served, provider, body)
                health.succeeded(self._loop.time(), served.first_byte_seconds)
        except asyncio.CancelledError:
            health.given_up()
            if response is not None:
                response.abort(ClientGone())
            self._ended(way, (target, provider), calls, started, traced, "cancelled")
            raise
        except _TryNext:
            self._ended(way, (target, provider), calls, started, traced, "429")
            raise
        except (ClientGone, OmniError, BadAnswer) as error:
            why = why_it_failed(error, response.status if response is not None else 0)
            self._ended(way, (target, provider), calls, started, traced, why)
            if isinstance(error, ClientGone) or (isinstance(error, DeadlineExceeded) and deadline == way.deadline):
                health.given_up()  # the client left, or it was its time that ran out
                raise
            health.failed(self._loop.time())
            self._failed(target, provider, repr(error))
            again = not isinstance(error, DeadlineExceeded)
            raise _TryNext(public_error(error), again=again) from error
        ended, error_type = 0.0, ""
        if served.answer is not None:
            ended, error_type = self._loop.time(), whole_error(served.answer.status)
            seconds = ended - started
            if served.answer.status < 400:
                calls.completed(seconds)
            else:
                calls.failed(seconds, error_type)
        way.tried.append(Tried(target, provider, started, ended, error_type, traced.span_id if traced else 0))
        if traced is not None:
            served.traced = traced
            if served.answer is None:
                served.response = traced.watch(response)
            else:
                traced.answered(served.answer.body)
        return served

    def _ended(
        self, way: Way, asked: tuple[Target, Provider], calls: Calls, started: float, traced: TracedCall | None,
        why: str,
    ) -> None:  # fmt: skip
        """A call came to nothing."""
        ended = self._loop.time()
        calls.failed(ended - started, why)
        way.tried.append(Tried(*asked, started, ended, why, traced.span_id if traced else 0))
        if traced is None:
            return
        if why == CLIENT_LEFT and way.tracing is not None:
            way.tracing.left(traced)
        else:
            traced.end(why, {})

    def _adapter(self, way: Way, provider: Provider) -> tuple[Adapter, str, bool]:
        """The provider's adapter, the key to call it with, and whether that is the tenant's own."""
        if way.caller.key.mode != "live" and provider.kind != "backend":
            raise _TryNext(
                Forbidden("test_key_not_allowed", "Test keys reach the platform's own engines only: use a live key.")
            )
        adapter = self._adapters.get(provider.kind)
        key = self._catalogue.key(way.caller, provider)
        if adapter is None or key is None:
            raise _TryNext(
                NotConfigured("provider_not_configured", f"The provider {provider.code} has no key. Ask the operator.")
            )
        if not adapter.supports(provider, way.request.operation):
            raise _TryNext(
                InvalidInput("operation_not_supported", f"The model {way.model.name} cannot do this.", param="model")
            )
        return adapter, *key

    def _send(
        self, way: Way, provider: Provider, call: ProviderCall, deadline: float, head: bytes
    ) -> Awaitable[BackendResponse]:
        request, left_ms = call.request, max(1, int((deadline - self._loop.time()) * 1000))
        lines, body = self._lines(request.headers), request.body
        self._metrics.provider_calls.add(provider.code)
        if provider.kind == "backend":
            lines += way.backend_head()
            return self._backends.send(
                lambda authority: _REQUEST % (
                    request.method, b"", request.path, authority, lines, head, left_ms, len(body), body,
                ),
                deadline,
                way.watch,
            )  # fmt: skip
        origin = self._origins.get(provider.base_url)
        whole = _REQUEST % (
            request.method, origin.path, request.path, origin.authority, lines, head, left_ms, len(body), body,
        )  # fmt: skip
        return send_to(origin, whole, deadline, way.watch)

    def _lines(self, headers: Headers) -> bytes:
        """Header lines. Raises UpstreamFailed for what would be more than one each."""
        lines = self._known_lines.get(headers)
        if lines is None:
            lines = b"".join([b"%b: %b\r\n" % header for header in headers])
            if lines.count(b"\n") != len(headers):
                raise UpstreamFailed("provider_misconfigured", "The provider cannot be called.", internal="header")
            if len(self._known_lines) >= _LINES_KNOWN:
                self._known_lines.clear()
            self._known_lines[headers] = lines
        return lines

    def _check_status(self, served: Served, health: Call) -> None:
        """What the status of an answer says of the target. Raises _TryNext or UpstreamFailed."""
        response = served.response
        status = response.status
        if status == 429:
            response.abort(ClientGone())
            seconds = retry_after(response.header(b"retry-after"))
            health.limited(self._loop.time(), seconds)
            raise _TryNext(provider_limited(math.ceil(seconds)))
        if status >= 500 or status in _MISCONFIGURED or status == 408:
            response.abort(ClientGone())
            if status in _MISCONFIGURED:
                self._logger.error("provider_refuses_us", target=served.target.id, status=status)
                raise UpstreamFailed("provider_misconfigured", "The provider refuses the platform's request.")
            raise provider_failed(f"status {status}")

    def _failed(self, target: Target, provider: Provider, reason: str) -> None:
        self._metrics.provider_failures.add(provider.code)
        self._logger.warning("target_failed", target=target.id, reason=reason)

    def use_table(self, table: RouteTable) -> None:
        """Forgets providers and targets that are in no route any more."""
        self._origins.keep_only({provider.base_url for provider in table.providers.values()})
        self.health.keep_only({target.id for model in table.models.values() for target in model.targets})

    def sweep(self, now: float) -> None:
        self._origins.sweep(now)

    def close(self) -> None:
        for task in self._shadows:
            task.cancel()
        self._google.close()
        self._origins.close()


def _called(adapter: Adapter, provider: Provider, secret: str, target: Target, way: Way) -> ProviderCall:
    """Raises _TryNext for what the provider's format cannot say."""
    try:
        return adapter.call(provider, secret, target.upstream_model, way.request)
    except Untranslatable as error:
        raise _TryNext(InvalidInput("not_supported_by_model", str(error))) from None


def _read(served: Served, provider: Provider, body: bytes) -> Answer:
    """A whole answer, with what it used. Raises BadAnswer."""
    response, call = served.response, served.call
    if response.status >= 400:
        return call.error(response.status, body)
    answer = call.answer(response.status, response.content_type, body)
    if provider.kind == "backend" and (said := response.header(_USAGE)):
        answer.usage = Usage(parse_usage(said.decode("latin-1")), final=True)
    return answer


def _dismiss(served: Served) -> None:
    """An answer that another one was taken before."""
    served.response.abort(ClientGone())
    if served.traced is not None:
        served.traced.end("cancelled", {})
