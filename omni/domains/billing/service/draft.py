"""Use cases of billing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from omni.domains.billing.contracts import DraftInvoice
from omni.domains.billing.rules.draft import Usage, invoice_lines
from omni.domains.metering import facade as metering
from omni.domains.metering.contracts import Difference
from omni.domains.pricing import facade as pricing
from omni.foundation.db.sessions import ReadSession
from omni.kit.clock import month_start, next_month


async def draft_invoice(
    session: ReadSession, month: datetime, currency: str = pricing.DEFAULT_CURRENCY
) -> DraftInvoice:
    """The draft of the month that `month` is in, from the rollups."""
    return await _priced(session, await metering.billable_usage(session, month), month, currency)


async def verify_draft(session: ReadSession, month: datetime) -> list[Difference]:
    """Compares the draft's lines with the raw events, priced anew."""
    draft = await draft_invoice(session, month)
    usage = await metering.billable_usage_from_events(session, month)
    recount = await _priced(session, usage, month, draft.currency)
    expected = {(line.meter, line.model, line.price_nanos, line.per_quantity): line for line in recount.lines}
    found = {(line.meter, line.model, line.price_nanos, line.per_quantity): line for line in draft.lines}
    differences = []
    for key in sorted(expected.keys() | found.keys()):
        left = expected[key].amount_minor if key in expected else 0
        right = found[key].amount_minor if key in found else 0
        quantities = [lines[key].quantity if key in lines else 0 for lines in (expected, found)]
        if left != right or quantities[0] != quantities[1]:
            what = f"{key[0]} of {month:%Y-%m}, in {draft.currency} minor units"
            differences.append(Difference("events × prices = invoice lines", session.tenant_id, what, left, right))
    return differences


async def _priced(session: ReadSession, usage: Sequence[Usage], month: datetime, currency: str) -> DraftInvoice:
    prices = await pricing.list_prices(session, currency)
    lines, unpriced = invoice_lines(usage, partial(pricing.price_at, prices), currency)
    return DraftInvoice(session.tenant_id, month_start(month), next_month(month), currency, lines, unpriced)
