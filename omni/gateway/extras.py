"""What a tenant's policies and response cache add to a request for a model. Plain callers never come here.

request → policies → cache: a hit is admitted, settled at its own price and given back; a miss goes on to a target, and
its answer comes back through the policies and is stored as the client gets it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from omni.contracts.usage import CACHED_REQUESTS, COST_NANOS
from omni.contracts.wire import Answer, ModelRequest, StreamTranslator
from omni.gateway.access.auth import Caller
from omni.gateway.admission.events import Outcome
from omni.gateway.admission.ledger import Ledger, Ticket, give_back
from omni.gateway.admission.limits import Reserved
from omni.gateway.admission.prices import Prices
from omni.gateway.cache.capture import Capture, CapturedStream, is_complete
from omni.gateway.cache.entries import Entry, Hit
from omni.gateway.cache.keys import engine_digest
from omni.gateway.cache.replay import STREAMED, as_stream
from omni.gateway.cache.service import Asker, Look, ResponseCache
from omni.gateway.config import GatewayConfig
from omni.gateway.edge.errors import unrecorded
from omni.gateway.edge.exchange import Exchange
from omni.gateway.edge.routes import Route
from omni.gateway.policies.hooks import UNMODERATED, Blocked, Guard, Policies
from omni.gateway.policies.moderation import ModeratedStream, Moderator, Subject, moderation_blocked
from omni.gateway.policies.stream_redaction import RedactedStream
from omni.gateway.policies.texts import ANSWER_TEXTS, REQUEST_TEXTS, places
from omni.gateway.routing.catalogue import Catalogue
from omni.gateway.routing.requests import Asked
from omni.gateway.routing.ways import Served, Way
from omni.gateway.streams import StreamPlan
from omni.gateway.upstream.answers import ClientGone
from omni.kit.clock import unix_micros
from omni.kit.errors import InvalidInput, OmniError
from omni.providers.formats.chat import EVENT_STREAM

if TYPE_CHECKING:
    from omni.gateway.models import ModelService

_STREAM_LINES = b"content-type: %b\r\ncache-control: no-store\r\nx-accel-buffering: no\r\n" % EVENT_STREAM
_GONE_STATUSES = frozenset((0, 408, 429, 499))
"""Ways of ending that say nothing of what the same request of somebody else would get."""


def seconds_allowed(headers: Mapping[bytes, bytes], most: float) -> float:
    """How long a request may take in all. Raises InvalidInput `invalid_timeout`."""
    asked_ms = headers.get(b"omni-timeout-ms")
    if asked_ms is None:
        return most
    if not asked_ms.isdigit() or not 0 < len(asked_ms) < 10:
        raise InvalidInput("invalid_timeout", "omni-timeout-ms must be a whole number of milliseconds.")
    return min(most, int(asked_ms) / 1000)


def lowest(ceiling: int, other: int | None) -> int:
    """The lower of two ceilings."""
    return ceiling if other is None else min(ceiling, other)


class _CallWithStream:
    """A call whose stream goes through more hands."""

    def __init__(self, inner: Served, translator: StreamTranslator) -> None:
        self._inner = inner.call
        self._translator = translator
        self.request = inner.call.request

    @property
    def content_type(self) -> bytes:
        return self._inner.content_type

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        return self._inner.answer(status, content_type, body)

    def error(self, status: int, body: bytes) -> Answer:
        return self._inner.error(status, body)

    def stream(self) -> StreamTranslator:
        return self._translator


class Extras:
    """The policies and the look-up of one request on its way to a target and back."""

    __slots__ = ("_asked", "_cache", "_capture", "_entry", "_guard", "_look", "_moderator", "_narrowed", "_subject",
                 "_translator")  # fmt: skip

    def __init__(
        self, asked: Asked, guard: Guard | None, look: Look | None, cache: ResponseCache, moderator: Moderator
    ) -> None:
        self._asked = asked
        self._guard = guard
        self._look = look
        self._cache = cache
        self._moderator = moderator
        self._narrowed = False
        self._subject: Subject | None = None
        self._entry: Entry | None = None
        self._capture: Capture | None = None
        self._translator: StreamTranslator | None = None

    @property
    def attributes(self) -> dict[str, str]:
        """What the usage event says of policies."""
        return self._guard.attributes if self._guard is not None else {}

    @property
    def _moderates(self) -> bool:
        guard = self._guard
        return guard is not None and guard.policies.moderates and self._asked.request.operation not in UNMODERATED

    def admitted(self, ticket: Ticket, *, narrowed: bool) -> None:
        """`narrowed`: the answer may be shorter than what was asked for, so that it is nobody else's."""
        self._narrowed = narrowed
        if self._look is not None:
            missed = b"miss" if self._look.outcome == "miss" else b"bypass"
            ticket.headers += b"omni-cache: %b\r\n" % missed
        if self._guard is not None:
            ticket.headers += self._guard.policies.header_lines

    async def before_sending(self, way: Way) -> None:
        """Raises InvalidInput `moderation_blocked`, or what Moderator.flags raises."""
        if self._moderates:
            self._subject = Subject(way.caller, way.ask, way.head, way.backend_head)
            texts = [place.text for place in places(dict(way.request.fields), REQUEST_TEXTS)]
            if await self._flags(texts):
                raise moderation_blocked("request")

    async def answered(self, answer: Answer, outcome: Outcome) -> tuple[Answer, OmniError | None]:
        """The answer as the client gets it, or the refusal to give it; the outcome says which."""
        if answer.status != 200:
            return answer, None
        guard = self._guard
        refusal: OmniError | None = None
        if guard is not None:
            refusal = await self._judged(answer)
            if refusal is None:
                answer = replace(answer, body=await guard.answer(answer.content_type, answer.body))
            else:
                outcome.status = refusal.status
                if refusal.status >= 500:  # not billed, though the provider charges for it
                    outcome.quantities = {
                        meter: count for meter, count in outcome.quantities.items() if meter == COST_NANOS
                    }
            outcome.attributes = outcome.attributes | guard.attributes
        wanted = refusal is None and self._look is not None and self._look.stores and not self._narrowed
        if wanted and is_complete(self._asked.request.operation, answer.body):
            self._entry = Entry(answer.content_type, answer.body, unix_micros())
        return answer, refusal

    def streamed(self, served: Served, plan: StreamPlan) -> StreamPlan:
        """Puts policies and capture between target and client."""
        operation = self._asked.request.operation
        translator = served.call.stream()
        guard = self._guard
        if guard is not None:
            if self._moderates:
                served.response = ModeratedStream(served.response, served.call.stream(), self._flags)
            if guard.policies.snapshot.personal_data != "off":
                translator = RedactedStream(translator, guard.placeholders)
        if self._look is not None and self._look.stores and not self._narrowed and operation in STREAMED:
            # Events have more around the text than a whole answer has.
            self._capture = Capture(operation, 4 * self._cache.entry_limit_bytes)
            translator = CapturedStream(translator, self._capture)
        served.call = _CallWithStream(served, translator)
        self._translator = translator
        if guard is None:
            return plan
        return replace(plan, outcome=lambda *said: _noted(plan.outcome(*said), guard))

    async def close(self, status: int) -> None:
        """Stores what there is to store, when the exchange has ended with this status (0 = an error)."""
        look, translator = self._look, self._translator
        if look is None:
            return
        entry = self._entry
        if self._capture is not None and translator is not None and status == 200 and translator.failed is None:
            whole = self._capture.whole(translator.usage)
            if whole is not None and is_complete(self._asked.request.operation, whole):
                entry = Entry(b"application/json", whole, unix_micros())
        served = status < 500 and status not in _GONE_STATUSES
        await self._cache.close(look, entry if served else None, served=served)

    async def _judged(self, answer: Answer) -> OmniError | None:
        if not self._moderates:
            return None
        try:
            flagged = await self._flags(_texts_of(answer))
        except OmniError as error:
            return error
        return moderation_blocked("answer") if flagged else None

    async def _flags(self, texts: list[str]) -> bool:
        assert self._subject is not None
        assert self._guard is not None
        try:
            flagged = await self._moderator.flags(texts, self._subject)
        except OmniError:
            self._guard.decide("moderation", "failed")
            raise
        if flagged:
            self._guard.decide("moderation", "blocked")
        return flagged


def _noted(outcome: Outcome, guard: Guard) -> Outcome:
    outcome.attributes = outcome.attributes | guard.attributes
    return outcome


def _texts_of(answer: Answer) -> list[str]:
    if b"json" in answer.content_type:
        return [place.text for place in places(orjson.loads(answer.body), ANSWER_TEXTS)]
    return [answer.body.decode("utf-8", "replace")] if answer.content_type.startswith(b"text/") else []


Given = tuple[bytes, bytes, str]
"""Header lines, body and model of an answer that is given again."""


def _rendered(hit: Hit, request: ModelRequest) -> Given | None:
    """The entry in the form that the request asks for; None where it cannot have it."""
    entry = hit.entry
    if not request.stream or request.operation not in STREAMED:
        return b"content-type: %b\r\n" % entry.content_type, entry.body, request.model
    try:
        return _STREAM_LINES, as_stream(request, entry.body), request.model
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


class Kept:
    """What an engine answered, if it may be given again, and the header lines that say where it comes from."""

    __slots__ = ("entry", "headers")

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.headers = b""

    def answered(self, status: int, content_type: bytes, body: bytes) -> None:
        if status == 200:
            self.entry = Entry(content_type, body, unix_micros())


class ExtrasService:
    """Serves the callers that are not plain."""

    def __init__(
        self, models: ModelService, catalogue: Catalogue, ledger: Ledger, prices: Prices, cache: ResponseCache,
        policies: Policies, config: GatewayConfig,
    ) -> None:  # fmt: skip
        self._models = models
        self._catalogue = catalogue
        self._ledger = ledger
        self._prices = prices
        self._cache = cache
        self._policies = policies
        self._timeout_seconds = config.request_timeout_seconds

    @property
    def policy_sets(self) -> int:
        """How many sets of policies are in use."""
        return len(self._policies)

    async def serve(self, exchange: Exchange, caller: Caller, route: Route, asked: Asked) -> None:
        """As ModelService.serve, which it calls for what cannot be answered here."""
        guard = None
        if caller.tenant.policies.has_hooks:
            guard = self._policies.guard(caller.tenant.policies)
            asked = await self._through(guard, exchange, caller, route, asked)
        look = None
        if caller.tenant.cache_seconds > 0:
            self._catalogue.model(asked.request.model, asked.request.operation, caller.may_use)
            look = await self._cache.look_up(self._asker(exchange, caller, guard), asked.request)
            self._policies.metrics.cache.add(look.outcome)
        extras = Extras(asked, guard, look, self._cache, self._policies.moderator)
        try:
            if exchange.gone:
                raise ClientGone
            given = _rendered(look.hit, asked.request) if look is not None and look.hit is not None else None
            if look is not None and look.hit is not None and given is not None:
                await self._give(look.hit, given, exchange, caller, route, guard)
            else:
                await self._models.serve_by_target(exchange, caller, route, asked, extras)
        finally:
            await extras.close(exchange.status)

    async def serve_engine(
        self, exchange: Exchange, caller: Caller, route: Route, body: bytes, forward: Callable[[Kept], Awaitable[None]]
    ) -> None:
        """Answers what one of our engines has answered before; else `forward` does, and says what it got."""
        asker = self._asker(exchange, caller, None)
        models = b"*" if caller.models is None else "\n".join(sorted(caller.models)).encode()
        digest = engine_digest(route.name, b"%b\n%b" % (asker.scope, models), body)
        kept = Kept()
        if digest is None:
            await forward(kept)
            return
        look = await self._cache.look_up_digest(asker, digest)
        self._policies.metrics.cache.add(look.outcome)
        try:
            if exchange.gone:
                raise ClientGone
            if look.hit is not None:
                entry = look.hit.entry
                given = b"content-type: %b\r\n" % entry.content_type, entry.body, ""
                await self._give(look.hit, given, exchange, caller, route, None)
            else:
                kept.headers = b"omni-cache: %b\r\n" % (b"miss" if look.outcome == "miss" else b"bypass")
                await forward(kept)
        finally:
            served = 0 < exchange.status < 500 and exchange.status not in _GONE_STATUSES
            await self._cache.close(look, kept.entry if served and look.stores else None, served=served)

    async def _through(self, guard: Guard, exchange: Exchange, caller: Caller, route: Route, asked: Asked) -> Asked:
        """The request as policies let it go on. One that is refused is settled, and not billed."""
        if guard.policies.moderates and asked.request.operation not in UNMODERATED:
            self._policies.moderator.model()
        try:
            request = await guard.request(asked.request)
        except Blocked as blocked:
            guard.decide(blocked.policy, "blocked")
            outcome = give_back(blocked.error.status)
            outcome.attributes = guard.attributes
            if request_model := self._catalogue.table.models.get(asked.request.model):
                outcome.model = request_model.name
            await self._settle_at_once(exchange, caller, route, outcome)
            raise blocked.error from None
        ceiling = asked.ceiling
        if request.max_output_tokens is not None:
            ceiling = lowest(request.max_output_tokens, ceiling or None)
        text_bytes = asked.text_bytes + len(request.body) - len(asked.request.body)
        return replace(asked, request=request, text_bytes=max(0, text_bytes), ceiling=ceiling)

    def _asker(self, exchange: Exchange, caller: Caller, guard: Guard | None) -> Asker:
        headers, tenant, key = exchange.headers, caller.tenant, caller.key
        scope = (
            key.tenant_id.bytes, key.mode.encode("ascii"), guard.policies.digest if guard is not None else bytes(32),
            headers.get(b"omni-region", b""), headers.get(b"omni-tags", b""),
        )  # fmt: skip
        deadline = exchange.started_at + seconds_allowed(headers, self._timeout_seconds)
        return Asker(
            key, tenant.cache_seconds, tenant.semantic_threshold_per_mille, b"\n".join(scope),
            headers.get(b"cache-control", b""), UUID(exchange.request_id), deadline,
        )  # fmt: skip

    async def _give(
        self, hit: Hit, given: Given, exchange: Exchange, caller: Caller, route: Route, guard: Guard | None
    ) -> None:
        """Gives an answer again: admitted like any request, settled at its own price."""
        lines, body, model = given
        attributes = {"cache": hit.kind, **(guard.attributes if guard is not None else {})}
        outcome = Outcome(200, {CACHED_REQUESTS: 1}, model, 0, attributes)
        ticket_headers = await self._settle_at_once(exchange, caller, route, outcome)
        headers = b"%bomni-cache: %b\r\nage: %d\r\n%b%b" % (
            lines, b"hit" if hit.kind == "exact" else b"semantic", hit.entry.age_seconds, ticket_headers,
            guard.policies.header_lines if guard is not None else b"",
        )  # fmt: skip
        exchange.respond(200, headers, body)

    async def _settle_at_once(self, exchange: Exchange, caller: Caller, route: Route, outcome: Outcome) -> bytes:
        """Admits a request whose outcome is known, and settles it; the header lines that go with it. Raises Refused."""
        at_micros = unix_micros()
        nanos = self._prices.amount(outcome.quantities, outcome.model, at_micros) or 0
        ticket = await self._ledger.admit(
            caller.limits(at_micros), caller.events(route), exchange.request_id, at_micros, Reserved(nanos, 0)
        )
        try:
            outcome.duration_micros = unix_micros() - at_micros
            await self._ledger.settle(ticket, outcome)
        except OSError:
            raise unrecorded() from None
        finally:
            self._ledger.abandon(ticket)
        return ticket.headers
