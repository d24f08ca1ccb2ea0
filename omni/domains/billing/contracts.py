"""What others see of invoices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One meter at one price."""

    meter: str
    quantity: int
    events: int
    price_nanos: int
    per_quantity: int
    amount_minor: int
    model: str = ""
    """The model whose own price this is; empty for prices of every model."""


@dataclass(frozen=True, slots=True)
class DraftInvoice:
    """What a tenant owes for a month as far as it is known now."""

    tenant_id: UUID
    period_start: datetime
    period_end: datetime
    currency: str
    lines: tuple[InvoiceLine, ...]
    unpriced: tuple[str, ...]
    """Meters that were used and have no price."""

    @property
    def total_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)
