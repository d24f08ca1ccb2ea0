"""`/api/tenants/{tenant_id}/invoices/draft`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from omni.domains.billing.contracts import DraftInvoice
from omni.domains.billing.routes.deps import BillingDeps
from omni.domains.billing.schemas import DraftInvoiceOut, InvoiceLineOut
from omni.domains.billing.service import draft as service
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.kit.money import format_minor


def router(deps: BillingDeps) -> APIRouter:
    """The invoice of a month as far as it is known."""
    routes = APIRouter(prefix="/api/tenants/{tenant_id}", tags=["invoices"])
    may_read = Depends(deps.access(Permission.BILLING_READ))

    @routes.get("/invoices/draft", response_model=DraftInvoiceOut)
    async def draft_invoice(
        month: Annotated[
            str | None,
            Query(
                pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="The present one when left out.", examples=["2026-11"]
            ),
        ] = None,
        access: TenantAccess = may_read,
    ) -> DraftInvoiceOut:
        """What the tenant owes for a month as far as it is known now. Usage of test keys is free."""
        moment = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC) if month else deps.clock.now()
        async with deps.database.read(access.tenant_id) as session:
            return _to_api(await service.draft_invoice(session, moment))

    return routes


def _to_api(draft: DraftInvoice) -> DraftInvoiceOut:
    return DraftInvoiceOut(
        tenant_id=draft.tenant_id,
        status="draft",
        period_start=draft.period_start,
        period_end=draft.period_end,
        currency=draft.currency,
        lines=[InvoiceLineOut(**asdict(line)) for line in draft.lines],
        unpriced=list(draft.unpriced),
        total_minor=draft.total_minor,
        total=format_minor(draft.total_minor, draft.currency),
    )
