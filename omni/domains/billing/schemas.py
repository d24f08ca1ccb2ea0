"""Bodies of the invoice API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class InvoiceLineOut(BaseModel):
    """One meter at one price."""

    meter: str
    quantity: int = Field(description="In the meter's unit.")
    events: int = Field(description="Usage events that this line counts.")
    price_nanos: int
    per_quantity: int
    amount_minor: int = Field(description="In minor units of the currency (cents), rounded once, half-even.")
    model: str = Field("", description="The model whose own price this is; empty for prices of every model.")


class DraftInvoiceOut(BaseModel):
    """What the tenant owes for a month as far as it is known now."""

    tenant_id: UUID
    status: str = Field("draft", examples=["draft"])
    period_start: datetime
    period_end: datetime
    currency: str
    lines: list[InvoiceLineOut]
    unpriced: list[str] = Field(description="Meters that were used and have no price.")
    total_minor: int
    total: str = Field(description="The total for people.", examples=["12.34 EUR"])
