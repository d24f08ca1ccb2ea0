"""Realtime sessions from their handshake to their settlement: admit → dial → pass → settle."""

from __future__ import annotations

import asyncio

from omni.contracts.money import amount_nanos
from omni.contracts.routes import ModelRoute
from omni.contracts.usage import INPUT_AUDIO_TOKENS, INPUT_TOKENS, OUTPUT_AUDIO_TOKENS, OUTPUT_TOKENS, REQUESTS
from omni.gateway.access.auth import Caller
from omni.gateway.admission.charges import charged
from omni.gateway.admission.events import Outcome
from omni.gateway.admission.ledger import Ledger, Ticket, give_back, one_request
from omni.gateway.admission.limits import Reserved
from omni.gateway.admission.prices import Prices
from omni.gateway.config import GatewayConfig
from omni.gateway.edge.errors import JSON, unrecorded
from omni.gateway.edge.exchange import Exchange
from omni.gateway.edge.handshake import Opening
from omni.gateway.edge.routes import Route
from omni.gateway.observers import Observers
from omni.gateway.realtime.dial import Dialler, Line, ProviderSays, Wish
from omni.gateway.realtime.session import End, Session
from omni.gateway.routing.attempts import Attempts
from omni.gateway.routing.catalogue import Catalogue
from omni.gateway.routing.requests import MODEL_METERS
from omni.gateway.routing.router import Ask
from omni.gateway.upstream.answers import ClientGone
from omni.kit.clock import unix_micros
from omni.kit.errors import Forbidden, OmniError
from omni.providers.openai.realtime import RealtimeMeter

_SWITCHED_STATUS, _CLIENT_CLOSED_STATUS = 101, 499
_POLICY_CLOSED, _RESTARTS, _TRY_LATER = 1008, 1012, 1013
_PROGRESS_SECONDS = 1.0
_LIKELY_INPUT_TOKENS, _LIKELY_OUTPUT_TOKENS = 512, 512
"""Of one response: about half a minute of speech, and as much of what was said before."""


class _Open:
    """One session that is being passed on."""

    def __init__(self, exchange: Exchange, line: Line, ticket: Ticket, model: str, next_nanos: int) -> None:
        self.exchange = exchange
        self.line = line
        self.ticket = ticket
        self.model = model
        self.next_nanos = next_nanos
        """What the next response probably costs at most."""
        self.meter = RealtimeMeter(_LIKELY_INPUT_TOKENS)
        self.session: Session
        self.extension: asyncio.Task[None] | None = None
        self.paid_nanos = 0
        self.reports = 0
        self.due = False
        """Whether the provider has said something of usage that was not looked at."""
        self.renewed_at = 0.0
        self.renewed: dict[str, int] = {}

    def outcome(self, status: int, why: str) -> Outcome:
        """How far it has come; `why` says why a response under way is estimated."""
        target, meter = self.line.target, self.meter
        attributes = {"provider": target.provider, "target": target.id}
        if meter.under_way:
            attributes["estimated"] = f"{why}/bytes"
        elif meter.uncounted:
            attributes["estimated"] = "no_usage/bytes"
        quantities = charged({REQUESTS: 1, **meter.so_far()}, target, own_key=self.line.own_key)
        duration_micros = unix_micros() - self.ticket.occurred_at_micros
        return Outcome(status, quantities, self.model, duration_micros, attributes)


class RealtimeService:
    """All realtime sessions of this process."""

    def __init__(
        self,
        catalogue: Catalogue,
        attempts: Attempts,
        ledger: Ledger,
        prices: Prices,
        observers: Observers,
        config: GatewayConfig,
    ) -> None:
        self._catalogue = catalogue
        self._dialler = Dialler(catalogue, attempts, observers, config)
        self._ledger = ledger
        self._prices = prices
        self._metrics = observers.metrics
        self._logger = observers.logger
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._open: set[_Open] = set()

    @property
    def open_sessions(self) -> int:
        return len(self._open)

    async def serve(self, exchange: Exchange, caller: Caller, route: Route, opening: Opening) -> None:
        """Raises OmniError, Refused or ClientGone before the connection has become a WebSocket."""
        _check_policies(caller)
        at_micros = unix_micros()
        model = self._catalogue.model(opening.model, "realtime", caller.may_use)
        if caller.key.mode != "live":
            raise Forbidden("test_key_not_allowed", "Test keys reach the platform's own engines only: use a live key.")
        limits = caller.limits(at_micros)
        reserved = Reserved(0, _LIKELY_INPUT_TOKENS + _LIKELY_OUTPUT_TOKENS)
        next_nanos = self._likely_nanos(model, at_micros)
        if limits.moneys:
            reserved.nanos = self._reservation(model, next_nanos, at_micros)
        ticket = await self._ledger.admit(limits, caller.events(route), exchange.request_id, at_micros, reserved)
        try:
            line = await self._dial(exchange, caller, model, ticket, opening)
            if line is not None:
                await self._pass_on(_Open(exchange, line, ticket, model.name, next_nanos), opening)
        finally:
            self._ledger.abandon(ticket)

    def _likely_nanos(self, model: ModelRoute, at_micros: int) -> int:
        rates = self._prices.rates(model.name, at_micros)
        return max(
            amount_nanos({INPUT_TOKENS: _LIKELY_INPUT_TOKENS, OUTPUT_TOKENS: _LIKELY_OUTPUT_TOKENS}, rates),
            amount_nanos({INPUT_AUDIO_TOKENS: _LIKELY_INPUT_TOKENS, OUTPUT_AUDIO_TOKENS: _LIKELY_OUTPUT_TOKENS}, rates),
        )

    def _reservation(self, model: ModelRoute, next_nanos: int, at_micros: int) -> int:
        if MODEL_METERS["realtime"] <= self._prices.rates(model.name, at_micros).keys():
            return next_nanos
        if model.unpriced == "refuse":
            raise Forbidden(
                "model_unpriced",
                f"The model {model.name} has no price yet, so a budget cannot be held. Ask the operator.",
            )
        return max(next_nanos, model.flat_nanos)

    # --- the handshake ---

    async def _dial(
        self, exchange: Exchange, caller: Caller, model: ModelRoute, ticket: Ticket, opening: Opening
    ) -> Line | None:
        """The open line; None when the client has the provider's own refusal. Raises OmniError or ClientGone."""
        trace = exchange.begin_trace()

        def ask() -> Ask:
            tags = exchange.headers.get(b"omni-tags", b"").decode("latin-1").split(",")
            return Ask(
                tenant=str(caller.key.tenant_id),
                region=exchange.headers.get(b"omni-region", b"").decode("latin-1"),
                tags=frozenset(tag.strip() for tag in tags if tag.strip()),
                input_tokens=_LIKELY_INPUT_TOKENS,
                output_tokens=_LIKELY_OUTPUT_TOKENS,
                user=caller.key.key_id.hex,
            )

        deadline = self._loop.time() + self._config.request_timeout_seconds
        head = b"traceparent: %b\r\nx-request-id: %b\r\n" % (trace.header(), ticket.id)
        wish = Wish(model, caller, ask, deadline, exchange.watch, head, opening.beta)
        try:
            if exchange.gone:
                raise ClientGone
            return await self._dialler.open(wish)
        except ProviderSays as said:
            await self._settle_unopened(ticket, give_back(said.answer_status))
            exchange.respond(said.answer_status, JSON + ticket.headers, said.body)
            return None
        except OmniError as error:
            await self._settle_unopened(ticket, give_back(error.status))
            raise
        except ClientGone:
            await self._settle_unopened(ticket, one_request(_CLIENT_CLOSED_STATUS))
            raise

    async def _settle_unopened(self, ticket: Ticket, outcome: Outcome) -> None:
        try:
            await self._ledger.settle(ticket, outcome)
        except OSError:
            raise unrecorded() from None

    # --- the session ---

    async def _pass_on(self, item: _Open, opening: Opening) -> None:
        exchange, ticket = item.exchange, item.ticket
        session = item.session = Session(self._config, item.meter, lambda: self._heard(item))
        try:
            upstream = item.line.transport()
            head = opening.answer(b"x-request-id: %b\r\n%b" % (ticket.id, ticket.headers))
            session.client.transport = exchange.connection.hand_over(session.client, head)
        except (OmniError, ClientGone) as error:
            item.line.dial.abort_request(1, error)
            left = isinstance(error, ClientGone)
            await self._settle_unopened(ticket, one_request(_CLIENT_CLOSED_STATUS) if left else give_back(502))
            raise
        exchange.status = _SWITCHED_STATUS
        session.provider.transport = upstream
        upstream.set_protocol(session.provider)
        self._open.add(item)
        try:
            session.begin(item.line.rest)
            end = await session.ended
            if item.extension is not None:
                await item.extension
            outcome = item.outcome(end.status, end.why)
            item.line.calls.billed(outcome.quantities)
            try:
                await self._ledger.settle(ticket, outcome)
            except OSError as error:
                self._logger.error("usage_not_recorded", **exchange.ids(), error=error)
            session.finish(end)
            exchange.status = end.status
        finally:
            self._open.discard(item)
            if not session.ended.done():
                session.abort()

    # --- money ---

    def _heard(self, item: _Open) -> None:
        if item.reports != item.meter.reports:
            item.reports, item.due = item.meter.reports, True
            self._watch(item)

    def _watch(self, item: _Open) -> None:
        """Asks for more as soon as what is reserved does not cover what was used and what comes next."""
        ticket = item.ticket
        if item.extension is not None or not ticket.limits.moneys or item.session.ended.done():
            return
        item.due = False
        so_far = item.outcome(0, "lease_ran_out")
        spent = self._ledger.price(ticket, so_far) or 0
        comes = 0
        if not item.meter.under_way:
            item.next_nanos = max(item.next_nanos, spent - item.paid_nanos)
            item.paid_nanos = spent
            comes = item.next_nanos
        if spent + comes <= ticket.reserved.nanos:
            return
        item.session.provider.hold()
        item.extension = self._loop.create_task(self._extend(item, so_far, spent))

    async def _extend(self, item: _Open, so_far: Outcome, spent: int) -> None:
        end: End | None = End(429, "budget_exceeded", _POLICY_CLOSED, "budget_exceeded")
        for more in (item.next_nanos, item.next_nanos // 4):
            granted = await self._ledger.extend(item.ticket, so_far, spent + more + 1)
            if granted is None:
                end = End(503, "limits_unavailable", _TRY_LATER, "limits_unavailable")
                break
            if granted:
                end = None
                break
        item.extension = None
        item.renewed_at = self._loop.time()
        if end is not None:
            item.session.stop(end)
        item.session.provider.let_go()

    # --- time ---

    def tick(self, now: float) -> None:
        """Looks after every session. Called a few times a second."""
        for item in list(self._open):
            item.session.tick(now)
            if item.extension is not None or item.session.ended.done():
                continue
            if item.due or item.meter.under_way:
                self._watch(item)
            if item.extension is None and now - item.renewed_at > _PROGRESS_SECONDS:
                item.renewed_at = now
                self._renew(item)

    def _renew(self, item: _Open) -> None:
        """Has a lease that runs out charge what was used so far."""
        found = item.meter.so_far()
        if found != item.renewed:
            item.renewed = found
            item.extension = self._loop.create_task(self._tell(item))

    async def _tell(self, item: _Open) -> None:
        await self._ledger.extend(item.ticket, item.outcome(0, "lease_ran_out"), 0)
        item.extension = None

    def stop(self) -> None:
        """Ends every session: the server is shutting down."""
        for item in list(self._open):
            item.session.stop(End(503, "server_shutdown", _RESTARTS, "server_shutdown"))


def _check_policies(caller: Caller) -> None:
    if caller.plain:
        return
    policies = caller.tenant.policies
    looks = (policies.personal_data, policies.prompt_injection, policies.moderation)
    if looks != ("off", "off", "off") or policies.max_output_tokens is not None:
        raise Forbidden(
            "realtime_not_allowed",
            "This account's policies look at requests and answers, which a realtime session would get past.",
        )
