"""`/api/tenants/{tenant_id}/invoices…`, `/api/operator/tenants/{tenant_id}/invoices/…`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from omni.domains.billing.contracts import Invoice
from omni.domains.billing.documents.contracts import InvoiceDocument
from omni.domains.billing.documents.rendering import factur_x_xml, render_pdf
from omni.domains.billing.repository import invoices as repository
from omni.domains.billing.routes.deps import BillingDeps, now_of
from omni.domains.billing.routes.shown import to_api_invoice
from omni.domains.billing.schemas import (
    InvoiceOut,
    InvoicesOut,
    LineEventOut,
    LineEventsOut,
    PayIn,
    PaymentIn,
    PaymentStartedOut,
)
from omni.domains.billing.service import document, dunning, issuing, paying
from omni.domains.metering import facade as metering
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.kit.errors import NotFound


def router(deps: BillingDeps) -> APIRouter:
    """Invoices and credit notes."""
    routes = APIRouter(prefix="/api", tags=["invoices"])
    _reading(routes, deps)
    _documents(routes, deps)
    _line_events(routes, deps)
    _paying(routes, deps)
    _operating(routes, deps)
    return routes


def _reading(routes: APIRouter, deps: BillingDeps) -> None:
    reads = deps.access(Permission.BILLING_READ)

    @routes.get("/tenants/{tenant_id}/invoices", response_model=InvoicesOut)
    async def list_invoices(
        before: Annotated[UUID | None, Query(description="`next_before` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        access: TenantAccess = Depends(reads),
    ) -> InvoicesOut:
        """Invoices and credit notes, newest first."""
        async with deps.database.read(access.tenant_id) as session:
            found = await repository.list_newest(session, before, limit)
        following = found[-1].invoice_id if len(found) == limit else None
        return InvoicesOut(data=[to_api_invoice(each) for each in found], next_before=following)

    @routes.get("/tenants/{tenant_id}/invoices/{invoice_id}", response_model=InvoiceOut)
    async def get_invoice(invoice_id: UUID, access: TenantAccess = Depends(reads)) -> InvoiceOut:
        """One invoice with its lines."""
        async with deps.database.read(access.tenant_id) as session:
            return to_api_invoice(await issuing.find(session, invoice_id))


def _documents(routes: APIRouter, deps: BillingDeps) -> None:
    reads = deps.access(Permission.BILLING_READ)

    async def load(access: TenantAccess, invoice_id: UUID) -> InvoiceDocument:
        async with deps.database.read(access.tenant_id) as session:
            return await document.load_document(session, invoice_id)

    @routes.get("/tenants/{tenant_id}/invoices/{invoice_id}/pdf", response_class=Response)
    async def get_pdf(invoice_id: UUID, access: TenantAccess = Depends(reads)) -> Response:
        """The document: PDF/A-3 with Factur-X inside."""
        found = await load(access, invoice_id)
        headers = {"content-disposition": f'inline; filename="{found.number}.pdf"'}
        return Response(await run_in_threadpool(render_pdf, found), 200, headers, "application/pdf")

    @routes.get("/tenants/{tenant_id}/invoices/{invoice_id}/xml", response_class=Response)
    async def get_xml(invoice_id: UUID, access: TenantAccess = Depends(reads)) -> Response:
        """The same for programs: EN 16931 in UN/CEFACT's syntax."""
        return Response(factur_x_xml(await load(access, invoice_id)), 200, media_type="application/xml")


def _line_events(routes: APIRouter, deps: BillingDeps) -> None:
    reads = deps.access(Permission.BILLING_READ)

    @routes.get("/tenants/{tenant_id}/invoices/{invoice_id}/lines/{position}/events", response_model=LineEventsOut)
    async def list_events(
        invoice_id: UUID,
        position: Annotated[int, Path(ge=1)],
        after: Annotated[str | None, Query(description="`next_after` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        access: TenantAccess = Depends(reads),
    ) -> LineEventsOut:
        """The usage events that a line counts; the id of one that the gateway wrote is the request's."""
        async with deps.database.read(access.tenant_id) as session:
            return await _events_of(session, invoice_id, position, after, limit)


async def _events_of(
    session: ReadSession, invoice_id: UUID, position: int, after: str | None, limit: int
) -> LineEventsOut:
    invoice = await issuing.find(session, invoice_id)
    if position > len(invoice.lines):
        raise NotFound("invoice_line_not_found", f"The invoice has {len(invoice.lines)} lines.")
    line = invoice.lines[position - 1]
    if line.meter is None:
        return LineEventsOut(data=[])
    filters = {**line.filters, **{name: [value] for name, value in line.dimensions.items()}}
    found = await metering.counted_events(
        session, line.meter, (line.start, line.end), filters, (after, limit), invoice.mode
    )
    following = found[-1].cursor if len(found) == limit else None
    return LineEventsOut(
        data=[
            LineEventOut(id=each.event_id, occurred_at=each.occurred_at, quantity=Decimal(each.value)) for each in found
        ],
        next_after=following,
    )


def _paying(routes: APIRouter, deps: BillingDeps) -> None:
    manages = deps.access(Permission.BILLING_MANAGE)

    @routes.post("/tenants/{tenant_id}/invoices/{invoice_id}/pay", status_code=202, response_model=PaymentStartedOut)
    async def pay(request: Request, invoice_id: UUID, body: PayIn, access: TenantAccess = Depends(manages)) -> Response:
        """Has a provider take what is due. `GET /api/tenants/{tenant_id}/payments` shows how it stands, and where a
        payer who has no saved method has to go."""

        async def action(session: WriteSession) -> PaymentStartedOut:
            made = await paying.pay(
                session, invoice_id, body.provider, body.method_id, body.return_url, deps.clock.now()
            )
            deps.payment_providers.get(made.provider)
            return PaymentStartedOut(payment_id=made.payment_id, amount_minor=made.amount_minor, currency=made.currency)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action, status=202)


_Change = Callable[[WriteSession, UUID, datetime], Awaitable[Invoice | None]]


def _operating(routes: APIRouter, deps: BillingDeps) -> None:
    prefix, operator = "/operator/tenants/{tenant_id}/invoices/{invoice_id}", [Depends(deps.operator)]

    async def change(request: Request, tenant_id: UUID, invoice_id: UUID, work: _Change) -> Response:
        async def action(session: WriteSession) -> InvoiceOut | None:
            changed = await work(session, invoice_id, await now_of(session, deps.clock))
            return None if changed is None else to_api_invoice(changed)

        return await deps.unit_of_work.run(request, deps.database.write(tenant_id), action)

    @routes.post(f"{prefix}/finalise", response_model=InvoiceOut, dependencies=operator)
    async def finalise(request: Request, tenant_id: UUID, invoice_id: UUID) -> Response:
        """Makes a draft final before its time."""
        return await change(request, tenant_id, invoice_id, issuing.finalise)

    @routes.post(f"{prefix}/void", response_model=InvoiceOut, dependencies=operator)
    async def void(request: Request, tenant_id: UUID, invoice_id: UUID) -> Response:
        """Takes an invoice back: a final one by a credit note of all of it."""
        return await change(request, tenant_id, invoice_id, issuing.void)

    @routes.post(f"{prefix}/uncollectible", response_model=InvoiceOut, dependencies=operator)
    async def mark_uncollectible(request: Request, tenant_id: UUID, invoice_id: UUID) -> Response:
        """Gives up what is due; it can still be paid."""
        return await change(request, tenant_id, invoice_id, issuing.mark_uncollectible)

    @routes.post(f"{prefix}/rerate", response_model=InvoiceOut, dependencies=operator)
    async def rerate(request: Request, tenant_id: UUID, invoice_id: UUID) -> Response:
        """Rates an invoice that is final, or came to nothing, again and issues the difference, 204 when there is none.
        Where only quantities differ, it is void: a record without a document."""
        return await change(request, tenant_id, invoice_id, issuing.rerate)

    @routes.post(f"{prefix}/payments", response_model=InvoiceOut, dependencies=operator)
    async def record_payment(request: Request, tenant_id: UUID, invoice_id: UUID, body: PaymentIn) -> Response:
        """Takes note of a bank transfer; what is too much goes to the tenant's wallet."""

        async def work(session: WriteSession, invoice_id: UUID, now: datetime) -> Invoice:
            reference = f"bank:{body.reference}"
            paid = await issuing.record_payment(session, invoice_id, body.amount_minor, reference, now)
            await dunning.after_payment(session, paid, now)
            return paid

        return await change(request, tenant_id, invoice_id, work)
