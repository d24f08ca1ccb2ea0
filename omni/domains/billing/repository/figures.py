"""SQL of what the platform has invoiced."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from omni.domains.billing.tables import invoice_lines, invoices
from omni.foundation.db.sessions import SystemSession

_LIVE = invoices.c.mode == "live"


async def invoice_counts(session: SystemSession) -> dict[tuple[str, ...], int]:
    """Live invoices and credit notes, by status."""
    statement = select(invoices.c.status, func.count().label("count")).where(_LIVE).group_by(invoices.c.status)
    return {(row["status"],): row["count"] for row in await session.all(statement)}


async def overdue_invoices(session: SystemSession, now: datetime) -> int:
    """Live invoices that are final, not paid and past due."""
    statement = select(func.count()).where(_LIVE, invoices.c.status == "final", invoices.c.due_at < now)
    return int(await session.scalar(statement))


async def revenue(session: SystemSession, since: datetime) -> dict[tuple[str, ...], int]:
    """Net of the lines of live documents issued since an instant, in minor units, by meter and currency; the meter is
    empty for fees."""
    meter = func.coalesce(invoice_lines.c.meter, "").label("meter")
    statement = (
        select(meter, invoices.c.currency, func.sum(invoice_lines.c.net_minor).label("net"))
        .join_from(
            invoice_lines,
            invoices,
            (invoices.c.tenant_id == invoice_lines.c.tenant_id) & (invoices.c.id == invoice_lines.c.invoice_id),
        )
        .where(_LIVE, invoices.c.issued_at >= since)
        .group_by(meter, invoices.c.currency)
    )
    return {(row["meter"], row["currency"]): int(row["net"]) for row in await session.all(statement)}
