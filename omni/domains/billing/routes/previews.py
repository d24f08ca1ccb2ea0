"""`/api/tenants/{tenant_id}/invoices/upcoming`, `…/simulate`: computed and not stored."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

from fastapi import APIRouter, Depends

from omni.domains.billing.contracts import Invoice
from omni.domains.billing.routes.deps import BillingDeps, now_of
from omni.domains.billing.routes.shown import to_api_lines, to_api_upcoming
from omni.domains.billing.rules.calendar import add_months, midnight
from omni.domains.billing.schemas import (
    OperatorSimulateIn,
    PricedOut,
    SimulateIn,
    SimulationOut,
    UpcomingInvoiceOut,
)
from omni.domains.billing.service.previewing import upcoming_invoice
from omni.domains.billing.service.profiles import profile_of
from omni.domains.billing.service.simulating import Choice, simulate
from omni.domains.tenants import facade as tenants
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import ReadSession
from omni.kit.errors import InvalidInput

_LONGEST = timedelta(days=400)


def router(deps: BillingDeps) -> APIRouter:
    """What is not invoiced yet, and what would have been invoiced on other terms."""
    routes = APIRouter(prefix="/api", tags=["invoices"])
    reads = deps.access(Permission.BILLING_READ)

    @routes.get("/tenants/{tenant_id}/invoices/upcoming", response_model=UpcomingInvoiceOut)
    async def get_upcoming_invoice(access: TenantAccess = Depends(reads)) -> UpcomingInvoiceOut:
        """The invoice of the running period if it ended now: usage so far and the next period's fees."""
        async with deps.database.read(access.tenant_id) as session:
            return to_api_upcoming(await upcoming_invoice(session, deps.clock.now()))

    @routes.post("/tenants/{tenant_id}/simulate", response_model=SimulationOut)
    async def simulate_plan(body: SimulateIn, access: TenantAccess = Depends(reads)) -> SimulationOut:
        """Prices a month, or any span, on another public plan, beside what it really came to. Stores nothing."""
        choice = Choice(body.plan_code, body.version, None, body.seats)
        async with deps.database.read(access.tenant_id) as session:
            return await _simulate(session, deps, body, choice, public_only=True)

    @routes.post(
        "/operator/tenants/{tenant_id}/simulate", response_model=SimulationOut, dependencies=[Depends(deps.operator)]
    )
    async def simulate_terms(tenant_id: UUID, body: OperatorSimulateIn) -> SimulationOut:
        """The same on any plan, or on terms that are not published. Stores nothing."""
        choice = Choice(body.plan_code, body.version, body.terms, body.seats)
        async with deps.database.read(tenant_id) as session:
            await tenants.get_tenant(session)
            return await _simulate(session, deps, body, choice, public_only=False)

    return routes


async def _simulate(
    session: ReadSession, deps: BillingDeps, body: SimulateIn, choice: Choice, *, public_only: bool
) -> SimulationOut:
    span = await _span(session, body)
    now = await now_of(session, deps.clock)
    made = await simulate(session, choice, span, now, public_only=public_only)
    return SimulationOut(
        currency=made.actual.currency,
        start=made.actual.period_start,
        end=made.actual.period_end,
        simulated=_to_api_priced(made.simulated),
        actual=_to_api_priced(made.actual),
        difference_net_minor=made.simulated.net_minor - made.actual.net_minor,
        difference_gross_minor=made.simulated.gross_minor - made.actual.gross_minor,
    )


async def _span(session: ReadSession, body: SimulateIn) -> tuple[datetime, datetime]:
    """Raises InvalidInput `period_too_long`."""
    if body.month is not None:
        zone, first = (await profile_of(session)).time_zone, date.fromisoformat(f"{body.month}-01")
        return midnight(first, zone), midnight(add_months(first, 1), zone)
    assert body.start is not None, "the body has a month, or a start and an end"
    assert body.end is not None
    if body.end - body.start > _LONGEST:
        raise InvalidInput("period_too_long", f"The time is longer than {_LONGEST.days} days; ask for less.")
    return body.start, body.end


def _to_api_priced(invoice: Invoice) -> PricedOut:
    return PricedOut(
        net_minor=invoice.net_minor,
        tax_minor=invoice.tax_minor,
        gross_minor=invoice.gross_minor,
        lines=to_api_lines(invoice),
    )
