"""What the gateway knows of money: prices by model and meter, and each tenant's budgets and wallet.

All amounts are nano-units of the platform's currency, as integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import orjson

from omni.contracts import usage

Scope = Literal["tenant", "project", "key"]
Period = Literal["day", "month", "all"]

PRICE_FALLBACKS = {
    usage.CACHED_INPUT_TOKENS: usage.INPUT_TOKENS,
    usage.CACHE_WRITE_TOKENS: usage.INPUT_TOKENS,
    usage.INPUT_AUDIO_TOKENS: usage.INPUT_TOKENS,
    usage.INPUT_IMAGE_TOKENS: usage.INPUT_TOKENS,
    usage.REASONING_TOKENS: usage.OUTPUT_TOKENS,
    usage.OUTPUT_AUDIO_TOKENS: usage.OUTPUT_TOKENS,
    usage.OUTPUT_IMAGE_TOKENS: usage.OUTPUT_TOKENS,
}
"""A meter without a price of its own costs what this one costs."""

BATCH_DIVISOR = 2
"""What is used in a batch costs a half, where it has no price of its own."""

ANY_MODEL = ""
"""The model of prices that hold for every model that has none of its own for the meter."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_quantity` units cost `price_nanos`, from `valid_from_micros` (Unix) on."""

    valid_from_micros: int
    price_nanos: int
    per_quantity: int


def price_sources(meter: str) -> tuple[tuple[str, int], ...]:
    """The meters whose price a meter takes, the first that has one, and what that price is divided by."""
    plain = meter.removeprefix(usage.BATCH_PREFIX)
    divisor = 1 if plain == meter else BATCH_DIVISOR
    names = (plain, PRICE_FALLBACKS[plain]) if plain in PRICE_FALLBACKS else (plain,)
    sources = tuple((name, divisor) for name in names)
    return sources if plain == meter else ((meter, 1), *sources)


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Every price in the platform's currency: model → meter → rates, oldest first."""

    currency: str
    rates: dict[str, dict[str, tuple[Rate, ...]]]

    def to_json(self) -> bytes:
        rows = {
            model: {
                meter: [[rate.valid_from_micros, rate.price_nanos, rate.per_quantity] for rate in rates]
                for meter, rates in meters.items()
            }
            for model, meters in self.rates.items()
        }
        return orjson.dumps({"currency": self.currency, "rates": rows})

    @classmethod
    def from_json(cls, data: bytes) -> PriceBook:
        row: dict[str, Any] = orjson.loads(data)
        rates = {
            model: {meter: tuple(Rate(*rate) for rate in found) for meter, found in meters.items()}
            for model, meters in row["rates"].items()
        }
        return cls(row["currency"], rates)

    def rates_at(self, model: str, at_micros: int) -> dict[str, Rate]:
        """The rate of each meter that has one for this model at that instant.

        A model's own price goes before that of any model, and a meter's own before its fallback.
        """
        found: dict[str, Rate] = {}
        for name in (ANY_MODEL, model):
            for meter, rates in self.rates.get(name, {}).items():
                begun = [rate for rate in rates if rate.valid_from_micros <= at_micros]
                if begun:
                    found[meter] = begun[-1]
        for meter, fallback in PRICE_FALLBACKS.items():
            if meter not in found and fallback in found:
                found[meter] = found[fallback]
        for meter, rate in tuple(found.items()):
            if not meter.startswith(usage.BATCH_PREFIX):
                in_batch = Rate(rate.valid_from_micros, rate.price_nanos, BATCH_DIVISOR * rate.per_quantity)
                found.setdefault(usage.BATCH_PREFIX + meter, in_batch)
        return found


def amount_nanos(quantities: dict[str, int], rates: dict[str, Rate]) -> int:
    """What these quantities cost: each meter rounded up to a whole nano-unit; meters without a rate cost nothing."""
    total = 0
    for meter, quantity in quantities.items():
        rate = rates.get(meter)
        if rate is not None:
            total += -(-quantity * rate.price_nanos // rate.per_quantity)
    return total


@dataclass(frozen=True, slots=True)
class Budget:
    """A ceiling of spending. A soft one is only watched."""

    scope: Scope
    scope_id: UUID
    period: Period
    limit_nanos: int
    hard: bool


@dataclass(frozen=True, slots=True)
class MoneySnapshot:
    """A tenant's hard and soft budgets and, if it pays in advance, its wallet."""

    tenant_id: UUID
    budgets: tuple[Budget, ...] = ()
    credit_nanos: int | None = None
    """All credit ever granted, less what expired: the ceiling of everything ever spent; None = pays by invoice."""

    def to_json(self) -> bytes:
        budgets = [
            {"scope": b.scope, "scope_id": b.scope_id, "period": b.period, "limit_nanos": b.limit_nanos, "hard": b.hard}
            for b in self.budgets
        ]
        return orjson.dumps({"tenant_id": self.tenant_id, "budgets": budgets, "credit_nanos": self.credit_nanos})

    @classmethod
    def from_json(cls, data: bytes) -> MoneySnapshot:
        row: dict[str, Any] = orjson.loads(data)
        budgets = tuple(
            Budget(b["scope"], UUID(b["scope_id"]), b["period"], b["limit_nanos"], b["hard"]) for b in row["budgets"]
        )
        return cls(UUID(row["tenant_id"]), budgets, row["credit_nanos"])
