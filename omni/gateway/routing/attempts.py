"""From a request for a model to an answer of one of its targets: failover, retries, hedging, shadow copies."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any

from omni.contracts.routes import ModelRoute, Operation, RouteTable, Target
from omni.contracts.usage import USAGE_HEADER, parse_usage
from omni.contracts.wire import Adapter, Answer, BadAnswer, ProviderCall, Usage
from omni.gateway.access.auth import Caller
from omni.gateway.config import GatewayConfig
from omni.gateway.observers import Observers
from omni.gateway.overload import WAIT, waited_seconds
from omni.gateway.routing.calls import CLIENT_LEFT, whole_error, why_it_failed
from omni.gateway.routing.catalogue import Catalogue
from omni.gateway.routing.dispatch import Dispatch
from omni.gateway.routing.failures import TryNext, provider_failed, public_error, retry_after
from omni.gateway.routing.health import HealthBook, RetryBudget
from omni.gateway.routing.router import Router, provider_limited
from omni.gateway.routing.ways import Engines, Leg, Served, Way
from omni.gateway.upstream.answers import BackendResponse, ClientGone, DiedIdle
from omni.gateway.upstream.google_tokens import TOKEN_URL, GoogleTokens
from omni.kit.errors import DeadlineExceeded, OmniError, Unavailable, UpstreamFailed

_HEDGE_RATIO = 0.05
_BACKOFF_SECONDS = (0.05, 0.15)
_SHADOWS_AT_ONCE = 16
_USAGE = USAGE_HEADER.encode("ascii")
_MISCONFIGURED = frozenset((401, 403, 404))


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
        self._gate = engines.gate
        self.dispatch = Dispatch(catalogue, adapters, engines.backends, config)
        self._google = GoogleTokens(self.dispatch.origins)
        self._metrics = observers.metrics
        self._logger = observers.logger
        self._limit_bytes = config.model_answer_limit_bytes
        self.retries = RetryBudget()
        self._hedges = RetryBudget(_HEDGE_RATIO)
        self._shadows: set[asyncio.Task[None]] = set()

    def serve(self, way: Way) -> Awaitable[Served]:
        """Raises OmniError when no target serves the request, or ClientGone."""
        targets = self.router.targets(way.model, way.ask)
        self.retries.call()
        if way.model.shadow is not None:
            self._start_shadow(way, way.model.shadow)
        if way.model.hedge_after_ms is not None:
            self._hedges.call()
            return self._hedged(way, targets, way.model.hedge_after_ms / 1000)
        return self._in_turn(way, targets)

    async def _in_turn(self, way: Way, targets: Sequence[Target], failure: TryNext | None = None) -> Served:
        for target in targets:
            try:
                return await self._try(way, target)
            except TryNext as raised:
                failure = raised
        assert failure is not None
        if not failure.again or not self.retries.take():
            raise failure.error
        self._metrics.provider_retries.inc()
        await asyncio.sleep(self._random.uniform(*_BACKOFF_SECONDS))
        try:
            return await self._try(way, self.router.targets(way.model, way.ask)[0])
        except TryNext as raised:
            raise raised.error from None

    async def _hedged(self, way: Way, targets: Sequence[Target], after_seconds: float) -> Served:
        """A second target is asked when the first keeps silent; whichever begins to answer first is taken."""
        tasks: set[asyncio.Task[Served]] = set()
        winner: Served | None = None
        failure: BaseException | None = None
        try:
            winner = await self._race(way, targets, after_seconds, tasks)
        except BaseException as raised:  # noqa: BLE001 - raised again when the losers have ended
            failure = raised
        for loser in tasks:
            loser.cancel()
        for late in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(late, Served) and late is not winner:
                _dismiss(late)
        if failure is not None:
            raise failure
        assert winner is not None
        return winner

    async def _race(
        self, way: Way, targets: Sequence[Target], after_seconds: float, tasks: set[asyncio.Task[Served]]
    ) -> Served:
        """The first that begins to answer; in `tasks` are then those that have not ended."""
        tasks.add(asyncio.create_task(self._in_a_task(way, targets[0])))
        rest = list(targets[1:])
        failure: TryNext | None = None
        may_hedge = True
        while tasks:
            timeout = after_seconds if may_hedge else None
            done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                may_hedge = False
                if self._hedges.take():
                    self._metrics.provider_hedges.inc()
                    second = rest.pop(0) if rest else targets[0]
                    tasks.add(asyncio.create_task(self._in_a_task(way, second)))
            winner: Served | None = None
            for task in done:
                tasks.discard(task)
                try:
                    served = task.result()
                except TryNext as raised:
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
        except (TryNext, OmniError):
            outcome = "failed"
        self._metrics.shadows.add(outcome)

    # --- one try ---

    async def _in_a_task(self, way: Way, target: Target) -> Served:
        return await self._try(way, target)

    def _try(self, way: Way, target: Target) -> Awaitable[Served]:
        """Raises TryNext, OmniError or ClientGone."""
        leg = self.leg(way.caller, way.model, target, way.request.operation)
        if leg.needs_token:
            return self._ask_with_token(way, leg)
        call = self.dispatch.call(leg, way.request)
        if leg.provider.kind == "backend":
            return self._ask_engines(way, leg, call)
        return self._ask(way, leg, call)

    def leg(self, caller: Caller, model: ModelRoute, target: Target, operation: Operation) -> Leg:
        """How a caller reaches a target. Raises TryNext where it cannot."""
        provider = self._catalogue.provider(target.provider)
        access = self.dispatch.access(caller, provider, model.name, operation)
        calls = self._metrics.calls.of(operation, provider)
        return Leg(target, provider, access, calls, self.health.of(target.id))

    async def _ask_with_token(self, way: Way, leg: Leg) -> Served:
        provider = leg.provider
        try:
            token_url = provider.settings.get("token_url", TOKEN_URL)
            leg.secret = await self._google.token(leg.secret, token_url, way.deadline)
        except OmniError as error:
            self._failed(leg, repr(error))
            raise TryNext(error) from error
        return await self._ask(way, leg, self.dispatch.call(leg, way.request))

    async def _ask_engines(self, way: Way, leg: Leg, call: ProviderCall) -> Served:
        try:
            place = await self._gate.enter(way.caller.key.tenant_id, batch=way.batch)
        except Unavailable as error:
            raise TryNext(error) from None
        waited: float | None = None
        try:
            served = await self._ask(way, leg, call)
            waited = waited_seconds(served.response.header(WAIT))
            return served
        finally:
            self._gate.leave(place, waited)

    def _ask(self, way: Way, leg: Leg, call: ProviderCall) -> Awaitable[Served]:
        request, tracing = way.request, way.tracing
        served = self.begin(leg, call, self._loop.time(), way.deadline)
        if tracing is not None:
            served.traced = tracing.begin(request.operation, leg.provider, leg.target, stream=request.stream)
        return self._judge(way, served, self.dispatch.send(way, served))

    def begin(self, leg: Leg, call: ProviderCall, started: float, deadline: float) -> Served:
        """A call that goes out now, at the loop time `started`; it is over at `deadline`, or at its target's own."""
        leg.calls.begun[0] += 1
        return Served(leg, call, started, min(started + leg.target.timeout_seconds, deadline))

    async def go_on(
        self, way: Way, served: Served, answer: BackendResponse | Exception, rest: Sequence[Target]
    ) -> Served:
        """Goes on with a call that somebody else sent, from the answer to it; `rest` are the targets to try then.

        Raises what `serve` raises.
        """
        died = isinstance(answer, DiedIdle)
        try:
            return await self._judge(way, served, self.dispatch.send(way, served) if died else _said(answer))
        except TryNext as raised:
            failure = raised
        return await self._in_turn(way, rest, failure)

    async def _judge(self, way: Way, served: Served, answering: Coroutine[Any, Any, BackendResponse]) -> Served:
        """What comes of a call. Raises TryNext, OmniError or ClientGone."""
        response: BackendResponse | None = None
        try:
            served.response = response = await answering
            served.first_byte_seconds = self._loop.time() - served.started_at
            self._check_status(served)
            if way.request.stream and response.status < 400 and b"event-stream" in response.content_type:
                served.succeeded(self._loop.time(), served.first_byte_seconds)
            else:
                body = response.body
                if body is None:
                    body = await response.read_whole(self._limit_bytes)
                self.take(served, body, self._loop.time())
        except asyncio.CancelledError:
            served.given_up()
            if response is not None:
                response.abort(ClientGone())
            self._ended(way, served, "cancelled")
            raise
        except TryNext:
            self._ended(way, served, "429")
            raise
        except (ClientGone, OmniError, BadAnswer) as error:
            why = why_it_failed(error, response.status if response is not None else 0)
            self._ended(way, served, why)
            ours = isinstance(error, DeadlineExceeded) and served.deadline == way.deadline
            if ours or isinstance(error, ClientGone):
                served.given_up()  # the client left, or it was its time that ran out
                raise
            served.failed(self._loop.time())
            self._failed(served.leg, repr(error))
            again = not isinstance(error, DeadlineExceeded)
            raise TryNext(public_error(error), again=again) from error
        way.tried.append(served)
        if served.traced is not None:
            if served.answer is None:
                served.response = served.traced.watch(response)
            else:
                served.traced.answered(served.answer.body)
        return served

    def take(self, served: Served, body: bytes, now: float) -> Answer:
        """Reads a whole answer: the call has come to its end, at the loop time `now`. Raises BadAnswer."""
        response, call = served.response, served.call
        if response.status >= 400:
            answer = call.error(response.status, body)
        else:
            answer = call.answer(response.status, response.content_type, body)
        if served.leg.provider.kind == "backend" and (said := response.header(_USAGE)):
            answer.usage = Usage(parse_usage(said.decode("latin-1")), final=True)
        served.answer = answer
        served.ended_at = now
        served.succeeded(now, served.first_byte_seconds)
        if answer.status < 400:
            served.leg.calls.completed.add(now - served.started_at)
        else:
            served.error_type = whole_error(answer.status)
            served.leg.calls.failed(now - served.started_at, served.error_type)
        return answer

    def _ended(self, way: Way, served: Served, why: str) -> None:
        """A call came to nothing."""
        served.ended_at, served.error_type = self._loop.time(), why
        served.leg.calls.failed(served.ended_at - served.started_at, why)
        way.tried.append(served)
        if served.traced is None:
            return
        if why == CLIENT_LEFT and way.tracing is not None:
            way.tracing.left(served.traced)
        else:
            served.traced.end(why, {})

    def _check_status(self, served: Served) -> None:
        """What the status of an answer says of the target. Raises TryNext or UpstreamFailed."""
        response = served.response
        status = response.status
        if status == 429:
            response.abort(ClientGone())
            seconds = retry_after(response.header(b"retry-after"))
            served.limited(self._loop.time(), seconds)
            raise TryNext(provider_limited(math.ceil(seconds)))
        if status >= 500 or status in _MISCONFIGURED or status == 408:
            response.abort(ClientGone())
            if status in _MISCONFIGURED:
                self._logger.error("provider_refuses_us", target=served.leg.target.id, status=status)
                raise UpstreamFailed("provider_misconfigured", "The provider refuses the platform's request.")
            raise provider_failed(f"status {status}")

    def _failed(self, leg: Leg, reason: str) -> None:
        self._metrics.provider_failures.add(leg.provider.code)
        self._logger.warning("target_failed", target=leg.target.id, reason=reason)

    def use_table(self, table: RouteTable) -> None:
        """Forgets providers and targets that are in no route any more."""
        self.dispatch.origins.keep_only({provider.base_url for provider in table.providers.values()})
        self.health.keep_only({target.id for model in table.models.values() for target in model.targets})

    def sweep(self, now: float) -> None:
        self.dispatch.origins.sweep(now)

    def close(self) -> None:
        for task in self._shadows:
            task.cancel()
        self._google.close()
        self.dispatch.origins.close()


async def _said(answer: BackendResponse | Exception) -> BackendResponse:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _dismiss(served: Served) -> None:
    """An answer that another one was taken before."""
    served.response.abort(ClientGone())
    if served.traced is not None:
        served.traced.end("cancelled", {})
