"""`/api/tenants/{tenant_id}/payments`, `…/payment-methods`, refunds for operators, and the providers' webhooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from omni.domains.identity.contracts import CurrentUser
from omni.domains.payments.contracts import NewCustomer, Payment, StoredMethod
from omni.domains.payments.schemas import (
    FinishIn,
    MethodOut,
    MethodsOut,
    PaymentOut,
    PaymentsOut,
    ProvidersOut,
    RefundIn,
    SetupIn,
    SetupOut,
)
from omni.domains.payments.service import charges, methods
from omni.domains.payments.service.providers import Providers
from omni.domains.payments.service.webhooks import Intake, OpenSystemSession, take
from omni.domains.tenants import facade as tenants
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import Database, WriteSession
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock

Guard = Callable[[Permission], Callable[..., Awaitable[TenantAccess]]]
ProviderName = Annotated[str, Path(pattern=r"^[a-z]{1,20}$")]


@dataclass(frozen=True, slots=True)
class PaymentsDeps:
    """What the routes work with. `operator` lets only operators pass; `guard` makes the dependency for a permission."""

    database: Database
    open_system_session: OpenSystemSession
    unit_of_work: UnitOfWork
    operator: Callable[..., Awaitable[CurrentUser]]
    guard: Guard
    providers: Providers
    clock: Clock


def router(deps: PaymentsDeps) -> APIRouter:
    """The routes of this domain."""
    routes = APIRouter(prefix="/api", tags=["payments"])
    _payment_routes(routes, deps)
    _method_routes(routes, deps)
    _webhook_routes(routes, deps)
    return routes


def _payment_routes(routes: APIRouter, deps: PaymentsDeps) -> None:
    reads = deps.guard(Permission.BILLING_READ)

    @routes.get("/tenants/{tenant_id}/payments", response_model=PaymentsOut)
    async def list_payments(invoice_id: UUID | None = None, access: TenantAccess = Depends(reads)) -> PaymentsOut:
        """Every attempt to pay, or those of one invoice."""
        async with deps.database.read(access.tenant_id) as session:
            found = await charges.list_payments(session, invoice_id)
        return PaymentsOut(data=[_to_api_payment(payment) for payment in found])

    @routes.post("/operator/tenants/{tenant_id}/payments/{payment_id}/refunds", status_code=202)
    async def refund(
        request: Request,
        tenant_id: UUID,
        payment_id: UUID,
        body: RefundIn,
        operator: CurrentUser = Depends(deps.operator),
    ) -> Response:
        """Gives money back through the provider, once this has committed."""

        async def action(session: WriteSession) -> PaymentOut:
            await tenants.get_tenant(session)
            payment = await charges.request_refund(
                session, payment_id, body.amount_minor, body.reason, operator.user_id
            )
            return _to_api_payment(payment)

        return await deps.unit_of_work.run(request, deps.database.write(tenant_id), action, status=202)


def _method_routes(routes: APIRouter, deps: PaymentsDeps) -> None:
    reads, manages = deps.guard(Permission.BILLING_READ), deps.guard(Permission.BILLING_MANAGE)

    @routes.get("/payment-providers", response_model=ProvidersOut)
    async def list_providers() -> ProvidersOut:
        """The ways to pay that are on."""
        return ProvidersOut(data=list(deps.providers.names()))

    @routes.get("/tenants/{tenant_id}/payment-methods", response_model=MethodsOut)
    async def list_methods(access: TenantAccess = Depends(reads)) -> MethodsOut:
        """The methods that invoices are charged to."""
        async with deps.database.read(access.tenant_id) as session:
            return MethodsOut(data=[_to_api_method(each) for each in await methods.list_methods(session)])

    @routes.post("/tenants/{tenant_id}/payment-methods/setup", response_model=SetupOut)
    async def start_setup(body: SetupIn, access: TenantAccess = Depends(manages)) -> SetupOut:
        """A page of the provider's on which to save a method. Card numbers never come here."""
        deps.providers.get(body.provider)
        tenant = await _customer(deps.database, access.tenant_id)
        made = await methods.start_setup(deps.database, deps.providers, body.provider, tenant, body.return_url)
        return SetupOut(session_id=made.session_id, url=made.url)

    @routes.post("/tenants/{tenant_id}/payment-methods", status_code=201, response_model=MethodOut)
    async def finish_setup(body: FinishIn, access: TenantAccess = Depends(manages)) -> MethodOut:
        """Keeps the method that was saved on that page; the provider's webhook does the same."""
        kept = await methods.finish_setup(
            deps.database, deps.providers, body.provider, access.tenant_id, body.session_id, deps.clock
        )
        return _to_api_method(kept)

    @routes.delete("/tenants/{tenant_id}/payment-methods/{method_id}", status_code=204)
    async def remove_method(method_id: UUID, access: TenantAccess = Depends(manages)) -> None:
        """Forgets a method here and at the provider."""
        await methods.remove_method(deps.database, deps.providers, access.tenant_id, method_id)


def _webhook_routes(routes: APIRouter, deps: PaymentsDeps) -> None:
    intake = Intake(deps.database, deps.open_system_session, deps.providers, deps.clock)

    @routes.post("/payment-webhooks/{provider}", status_code=204)
    async def take_webhook(request: Request, provider: ProviderName) -> None:
        """What a payment provider tells; signed by it, over the bytes as they come."""
        await take(intake, provider, await request.body(), request.headers)


async def _customer(database: Database, tenant_id: UUID) -> NewCustomer:
    async with database.read(tenant_id) as session:
        tenant = await tenants.get_tenant(session)
        emails = await tenants.owner_emails(session)
    return NewCustomer(tenant_id, tenant.name, emails[0] if emails else "")


def _to_api_payment(payment: Payment) -> PaymentOut:
    return PaymentOut(
        id=payment.payment_id,
        invoice_id=payment.invoice_id,
        provider=payment.provider,
        status=payment.status,
        code=payment.code,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        received_minor=payment.received_minor,
        refunded_minor=payment.refunded_minor,
        withdrawn_minor=payment.withdrawn_minor,
        action_url=payment.action_url,
        created_at=payment.created_at,
    )


def _to_api_method(method: StoredMethod) -> MethodOut:
    saved = method.saved
    return MethodOut(
        id=method.method_id,
        provider=method.provider,
        kind=saved.kind,
        brand=saved.brand,
        last4=saved.last4,
        expires=saved.expires,
        created_at=method.created_at,
    )
