"""A sandbox tenant's clock: moving it does all that would have been done on the way."""

from __future__ import annotations

from datetime import datetime, timedelta

from omni.domains.billing.contracts import Invoice
from omni.domains.billing.repository import invoices, parties, subscriptions
from omni.domains.billing.service import issuing, subscribing
from omni.domains.billing.service.profiles import profile_of
from omni.foundation.db.sessions import WriteSession
from omni.kit.errors import Conflict, InvalidInput

GRACE = timedelta(hours=1)
"""How long after its period a draft waits for usage that is still under way."""
_LONGEST = timedelta(days=10 * 366)


async def advance(session: WriteSession, to: datetime) -> list[Invoice]:
    """Moves the tenant's clock, closing each period and making each invoice final when its time comes.

    Returns the invoices that became final or void. In one step or in many, they are the same. Raises Conflict
    `no_sandbox`, InvalidInput `clock_goes_forward`.
    """
    profile = await profile_of(session)
    if profile.test_clock is None:
        raise Conflict("no_sandbox", "The tenant lives in real time: only a sandbox tenant has a clock.")
    if not profile.test_clock <= to <= profile.test_clock + _LONGEST:
        raise InvalidInput(
            "clock_goes_forward",
            f"The clock stands at {profile.test_clock.isoformat()}: it goes forward, by ten years at most.",
        )
    issued: list[Invoice] = []
    while (at := await _next_event(session, to)) is not None:
        await parties.set_clock(session, at)
        await subscribing.close_due(session, at)
        due = await invoices.drafts_ending_before(session, at - GRACE)
        issued += [await issuing.finalise(session, invoice_id, at) for invoice_id in due]
    await parties.set_clock(session, to)
    return issued


async def _next_event(session: WriteSession, to: datetime) -> datetime | None:
    """When the next period ends or the next draft becomes final; None when that is after `to`."""
    moments = [end + GRACE for end in await invoices.draft_ends(session)]
    found = await subscriptions.current(session)
    if found is not None and found.status in ("trialing", "active", "past_due"):
        moments.append(found.period_end)
    due = min(moments, default=None)
    return due if due is not None and due <= to else None
