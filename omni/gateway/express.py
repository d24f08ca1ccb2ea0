"""The main path without a task, for requests that have to wait for nothing but Redis and one provider.

authenticate → admit → route → forward → settle: each step runs in the turn of the event loop in which what it waits for
comes. Whatever asks for more goes on in a task, on the path of all other requests and from where it stands: a caller
that has to be looked up, policies, a trace, engines of our own, a new connection, a provider that fails, a stream, an
answer without usage, Redis away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from omni.contracts.routes import ModelRoute, RouteTable, Target
from omni.contracts.wire import BadAnswer, Untranslatable
from omni.gateway.access.auth import Authenticator, Caller, check_caller, credential_of, digest_of
from omni.gateway.admission.ledger import Ledger, Refused, Settlement, Ticket
from omni.gateway.edge.errors import unrecorded
from omni.gateway.edge.exchange import Exchange
from omni.gateway.edge.routes import Route
from omni.gateway.routing.calls import call_settled
from omni.gateway.routing.failures import TryNext
from omni.gateway.routing.requests import NOT_JSON, read_request
from omni.gateway.routing.router import Ask
from omni.gateway.routing.ways import Leg, Served
from omni.gateway.upstream.answers import BackendResponse
from omni.kit.clock import unix_micros
from omni.kit.errors import OmniError

if TYPE_CHECKING:
    from omni.gateway.models import Begun, ModelService
    from omni.gateway.observers import Observers
    from omni.gateway.plans import Plan

_ASK_FOR_MORE: Final = frozenset((
    b"anthropic-beta", b"omni-delegation", b"omni-priority", b"omni-region", b"omni-tags", b"omni-timeout-ms",
    b"traceparent",
))  # fmt: skip
"""Headers whose requests go the other way."""
_LANES_LIMIT: Final = 1_000
_NO_TAGS: Final[frozenset[str]] = frozenset()


class Host(Protocol):
    """The pipeline, as requests on the express lane see it."""

    def answer_error(self, exchange: Exchange, error: OmniError, headers: bytes) -> None:
        """Answers, or cuts the connection where an answer has begun."""

    def broken(self, exchange: Exchange, error: Exception) -> None:
        """The same for what should not have happened."""

    def go_on(self, exchange: Exchange, work: Coroutine[Any, Any, None]) -> None:
        """Does the rest in a task; the exchange is done with it."""

    def done(self, exchange: Exchange) -> None:
        """The exchange is answered."""


class Lane:
    """How one caller's requests for one model travel, as long as a table of routes is in force."""

    __slots__ = ("legs", "model", "table")

    def __init__(self, model: ModelRoute, table: RouteTable, legs: dict[str, Leg]) -> None:
        self.model = model
        self.table = table
        self.legs = legs
        """By id of the target; empty = they have to go the other way."""


class Express:
    """Serves what it takes, and hands the rest to the pipeline's tasks."""

    def __init__(
        self, host: Host, auth: Authenticator, models: ModelService, ledger: Ledger, observers: Observers,
        timeout_seconds: float,
    ) -> None:  # fmt: skip
        self.host = host
        self.models = models
        self.attempts = models.attempts
        self.ledger = ledger
        self.metrics = observers.metrics
        self.timeout_seconds = timeout_seconds
        self.loop = asyncio.get_running_loop()
        self.open = 0
        """Requests under way."""
        self._auth = auth
        self._catalogue = models.catalogue
        self.planner = models.planner
        self._spans = observers.spans

    def takes(self, exchange: Exchange, route: Route) -> bool:
        """Begins to serve a request; False = it has to go the other way. Raises OmniError."""
        known = exchange.known
        digest = None if known is None else known.digest
        if digest is None:
            digest = _digest(exchange, route) if exchange.complete else ""
            if known is not None:
                known.digest = digest
        caller = self._auth.cached_by_digest(digest) if digest else None
        if caller is None or not caller.plain or caller.networks:
            return False
        if self._spans is not None and exchange.is_traced(self._spans):
            return False
        check_caller(caller, route, None)
        parts = exchange.body_parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        assert route.operation is not None
        try:
            asked = read_request(route.operation, exchange.headers.get(b"content-type", b""), body)
        except OmniError:
            return False
        lane = caller.lanes.get((route.operation, asked.request.model))
        if lane is None or lane.table is not self._catalogue.table:
            lane = self._lane(caller, route, asked.request.model)
        if not lane.legs:
            return False
        at_micros = unix_micros()
        limits = caller.limits(at_micros)
        plan = self.planner.plan(caller, asked, lane.model, limits, at_micros, in_batch=False)
        ticket = Ticket(exchange.request_id, at_micros, limits, caller.events(route), plan.reserved)
        self.ledger.post_admit(ticket, Ride(self, exchange, plan, ticket, lane.legs).admitted)
        self.open += 1
        return True

    def _lane(self, caller: Caller, route: Route, name: str) -> Lane:
        """Raises NotFound where the caller has no such model."""
        operation, table = route.operation, self._catalogue.table
        assert operation is not None
        known = name in table.models or not route.endpoint.backend
        model = self._catalogue.model(name, operation, caller.may_use) if known else _NO_MODEL
        legs: dict[str, Leg] = {}
        if model.hedge_after_ms is None and model.shadow is None:
            try:
                legs = {target.id: self.attempts.leg(caller, model, target, operation) for target in model.targets}
            except TryNext:
                legs = {}
            if any(leg.needs_token or leg.provider.kind == "backend" for leg in legs.values()):
                legs = {}
        lane = Lane(model, table, legs)
        if len(caller.lanes) >= _LANES_LIMIT:
            caller.lanes.clear()
        if known:
            caller.lanes[operation, name] = lane
        return lane


class Ride:
    """One request under way."""

    __slots__ = (
        "_deadline", "_exchange", "_express", "_is_over", "_legs", "_plan", "_rest", "_served", "_settlement",
        "_ticket",
    )  # fmt: skip

    _deadline: float
    _served: Served
    _settlement: Settlement

    def __init__(self, express: Express, exchange: Exchange, plan: Plan, ticket: Ticket, legs: dict[str, Leg]) -> None:
        self._express = express
        self._exchange = exchange
        self._plan = plan
        self._ticket = ticket
        self._legs = legs
        self._rest: Sequence[Target] = ()
        self._is_over = False
        """Whether it broke: what comes after that is for nobody."""

    def admitted(self, reply: object) -> None:
        """Redis said whether the request may go on."""
        try:
            self._express.ledger.admitted(self._ticket, reply)
            self._send()
        except Refused as refused:
            self._express.host.answer_error(self._exchange, refused.error, refused.headers)
            self._end()
        except Exception as error:  # noqa: BLE001 - the edge: the client gets an answer and the log a line
            self._break(error)

    def _send(self) -> None:
        express, exchange, plan, ticket = self._express, self._exchange, self._plan, self._ticket
        attempts, model = express.attempts, plan.model
        now = express.loop.time()
        self._deadline = deadline = now + express.timeout_seconds
        plan.narrow(ticket)
        target = model.targets[0]
        leg = self._legs[target.id]
        if len(model.targets) > 1 or target.when is not None or not leg.health.usable(now):
            try:
                target, *self._rest = attempts.router.targets(model, self._ask)
            except OmniError:
                self._go_the_other_way()
                return
            leg = self._legs[target.id]
        origin = attempts.dispatch.origins.get(leg.provider.base_url)
        connection = None if exchange.gone else origin.reuse()
        if connection is None:
            self._go_the_other_way()
            return
        try:
            call = leg.adapter.call(leg.provider, leg.secret, leg.target.upstream_model, plan.request())
        except Untranslatable:
            origin.release(connection)
            self._go_the_other_way()
            return
        self._served = served = attempts.begin(leg, call, now, deadline)
        try:
            whole = attempts.dispatch.whole(served, origin.path, origin.authority, b"x-request-id: %b\r\n" % ticket.id)
        except OmniError:
            served.given_up()
            origin.release(connection)
            self._go_the_other_way()
            return
        attempts.retries.call()
        connection.post(whole, served.deadline, self.answered)
        exchange.watch(connection)

    def _ask(self) -> Ask:
        return self._plan.ask("", _NO_TAGS)

    def answered(self, answer: BackendResponse | Exception) -> None:
        """The provider answered, or did not."""
        if self._is_over:
            return
        try:
            if isinstance(answer, Exception) or answer.body is None or answer.status >= 400:
                self._judge(answer)
            else:
                self._settle(answer, answer.body)
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._break(error)

    def _settle(self, response: BackendResponse, body: bytes) -> None:
        express, served, plan, ticket = self._express, self._served, self._plan, self._ticket
        served.response = response
        now = express.loop.time()
        served.first_byte_seconds = now - served.started_at
        try:
            answer = express.attempts.take(served, body, now)
        except BadAnswer:
            self._judge(response)
            return
        express.metrics.calls.first_byte.add(served.first_byte_seconds)
        if answer.usage is None or not answer.usage.quantities:
            self._go_on(express.models.from_answer(self._exchange, plan, ticket, served))
            return
        outcome = express.planner.outcome(plan, served, answer.status, answer.usage)
        outcome.duration_micros = unix_micros() - ticket.occurred_at_micros
        if served.leg.own_key:
            call_settled(served, outcome, "")
        else:
            served.leg.calls.billed(outcome.quantities)
        self._settlement = express.ledger.post_settle(ticket, outcome, self.settled)

    def _judge(self, answer: BackendResponse | Exception) -> None:
        """Goes on in a task from what the provider said."""
        self._go_the_other_way((self._served, answer, self._rest))

    def _go_the_other_way(self, begun: Begun | None = None) -> None:
        """Goes on in a task from the admission, or from the call that has `begun`."""
        models = self._express.models
        self._go_on(models.from_admission(self._exchange, self._plan, self._ticket, self._deadline, begun))

    def settled(self, reply: object) -> None:
        """Redis took the settlement, or did not."""
        if self._is_over:
            return
        try:
            if self._express.ledger.settled(self._settlement, reply):
                self._respond()
                self._end()
            else:
                self._go_on(self._spool(reply))
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._break(error)

    async def _spool(self, why: object) -> None:
        try:
            await self._express.ledger.spool(self._settlement, why)
        except OSError:
            raise unrecorded() from None
        self._respond()

    def _respond(self) -> None:
        exchange, served = self._exchange, self._served
        exchange.tried = (served,)
        answer = served.answer
        assert answer is not None
        headers = b"content-type: %b\r\n%b" % (answer.content_type, self._ticket.headers)
        exchange.respond(answer.status, headers, answer.body)

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        self._express.open -= 1
        self._express.host.go_on(self._exchange, work)

    def _break(self, error: Exception) -> None:
        self._is_over = True
        self._express.ledger.abandon(self._ticket)
        self._express.host.broken(self._exchange, error)
        self._end()

    def _end(self) -> None:
        self._express.open -= 1
        self._express.host.done(self._exchange)


_NO_MODEL: Final = ModelRoute("", frozenset(), ())


def _digest(exchange: Exchange, route: Route) -> str:
    """As KnownHead.digest. Raises Unauthenticated."""
    if route.operation in NOT_JSON or not _ASK_FOR_MORE.isdisjoint(exchange.headers):
        return ""
    return digest_of(credential_of(exchange.headers))
