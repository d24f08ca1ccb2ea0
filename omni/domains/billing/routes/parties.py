"""`/api/operator/legal-entities`, `/api/tenants/{tenant_id}/billing-profile`, `…/clock`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from omni.domains.billing.contracts import BillingProfile, LegalEntity
from omni.domains.billing.repository import parties
from omni.domains.billing.routes.deps import BillingDeps
from omni.domains.billing.routes.shown import to_api_invoice
from omni.domains.billing.schemas import (
    ClockIn,
    InvoicesOut,
    LegalEntitiesOut,
    LegalEntityIn,
    LegalEntityOut,
    OperatorProfileIn,
    ProfileIn,
    ProfileOut,
)
from omni.domains.billing.service import profiles, sandbox
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import SharedSession, WriteSession


def router(deps: BillingDeps) -> APIRouter:
    """Who sells and who buys."""
    routes = APIRouter(prefix="/api", tags=["billing"])
    _seller_routes(routes, deps)
    _buyer_routes(routes, deps)
    _clock_routes(routes, deps)
    return routes


def _seller_routes(routes: APIRouter, deps: BillingDeps) -> None:
    @routes.get("/operator/legal-entities", response_model=LegalEntitiesOut, dependencies=[Depends(deps.operator)])
    async def list_legal_entities() -> LegalEntitiesOut:
        """Every company that sells."""
        async with deps.database.shared() as session:
            found = await parties.list_entities(session)
        return LegalEntitiesOut(data=[LegalEntityOut(**asdict(each)) for each in found])

    @routes.put("/operator/legal-entities/{code}", response_model=LegalEntityOut, dependencies=[Depends(deps.operator)])
    async def save_legal_entity(
        request: Request, body: LegalEntityIn, code: Annotated[str, Path(pattern="^[a-z0-9-]{1,50}$")]
    ) -> Response:
        """Adds or changes a company that sells. Invoices that are final keep what it was."""

        async def action(session: SharedSession) -> LegalEntityOut:
            saved = await profiles.save_entity(session, LegalEntity(code=code, **body.model_dump()))
            return LegalEntityOut(**asdict(saved))

        return await deps.unit_of_work.run(request, deps.database.shared(), action)


def _buyer_routes(routes: APIRouter, deps: BillingDeps) -> None:
    reads, manages = deps.access(Permission.BILLING_READ), deps.access(Permission.BILLING_MANAGE)

    @routes.get("/tenants/{tenant_id}/billing-profile", response_model=ProfileOut)
    async def get_profile(access: TenantAccess = Depends(reads)) -> ProfileOut:
        """Who buys, and how it is billed."""
        async with deps.database.read(access.tenant_id) as session:
            return _to_api(await profiles.profile_of(session))

    @routes.put("/tenants/{tenant_id}/billing-profile", response_model=ProfileOut)
    async def save_profile(request: Request, body: ProfileIn, access: TenantAccess = Depends(manages)) -> Response:
        """Sets who buys. Invoices that are final keep what it was."""

        async def action(session: WriteSession) -> ProfileOut:
            before = await profiles.profile_of(session)
            return _to_api(await profiles.save_profile(session, replace(before, **body.model_dump())))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)

    @routes.put(
        "/operator/tenants/{tenant_id}/billing-profile", response_model=ProfileOut,
        dependencies=[Depends(deps.operator)],
    )  # fmt: skip
    async def save_profile_as_operator(request: Request, tenant_id: UUID, body: OperatorProfileIn) -> Response:
        """The same with the seller, days to pay and exemption from tax."""

        async def action(session: WriteSession) -> ProfileOut:
            before = await profiles.profile_of(session)
            return _to_api(await profiles.save_profile(session, replace(before, **body.model_dump())))

        return await deps.unit_of_work.run(request, deps.database.write(tenant_id), action)


def _clock_routes(routes: APIRouter, deps: BillingDeps) -> None:
    operator = [Depends(deps.operator)]

    @routes.post(
        "/operator/tenants/{tenant_id}/clock", status_code=201, response_model=ProfileOut, dependencies=operator
    )
    async def start_clock(request: Request, tenant_id: UUID, body: ClockIn) -> Response:
        """Makes the tenant a sandbox with a clock of its own. What its test keys use is billed, with numbers apart."""

        async def action(session: WriteSession) -> ProfileOut:
            return _to_api(await profiles.start_clock(session, body.at))

        return await deps.unit_of_work.run(request, deps.database.write(tenant_id), action, status=201)

    @routes.post("/operator/tenants/{tenant_id}/clock/advance", response_model=InvoicesOut, dependencies=operator)
    async def advance_clock(request: Request, tenant_id: UUID, body: ClockIn) -> Response:
        """Moves a sandbox tenant's clock; answers with the invoices that became final on the way."""

        async def action(session: WriteSession) -> InvoicesOut:
            issued = await sandbox.advance(session, body.at)
            return InvoicesOut(data=[to_api_invoice(each) for each in issued])

        return await deps.unit_of_work.run(request, deps.database.write(tenant_id), action)


def _to_api(profile: BillingProfile) -> ProfileOut:
    return ProfileOut(**asdict(profile))
