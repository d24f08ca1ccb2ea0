"""`/api/tenants/{tenant_id}/sla…`, `…/invoices/{invoice_id}/sla`, `/api/operator/tenants/{tenant_id}/sla…`,
`/api/operator/plans/{plan_code}/sla`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from omni.domains.sla import repository
from omni.domains.sla.contracts import Month, SlaTable, StatusPage, Tier
from omni.domains.sla.schemas import (
    MonthOut,
    MonthsOut,
    MonthWithEvidenceOut,
    RecalculatedOut,
    TableIn,
    TableOut,
    TablesOut,
    TierOut,
)
from omni.domains.sla.service import closing, measuring, reading, terms
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import Database, SharedSession, WriteSession
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock

PlanCode = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")]
MonthName = Annotated[
    str, Path(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="In the tenant's time zone.", examples=["2026-10"])
]


@dataclass(frozen=True, slots=True)
class SlaDeps:
    """`access` makes the dependency that lets only permitted members pass, `operator` is one for operators."""

    database: Database
    unit_of_work: UnitOfWork
    operator: Callable[..., Awaitable[object]]
    access: Callable[[Permission], Callable[..., Awaitable[TenantAccess]]]
    status_page: StatusPage
    clock: Clock


def router(deps: SlaDeps) -> APIRouter:
    """The routes of this domain."""
    routes = APIRouter(prefix="/api", tags=["sla"])
    _reading(routes, deps)
    _operating(routes, deps)
    _tables(routes, deps)
    return routes


def _reading(routes: APIRouter, deps: SlaDeps) -> None:
    reads = deps.access(Permission.BILLING_READ)

    @routes.get("/tenants/{tenant_id}/sla", response_model=MonthsOut)
    async def list_months(access: TenantAccess = Depends(reads)) -> MonthsOut:
        """How available each month was, and what was credited."""
        return await _list(deps, access.tenant_id)

    @routes.get("/tenants/{tenant_id}/sla/{month}", response_model=MonthWithEvidenceOut)
    async def get_month(month: MonthName, access: TenantAccess = Depends(reads)) -> MonthWithEvidenceOut:
        """One month with its evidence; the running one as far as it is known."""
        return await _get(deps, access.tenant_id, month)

    @routes.get("/tenants/{tenant_id}/invoices/{invoice_id}/sla", response_model=MonthWithEvidenceOut)
    async def get_evidence(invoice_id: UUID, access: TenantAccess = Depends(reads)) -> MonthWithEvidenceOut:
        """The evidence of a credit note of a service level."""
        async with deps.database.read(access.tenant_id) as session:
            return _with_evidence(await reading.of_credit_note(session, invoice_id))


def _operating(routes: APIRouter, deps: SlaDeps) -> None:
    prefix, operator = "/operator/tenants/{tenant_id}/sla", [Depends(deps.operator)]

    @routes.get(prefix, response_model=MonthsOut, dependencies=operator)
    async def list_months_of(tenant_id: UUID) -> MonthsOut:
        """How available each month of a tenant was, and what was credited."""
        return await _list(deps, tenant_id)

    @routes.get(f"{prefix}/{{month}}", response_model=MonthWithEvidenceOut, dependencies=operator)
    async def get_month_of(tenant_id: UUID, month: MonthName) -> MonthWithEvidenceOut:
        """One month of a tenant with its evidence."""
        return await _get(deps, tenant_id, month)

    @routes.post(f"{prefix}/{{month}}/close", response_model=MonthWithEvidenceOut, dependencies=operator)
    async def close(request: Request, tenant_id: UUID, month: MonthName) -> Response:
        """Closes a month that is over without waiting for late usage; a closed one stays as it is."""
        async with deps.database.read(tenant_id) as session:
            period = await measuring.period_of(session, _first_day(month), deps.clock.now())
        observed = await deps.status_page.observed(period.start, period.end)

        async def action(session: WriteSession) -> MonthWithEvidenceOut:
            return _with_evidence(await closing.close(session, period, observed, deps.clock.now()))

        return await deps.unit_of_work.run(request, deps.database.write(tenant_id), action)

    @routes.get(f"{prefix}/{{month}}/recalculated", response_model=RecalculatedOut, dependencies=operator)
    async def recalculate(tenant_id: UUID, month: MonthName) -> RecalculatedOut:
        """What a month would be by the data of now, beside what was stored; changes nothing."""
        day = _first_day(month)
        now = await reading.measured_now(deps.database, tenant_id, deps.status_page, day, deps.clock.now())
        async with deps.database.read(tenant_id) as session:
            stored = await repository.find(session, day)
        differs = stored is not None and (stored.availability, stored.credit_percent) != (
            now.availability,
            now.credit_percent,
        )
        return RecalculatedOut(
            stored=None if stored is None else _with_evidence(stored), now=_with_evidence(now), differs=differs
        )


def _tables(routes: APIRouter, deps: SlaDeps) -> None:
    path, operator = "/operator/plans/{plan_code}/sla", [Depends(deps.operator)]

    @routes.get(path, response_model=TablesOut, dependencies=operator)
    async def list_tables(plan_code: PlanCode) -> TablesOut:
        """What a plan promises and promised."""
        async with deps.database.shared() as session:
            return TablesOut(data=[_to_api_table(each) for each in await terms.list_tables(session, plan_code)])

    @routes.post(path, status_code=201, response_model=TableOut, dependencies=operator)
    async def publish_table(request: Request, plan_code: PlanCode, body: TableIn) -> Response:
        """Publishes what a plan promises for months that begin from now on. It cannot be changed, only followed."""
        tiers = [Tier(int(each.below_percent.scaleb(3)), each.credit_percent) for each in body.tiers]

        async def action(session: SharedSession) -> TableOut:
            return _to_api_table(await terms.publish_table(session, plan_code, tiers, deps.clock.now()))

        return await deps.unit_of_work.run(request, deps.database.shared(), action, status=201)


async def _list(deps: SlaDeps, tenant_id: UUID) -> MonthsOut:
    async with deps.database.read(tenant_id) as session:
        return MonthsOut(data=[to_api_month(each) for each in await repository.list_months(session)])


async def _get(deps: SlaDeps, tenant_id: UUID, month: str) -> MonthWithEvidenceOut:
    now = deps.clock.now()
    return _with_evidence(await reading.month_of(deps.database, tenant_id, deps.status_page, _first_day(month), now))


def _first_day(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def to_api_month(month: Month) -> MonthOut:
    """A month without its evidence."""
    row = asdict(month)
    del row["evidence"]
    availability = row.pop("availability")
    return MonthOut(
        **{**row, "month": f"{month.month:%Y-%m}"},
        preliminary=month.measured_at is None,
        availability_percent=None if availability is None else _percent(availability),
    )


def _with_evidence(month: Month) -> MonthWithEvidenceOut:
    return MonthWithEvidenceOut(**to_api_month(month).model_dump(), evidence=dict(month.evidence or {}))


def _to_api_table(table: SlaTable) -> TableOut:
    tiers = [
        TierOut(below_percent=_percent(tier.below_millipercent), credit_percent=tier.credit_percent)
        for tier in table.tiers
    ]
    return TableOut(plan_code=table.plan_code, version=table.version, tiers=tiers, published_at=table.published_at)


def _percent(millipercent: int) -> Decimal:
    return Decimal(millipercent).scaleb(-3)
