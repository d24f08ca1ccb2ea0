"""What one request for a model may cost, worked out before it is admitted, and what it did cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from omni.contracts.money import Rate, amount_nanos
from omni.contracts.routes import ModelRoute
from omni.contracts.usage import AUDIO_MS, BATCH_PREFIX, INPUT_TOKENS, OUTPUT_TOKENS, REQUESTS
from omni.contracts.wire import ModelRequest, Usage
from omni.gateway.access.auth import Caller
from omni.gateway.admission.charges import charged, in_batch
from omni.gateway.admission.estimates import Estimates
from omni.gateway.admission.events import Outcome
from omni.gateway.admission.ledger import Ticket
from omni.gateway.admission.limits import LimitSet, Reserved
from omni.gateway.admission.prices import Prices
from omni.gateway.extras import Extras, lowest
from omni.gateway.routing.requests import MODEL_METERS, Asked, expect
from omni.gateway.routing.router import Ask
from omni.gateway.routing.ways import Served
from omni.kit.errors import Forbidden


class Plan:
    """What one request may cost, worked out before it is admitted."""

    __slots__ = (
        "asked", "caller", "ceiling", "extras", "in_batch", "likely", "model", "rates", "reserved", "worst_output",
    )  # fmt: skip

    def __init__(
        self, caller: Caller, asked: Asked, model: ModelRoute, rates: dict[str, Rate], *, in_batch: bool
    ) -> None:
        self.in_batch = in_batch
        self.caller = caller
        self.asked = asked
        self.model = model
        self.rates = rates
        self.likely: dict[str, int] = {}
        """By meter, what it probably uses at most."""
        self.worst_output = 0
        """Output tokens in the worst case."""
        self.reserved = Reserved(0, 0)
        self.ceiling: int | None = None
        self.extras: Extras | None = None
        """What policies and response cache do to it; None = they are off."""

    def request(self) -> ModelRequest:
        """The client's request, with the ceiling that its answer gets."""
        request = self.asked.request
        if self.ceiling is None:
            return request
        return replace(request, max_output_tokens=lowest(self.ceiling, request.max_output_tokens))

    def ask(self, region: str, tags: frozenset[str]) -> Ask:
        """What of it decides its way."""
        key, likely = self.caller.key, self.likely
        return Ask(
            tenant=str(key.tenant_id),
            region=region,
            tags=tags,
            input_tokens=likely.get(INPUT_TOKENS, 0),
            output_tokens=likely.get(OUTPUT_TOKENS, 0),
            user=self.asked.user or key.key_id.hex,
        )

    def narrow(self, ticket: Ticket) -> None:
        """Lowers the most that an answer may have, when the ceilings would not bear the worst case."""
        room = ticket.room_nanos
        if room is None or not self.worst_output or self.asked.request.stream:
            return
        output, likely = self.rates.get(OUTPUT_TOKENS), self.likely[OUTPUT_TOKENS]
        if output is None or self.worst_output <= likely:
            return
        if (self.worst_output - likely) * output.price_nanos > room * output.per_quantity:
            self.ceiling = max(1, likely)

    def charged(self, served: Served, outcome: Outcome) -> Outcome:
        """The outcome as it is billed."""
        leg = served.leg
        if leg.own_key or leg.target.cost:
            outcome.quantities = charged(outcome.quantities, leg.target, own_key=leg.own_key)
        if self.in_batch:
            outcome.quantities = in_batch(outcome.quantities)
        return outcome


class Planner:
    """Makes plans by prices and by what requests before used."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._estimates = Estimates()
        self._priced: dict[tuple[str, str], tuple[dict[str, Rate], bool]] = {}
        """By model and operation, the rates that were looked at, and whether they have all that it takes."""

    def plan(
        self, caller: Caller, asked: Asked, model: ModelRoute, limits: LimitSet, at_micros: int, *, in_batch: bool
    ) -> Plan:
        """What a request is to be admitted at. Raises Forbidden `model_unpriced`."""
        request = asked.request
        rates = self._prices.rates(model.name, at_micros)
        if in_batch:
            rates = {meter: rates[BATCH_PREFIX + meter] for meter in rates if BATCH_PREFIX + meter in rates}
        plan = Plan(caller, asked, model, rates, in_batch=in_batch)
        likely = plan.likely
        plan.worst_output = expect(likely, asked, model, self._estimates)
        reserved = plan.reserved
        reserved.tokens = likely.get(INPUT_TOKENS, 0) + likely.get(OUTPUT_TOKENS, 0)
        if limits.moneys:
            reserved.nanos = amount_nanos(likely, rates)
            priced = self._priced.get((model.name, request.operation))
            if priced is None or priced[0] is not rates:
                found = MODEL_METERS.get(request.operation, _NO_METERS) <= rates.keys()
                priced = self._priced[model.name, request.operation] = (rates, found)
            if not priced[1]:
                if model.unpriced == "refuse":
                    raise Forbidden(
                        "model_unpriced",
                        f"The model {model.name} has no price yet, so a budget cannot be held. Ask the operator.",
                    )
                reserved.nanos = max(reserved.nanos, model.flat_nanos)
        return plan

    def outcome(self, plan: Plan, served: Served, status: int, usage: Usage | None) -> Outcome:
        """What an answer is charged: what the provider counted."""
        attributes = served.leg.attributes
        if status >= 400 or usage is None:
            return Outcome(
                status, {REQUESTS: 1} if status < 500 and status != 429 else {}, plan.model.name, 0, attributes
            )
        self._learn(plan, usage, complete=usage.final)
        quantities = {REQUESTS: 1, **usage.quantities}
        if AUDIO_MS in plan.likely and not any(meter in plan.rates for meter in usage.quantities):
            quantities[AUDIO_MS] = plan.likely[AUDIO_MS]  # sold by time, while the provider counts tokens
            attributes = {**attributes, "estimated": "no_usage/bytes"}
        return plan.charged(served, Outcome(status, quantities, plan.model.name, 0, attributes))

    def _learn(self, plan: Plan, usage: Usage, *, complete: bool) -> None:
        read = written = 0
        for meter, count in usage.quantities.items():
            if meter in INPUT_METERS:
                read += count
            elif meter in OUTPUT_METERS:
                written += count
        size = plan.asked.text_bytes if not plan.asked.images else 0
        self._estimates.observe(
            plan.model.name, size, read, written if complete and OUTPUT_TOKENS in plan.likely else None
        )


INPUT_METERS: Final = frozenset(
    (INPUT_TOKENS, "cached_input_tokens", "cache_write_tokens", "input_audio_tokens", "input_image_tokens")
)
OUTPUT_METERS: Final = frozenset((OUTPUT_TOKENS, "reasoning_tokens", "output_audio_tokens", "output_image_tokens"))
_NO_METERS: Final[frozenset[str]] = frozenset()
