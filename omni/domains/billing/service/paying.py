"""Money for invoices: asked for with a saved method or by the tenant, booked when it has come."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from omni.domains.billing.contracts import Invoice
from omni.domains.billing.service import dunning, issuing, topping_up
from omni.domains.payments import facade as payments
from omni.domains.payments.contracts import Payment, PaymentStatus
from omni.foundation.db.sessions import WriteSession
from omni.kit.errors import Conflict, NotFound
from omni.kit.ids import uuid7

_OPEN = (PaymentStatus.PENDING, PaymentStatus.REQUIRES_ACTION)


async def collect(session: WriteSession, invoice_id: UUID, now: datetime) -> Payment | None:
    """Has the newest saved method charged with what is due of a final invoice of live usage.

    None without a method, when nothing is due, or while another attempt is under way.
    """
    invoice = await issuing.find(session, invoice_id, lock=True)
    methods = await payments.list_methods(session)
    if invoice.status != "final" or not invoice.due_minor or invoice.mode != "live" or not methods:
        return None
    if any(each.status in _OPEN for each in await payments.list_payments(session, invoice_id)):
        return None
    method = methods[-1]
    return await _request(session, invoice, method.provider, method.saved.method, "", now)


async def pay(
    session: WriteSession, invoice_id: UUID, provider: str, method_id: UUID | None, return_url: str, now: datetime
) -> Payment:
    """Has a provider take what is due of an invoice: by a saved method, or from the payer at a page of the provider's.

    Raises NotFound `invoice_not_found`, `payment_method_not_found`, Conflict `invoice_state`.
    """
    invoice = await issuing.find(session, invoice_id, lock=True)
    if invoice.status not in ("final", "uncollectible") or not invoice.due_minor:
        raise Conflict("invoice_state", f"The invoice is {invoice.status}: nothing of it can be paid now.")
    method = None
    if method_id is not None:
        found = [each for each in await payments.list_methods(session) if each.method_id == method_id]
        if not found:
            raise NotFound("payment_method_not_found", "There is no such saved method.")
        provider, method = found[0].provider, found[0].saved.method
    return await _request(session, invoice, provider, method, return_url, now)


async def _request(
    session: WriteSession, invoice: Invoice, provider: str, method: str | None, return_url: str, now: datetime
) -> Payment:
    payment = Payment(
        uuid7(), invoice.invoice_id, provider, invoice.due_minor, invoice.currency, method, return_url, now
    )
    await payments.request_payment(session, payment)
    return payment


async def book(session: WriteSession, payment_id: UUID, now: datetime) -> None:
    """Books what has come in by a payment, less what went back; once, however often it is asked for."""
    payment = await payments.get_payment(session, payment_id)
    if topping_up.is_top_up(payment):
        await topping_up.book(session, payment, now)
        return
    reference = issuing.payment_reference(payment)
    invoice = await issuing.record_payment(session, payment.invoice_id, payment.in_cash_minor, reference, now)
    await dunning.after_payment(session, invoice, now)
