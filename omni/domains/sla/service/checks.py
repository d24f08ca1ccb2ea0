"""Whether closed months, their evidence and their credit notes say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import Invoice
from omni.domains.metering.contracts import Difference
from omni.domains.sla import repository
from omni.domains.sla.contracts import Month
from omni.domains.sla.rules import availability_of
from omni.domains.sla.service.evidence import losses_of
from omni.foundation.db.sessions import ReadSession
from omni.kit.money import divide_half_even


async def verify_tenant(session: ReadSession) -> list[Difference]:
    """Months against what their evidence comes to, and their credits against the credit notes, both ways."""
    notes = await billing.credit_notes(session)
    found: list[tuple[str, str, int, int]] = []
    for month in await repository.list_months(session, evidence=True):
        found += _compared(month, notes)
        notes.pop(f"{month.month:%Y-%m}", None)
    found += [("credit note", name, 0, -note.net_minor) for name, note in notes.items()]
    return [
        Difference(f"sla month = {check}", session.tenant_id, what, left, right)
        for check, what, left, right in found
        if left != right
    ]


def _compared(month: Month, notes: Mapping[str, Invoice]) -> Iterator[tuple[str, str, int, int]]:
    assert month.evidence is not None
    assert month.availability is not None
    name = f"{month.month:%Y-%m}"
    again = availability_of(losses_of(month.evidence), month.slots)
    yield "evidence", f"availability of {name}, thousandths of a percent", month.availability, again or 0
    if month.outcome == "waiting":
        return
    credit = divide_half_even(month.base_minor * month.credit_percent, 100)
    yield "base × percent", f"credit of {name}, minor units", month.credit_minor, credit
    note = notes.get(name)
    yield "credit note", f"credit of {name}, minor units", month.credit_minor, -note.net_minor if note else 0
    same = note is not None and note.invoice_id == month.invoice_id
    yield "credit note", f"credit note of {name} is its own", int(month.invoice_id is not None), int(same)
