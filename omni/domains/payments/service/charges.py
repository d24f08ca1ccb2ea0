"""Charging, looking again, refunding; and what has come of it.

No transaction is open while a provider is asked. The payment is stored first, so that whatever happens to the answer,
the next try has the same id.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from omni.domains.payments import repository
from omni.domains.payments.contracts import (
    Charge,
    EventKind,
    NewCustomer,
    Payment,
    PaymentEvent,
    PaymentResult,
    PaymentStatus,
    Refund,
    RefundResult,
    RefundStatus,
)
from omni.domains.payments.rules import reduce
from omni.domains.payments.service.providers import Providers
from omni.foundation.db.sessions import Database, ReadSession, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.clock import Clock
from omni.kit.errors import Conflict, InvalidInput, NotFound, UpstreamFailed

CHARGE = "payments.charge"
REFRESH = "payments.refresh"
REFUND = "payments.refund"
MONEY_MOVED = "billing.book_payment"
"""Enqueued with a payment's id whenever what has come in by it changes, or it fails: billing books it."""

_KINDS = {
    PaymentStatus.PENDING: EventKind.PAYMENT_PENDING,
    PaymentStatus.REQUIRES_ACTION: EventKind.PAYMENT_REQUIRES_ACTION,
    PaymentStatus.FAILED: EventKind.PAYMENT_FAILED,
    PaymentStatus.SUCCEEDED: EventKind.PAYMENT_SUCCEEDED,
}
_REFUND_KINDS = {
    RefundStatus.PENDING: EventKind.REFUND_PENDING,
    RefundStatus.SUCCEEDED: EventKind.REFUND_SUCCEEDED,
    RefundStatus.FAILED: EventKind.REFUND_FAILED,
}


async def request_payment(session: WriteSession, payment: Payment) -> None:
    """Stores an attempt and has it made once this transaction has committed."""
    await repository.insert_payment(session, payment)
    await enqueue(session, CHARGE, tenant_id=session.tenant_id, payment_id=payment.payment_id)


async def get_payment(session: ReadSession, payment_id: UUID) -> Payment:
    """Raises NotFound `payment_not_found`."""
    found = await repository.find_payment(session, payment_id)
    if found is None:
        raise NotFound("payment_not_found", "There is no such payment.")
    return found


async def list_payments(session: ReadSession, invoice_id: UUID | None = None) -> list[Payment]:
    """Newest first; of one invoice where it is named."""
    return await repository.all_payments(session, invoice_id)


async def make_charge(
    database: Database, providers: Providers, tenant: NewCustomer, payment_id: UUID, clock: Clock
) -> Payment:
    """Asks the provider for the money. May be repeated: the provider knows the payment's id.

    Raises NotFound, NotConfigured, Unavailable (repeat), UpstreamFailed once the payment is booked as failed.
    """
    async with database.read(tenant.tenant_id) as session:
        payment = await get_payment(session, payment_id)
    provider = providers.get(payment.provider)
    charge = Charge(
        payment.payment_id,
        payment.invoice_id,
        payment.amount_minor,
        payment.currency,
        await ensure_customer(database, providers, payment.provider, tenant),
        payment.method,
        payment.return_url,
    )
    refused: UpstreamFailed | None = None
    try:
        result = await provider.charge(charge)
    except InvalidInput as error:
        result = PaymentResult(PaymentStatus.FAILED, code=error.code)
    except UpstreamFailed as error:
        refused, result = error, PaymentResult(PaymentStatus.FAILED, code=error.code)
    async with database.write(tenant.tenant_id) as session:
        outcome = await record_result(session, payment_id, result, clock.now())
    if refused is not None:
        raise refused
    return outcome


async def look_again(
    database: Database, providers: Providers, tenant_id: UUID, payment_id: UUID, clock: Clock
) -> Payment:
    """Asks the provider how a payment stands, and completes it where it waits for us."""
    async with database.read(tenant_id) as session:
        payment = await get_payment(session, payment_id)
    if not payment.provider_payment_id:
        return payment
    result = await providers.get(payment.provider).get_payment(payment.provider_payment_id)
    async with database.write(tenant_id) as session:
        return await record_result(session, payment_id, result, clock.now())


async def ensure_customer(database: Database, providers: Providers, provider: str, tenant: NewCustomer) -> str:
    """The provider's id of the tenant, made with the first call."""
    async with database.read(tenant.tenant_id) as session:
        known = await repository.customer_of(session, provider)
    if known is not None:
        return known
    made = await providers.get(provider).create_customer(tenant)
    async with database.write(tenant.tenant_id) as session:
        return await repository.keep_customer(session, provider, made)


async def request_refund(
    session: WriteSession, payment_id: UUID, amount_minor: int, reason: str, user_id: UUID
) -> Payment:
    """Stores a refund and has it made once this transaction has committed.

    Raises NotFound `payment_not_found`, Conflict `refund_too_large`.
    """
    payment = await repository.lock_payment(session, payment_id)
    if payment is None:
        raise NotFound("payment_not_found", "There is no such payment.")
    state = reduce(await repository.events_of(session, payment_id))
    on_the_way = await repository.refunds_minor(session, payment_id) - state.failed_refunds_minor
    left = payment.received_minor - payment.withdrawn_minor - max(on_the_way, payment.refunded_minor)
    if amount_minor > left:
        raise Conflict("refund_too_large", f"Of this payment {max(left, 0)} minor units can still be given back.")
    refund_id = await repository.insert_refund(session, payment_id, amount_minor, reason, user_id)
    await enqueue(session, REFUND, tenant_id=session.tenant_id, refund_id=refund_id)
    return payment


async def make_refund(
    database: Database, providers: Providers, tenant_id: UUID, refund_id: UUID, clock: Clock
) -> Payment | None:
    """Has the provider give the money back. May be repeated. None when there is no such refund."""
    async with database.read(tenant_id) as session:
        found = await repository.refund_of(session, refund_id)
        if found is None:
            return None
        payment = await get_payment(session, found[0])
    refund = Refund(refund_id, payment.payment_id, payment.provider_payment_id, found[1], payment.currency)
    result = await providers.get(payment.provider).refund(refund)
    async with database.write(tenant_id) as session:
        return await record(session, _of_refund(payment, result, clock.now()), payment.payment_id)


async def record_result(session: WriteSession, payment_id: UUID, result: PaymentResult, now: datetime) -> Payment:
    """Books what a provider answered; nothing new when it says what is known."""
    payment = await repository.lock_payment(session, payment_id)
    if payment is None:
        raise NotFound("payment_not_found", "There is no such payment.")
    provider_payment_id = result.provider_payment_id or payment.provider_payment_id
    known = replace(payment, provider_payment_id=provider_payment_id, action_url=result.action_url)
    await repository.save_outcome(session, known)
    if (payment.status, payment.code) == (result.status, result.code) and payment.provider_payment_id:
        return known
    event = PaymentEvent(
        f"answer:{result.status}:{now.isoformat()}",
        _KINDS[result.status],
        now,
        provider_payment_id,
        payment_id,
        payment.amount_minor if result.status == PaymentStatus.SUCCEEDED else 0,
        payment.currency,
        code=result.code,
    )
    return await record(session, event, payment_id)


async def record(session: WriteSession, event: PaymentEvent, payment_id: UUID) -> Payment:
    """Books an event of a payment and what has come of it; an event that is known changes nothing."""
    payment = await repository.lock_payment(session, payment_id)
    if payment is None:
        raise NotFound("payment_not_found", "There is no such payment.")
    if not await repository.add_event(session, payment_id, event):
        return payment
    state = reduce(await repository.events_of(session, payment_id))
    told_id = state.payment.provider_payment_id if state.payment else ""
    outcome = replace(
        payment,
        status=state.status,
        code=state.code if state.payment is None else state.payment.code,
        received_minor=state.received_minor,
        refunded_minor=state.refunded_minor,
        withdrawn_minor=state.withdrawn_minor,
        provider_payment_id=told_id or payment.provider_payment_id,
        action_url="" if state.status == PaymentStatus.SUCCEEDED else payment.action_url,
    )
    await repository.save_outcome(session, outcome)
    failed = outcome.status == PaymentStatus.FAILED != payment.status
    if failed or outcome.in_cash_minor != payment.in_cash_minor:
        await enqueue(session, MONEY_MOVED, tenant_id=session.tenant_id, payment_id=payment_id)
    return outcome


def _of_refund(payment: Payment, result: RefundResult, now: datetime) -> PaymentEvent:
    return PaymentEvent(
        f"refund:{result.provider_refund_id}:{result.status}",
        _REFUND_KINDS[result.status],
        now,
        payment.provider_payment_id,
        payment.payment_id,
        result.amount_minor,
        payment.currency,
        result.provider_refund_id,
        code=result.code,
    )
