"""Requests for models: what is reserved for them, where they go, what they are charged."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Sequence
from uuid import UUID

from omni.contracts.principal import PRINCIPAL_HEADER
from omni.contracts.routes import Target
from omni.contracts.usage import AUDIO_MS, INPUT_TOKENS, OUTPUT_TOKENS, REQUESTS
from omni.contracts.wire import Answer, Usage
from omni.gateway.access.auth import Caller
from omni.gateway.admission.charges import in_batch
from omni.gateway.admission.events import ONE_REQUEST, Outcome
from omni.gateway.admission.ledger import Ledger, Ticket, give_back
from omni.gateway.admission.prices import Prices
from omni.gateway.admission.tokens import BYTES_PER_TOKEN, Counted, TokenCounter
from omni.gateway.config import GatewayConfig
from omni.gateway.edge.errors import JSON, unrecorded
from omni.gateway.edge.exchange import Exchange
from omni.gateway.edge.routes import Route
from omni.gateway.extras import Extras, ExtrasService, seconds_allowed
from omni.gateway.observers import Observers
from omni.gateway.plans import INPUT_METERS, OUTPUT_METERS, Plan, Planner
from omni.gateway.routing.attempts import Attempts
from omni.gateway.routing.calls import CallTracing, call_settled, whole_error
from omni.gateway.routing.catalogue import Catalogue
from omni.gateway.routing.listing import Listing
from omni.gateway.routing.requests import (
    BETA_HEADER,
    IMAGE_TOKENS,
    Asked,
    read_request,
    with_beta,
)
from omni.gateway.routing.router import Ask
from omni.gateway.routing.ways import Served, Way
from omni.gateway.streams import ModelStreams, StreamPlan
from omni.gateway.upstream.answers import BackendResponse, ClientGone
from omni.kit.clock import unix_micros
from omni.kit.errors import InvalidInput, OmniError
from omni.providers.formats.texts import answered_text, asked_text

_CLIENT_CLOSED_STATUS = 499
_PRINCIPAL_LINE = PRINCIPAL_HEADER.encode("ascii")


Begun = tuple[Served, BackendResponse | Exception, Sequence[Target]]
"""A call that was sent, the answer to it, and the targets to try then."""


class ModelService:
    """Serves the routes that name a model."""

    def __init__(
        self,
        catalogue: Catalogue,
        attempts: Attempts,
        streams: ModelStreams,
        ledger: Ledger,
        prices: Prices,
        observers: Observers,
        config: GatewayConfig,
    ) -> None:
        self.catalogue = catalogue
        self.attempts = attempts
        self._streams = streams
        self._ledger = ledger
        self._metrics = observers.metrics
        self._logger = observers.logger
        self._spans = observers.spans
        self._loop = asyncio.get_running_loop()
        self._timeout_seconds = config.request_timeout_seconds
        self._secret = config.principal_secret
        self.planner = Planner(prices)
        self.listing = Listing(catalogue)
        self._tokens = TokenCounter()
        self.extras: ExtrasService | None = None
        """For callers that are not plain."""

    def serves(self, route: Route, content_type: bytes, body: bytes) -> Asked | None:
        """The request, when its model is in the catalogue or only a provider could have it; None = the backend's own.

        Raises InvalidInput.
        """
        operation = route.operation
        assert operation is not None
        if not route.endpoint.backend:
            return read_request(operation, content_type, body)
        if not self.catalogue.table.models:
            return None
        try:
            asked = read_request(operation, content_type, body)
        except InvalidInput:
            return None  # the backend says what it expects
        return asked if asked.request.model in self.catalogue.table.models else None

    def refuse_denied(self, caller: Caller, route: Route, content_type: bytes, body: bytes) -> None:
        """Raises NotFound when the tenant's policies deny a model of the backend's, InvalidInput when none is named."""
        assert route.operation is not None
        name = read_request(route.operation, content_type, body).request.model
        if not caller.may_use(name):
            self.catalogue.model(name, route.operation, caller.may_use)

    def serve(self, exchange: Exchange, caller: Caller, route: Route, asked: Asked) -> Awaitable[None]:
        """Admits, sends, answers and settles. Raises OmniError or Refused before an answer has begun."""
        if BETA_HEADER in exchange.headers:
            asked = with_beta(asked, exchange.headers[BETA_HEADER])
        if caller.plain or self.extras is None:
            return self.serve_by_target(exchange, caller, route, asked)
        return self.extras.serve(exchange, caller, route, asked)

    async def serve_by_target(
        self, exchange: Exchange, caller: Caller, route: Route, asked: Asked, extras: Extras | None = None
    ) -> None:
        """The same, past policies on requests and response cache."""
        at_micros = unix_micros()
        limits = caller.limits(at_micros)
        request = asked.request
        model = self.catalogue.model(request.model, request.operation, caller.may_use)
        plan = self.planner.plan(caller, asked, model, limits, at_micros, in_batch=exchange.in_batch)
        plan.extras = extras
        ticket = await self._ledger.admit(limits, caller.events(route), exchange.request_id, at_micros, plan.reserved)
        ticket.is_asked_again = exchange.in_batch
        try:
            plan.narrow(ticket)
            if extras is not None:
                extras.admitted(ticket, narrowed=plan.ceiling is not None)
            await self._send_and_settle(exchange, plan, ticket)
        finally:
            self._ledger.abandon(ticket)

    # --- before ---

    # --- on the way ---

    async def from_admission(
        self, exchange: Exchange, plan: Plan, ticket: Ticket, deadline: float, begun: Begun | None = None
    ) -> None:
        """Goes on with a request that was admitted and has time until `deadline` (the loop's), from an answer to its
        first call where that is `begun`.

        Raises OmniError before an answer has begun.
        """
        try:
            await self._send_and_settle(exchange, plan, ticket, deadline, begun)
        finally:
            self._ledger.abandon(ticket)

    async def from_answer(self, exchange: Exchange, plan: Plan, ticket: Ticket, served: Served) -> None:
        """The same from a whole answer, or a stream that begins."""
        try:
            await self._settle_and_answer(exchange, plan, ticket, served)
        finally:
            self._ledger.abandon(ticket)

    async def _send_and_settle(
        self, exchange: Exchange, plan: Plan, ticket: Ticket, deadline: float | None = None, begun: Begun | None = None
    ) -> None:
        extras = plan.extras
        tracing: CallTracing | None = None
        failure: OmniError | ClientGone
        if self._spans is not None and exchange.is_traced(self._spans):
            tracing = CallTracing(self._spans, exchange.begin_trace(), ticket.id)
        try:
            way = self._way(exchange, plan, ticket)
            way.tracing, exchange.tried = tracing, way.tried
            if deadline is not None:
                way.deadline = deadline
            if extras is not None:
                await extras.before_sending(way)
            served = await (self.attempts.serve(way) if begun is None else self.attempts.go_on(way, *begun))
        except (OmniError, ClientGone) as error:
            failure = error
        else:
            self._metrics.calls.first_byte.add(served.first_byte_seconds)
            await self._settle_and_answer(exchange, plan, ticket, served)
            return
        if isinstance(failure, OmniError):
            await self._settle_unserved(exchange, plan, ticket, failure)
        else:
            await self._settle_gone(exchange, plan, ticket, tracing)

    async def _settle_and_answer(self, exchange: Exchange, plan: Plan, ticket: Ticket, served: Served) -> None:
        extras = plan.extras
        if served.answer is None:
            stream_plan = self._stream_plan(plan, served)
            if extras is not None:
                stream_plan = extras.streamed(served, stream_plan)
            await self._streams.relay(exchange, served, ticket, stream_plan)
            return
        answer = served.answer
        if answer.status < 400 and (answer.usage is None or not answer.usage.quantities):
            outcome = await self._estimated(plan, served, answer)
        else:
            outcome = self.planner.outcome(plan, served, answer.status, answer.usage)
        refusal: OmniError | None = None
        if extras is not None:
            answer, refusal = await extras.answered(answer, outcome)
        outcome.duration_micros = unix_micros() - ticket.occurred_at_micros
        call_settled(served, outcome, whole_error(served.answer.status))
        try:
            await self._ledger.settle(ticket, outcome)
        except OSError:
            raise unrecorded() from None
        if refusal is not None:
            raise refusal
        exchange.respond(answer.status, b"content-type: %b\r\n%b" % (answer.content_type, ticket.headers), answer.body)

    def _way(self, exchange: Exchange, plan: Plan, ticket: Ticket) -> Way:
        headers, caller = exchange.headers, plan.caller
        seconds = seconds_allowed(headers, self._timeout_seconds)
        if plan.extras is not None:
            seconds = max(0.0, seconds - (self._loop.time() - exchange.started_at))
        head = b"x-request-id: %b\r\n" % ticket.id
        hands_on = b"traceparent" in headers or (self._spans is not None and exchange.is_traced(self._spans))
        if hands_on:
            head = b"traceparent: %b\r\n%b" % (exchange.begin_trace(self._spans).header(), head)
        deadline_micros = ticket.occurred_at_micros + int(seconds * 1_000_000)

        def backend_head() -> bytes:
            principal = caller.principal(UUID(exchange.request_id), deadline_micros, self._secret, routed=True)
            lines = b"%b: %b\r\nomni-deadline-micros: %d\r\n" % (_PRINCIPAL_LINE, principal, deadline_micros)
            if not hands_on:
                lines += b"traceparent: %b\r\n" % exchange.begin_trace().header()
            return lines

        def ask() -> Ask:
            tags = headers.get(b"omni-tags", b"").decode("latin-1").split(",")
            region = headers.get(b"omni-region", b"").decode("latin-1")
            return plan.ask(region, frozenset(tag.strip() for tag in tags if tag.strip()))

        deadline = self._loop.time() + seconds
        return Way(
            plan.request(), plan.model, caller, ask, exchange.is_batch, deadline, exchange.watch, head, backend_head
        )

    async def _settle_unserved(self, exchange: Exchange, plan: Plan, ticket: Ticket, error: OmniError) -> None:
        """No target gave an answer: nothing is billed, and the error is raised."""
        if error.code == "operation_not_supported" and plan.asked.request.operation == "count_tokens":
            await self._count_here(exchange, plan, ticket)
            return
        outcome = give_back(error.status)
        if plan.extras is not None:
            outcome.attributes = plan.extras.attributes
        try:
            await self._ledger.settle(ticket, outcome)
        except OSError:
            raise unrecorded() from None
        raise error

    async def _settle_gone(self, exchange: Exchange, plan: Plan, ticket: Ticket, tracing: CallTracing | None) -> None:
        """The client left before an answer: the provider had its input."""
        exchange.status = _CLIENT_CLOSED_STATUS
        quantities = {meter: count for meter, count in plan.likely.items() if meter != OUTPUT_TOKENS}
        if plan.in_batch:
            quantities = in_batch(quantities)
        outcome = Outcome(_CLIENT_CLOSED_STATUS, quantities, plan.model.name, 0, {"estimated": "client_left/bytes"})
        if tracing is not None:
            tracing.settled_gone(outcome)
        try:
            await self._ledger.settle(ticket, outcome)
        except OSError as error:
            self._logger.error("usage_not_recorded", **exchange.ids(), error=error)

    # --- after ---

    async def _estimated(self, plan: Plan, served: Served, answer: Answer) -> Outcome:
        """What a whole answer is charged whose provider counted nothing: tokens as we count them, and it says so."""
        quantities, attributes = dict(plan.likely), dict(served.leg.attributes)
        if AUDIO_MS in quantities:
            attributes["estimated"] = "no_usage/bytes"
        if INPUT_TOKENS in quantities:
            read = await self._input_tokens(plan.asked)
            quantities[INPUT_TOKENS] = read.tokens
            attributes["estimated"] = f"no_usage/{read.how}"
        if OUTPUT_TOKENS in quantities:
            quantities[OUTPUT_TOKENS] = (await self._tokens.count(answered_text(answer.body))).tokens
        return plan.charged(served, Outcome(answer.status, quantities, plan.model.name, 0, attributes))

    async def _input_tokens(self, asked: Asked) -> Counted:
        counted = await self._tokens.count(asked_text(asked.request.fields))
        return Counted(counted.tokens + IMAGE_TOKENS * asked.images, counted.how)

    async def _count_here(self, exchange: Exchange, plan: Plan, ticket: Ticket) -> None:
        """Answers a question for the count of tokens that no provider of the model answers."""
        counted = await self._input_tokens(plan.asked)
        quantities = in_batch(ONE_REQUEST) if plan.in_batch else ONE_REQUEST
        outcome = Outcome(200, quantities, plan.model.name, unix_micros() - ticket.occurred_at_micros)
        outcome.attributes["estimated"] = f"no_usage/{counted.how}"
        try:
            await self._ledger.settle(ticket, outcome)
        except OSError:
            raise unrecorded() from None
        exchange.respond(200, JSON + ticket.headers, b'{"input_tokens":%d}' % counted.tokens)

    def _stream_plan(self, plan: Plan, served: Served) -> StreamPlan:
        def outcome(status: int, usage: Usage | None, text_bytes: int, estimated: str | None) -> Outcome:
            if estimated is None:
                return self.planner.outcome(plan, served, status, usage)
            counted = dict(usage.quantities) if usage is not None else {}
            if not any(meter in INPUT_METERS for meter in counted):
                counted[INPUT_TOKENS] = plan.likely.get(INPUT_TOKENS, 0)
            written = sum(count for meter, count in counted.items() if meter in OUTPUT_METERS)
            if text_bytes:
                counted[OUTPUT_TOKENS] = counted.get(OUTPUT_TOKENS, 0) + max(
                    0, math.ceil(text_bytes / BYTES_PER_TOKEN) - written
                )
            attributes = {**served.leg.attributes, "estimated": f"{estimated}/bytes"}
            return plan.charged(served, Outcome(status, {REQUESTS: 1, **counted}, plan.model.name, 0, attributes))

        output = plan.rates.get(OUTPUT_TOKENS)
        return StreamPlan(outcome, output.price_nanos / output.per_quantity / BYTES_PER_TOKEN if output else 0.0)
