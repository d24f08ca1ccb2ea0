"""Wallets that are topped up by themselves: a saved method is charged, and what comes in is granted as credit.

Such a payment is for no invoice: it names itself in its place.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from omni.domains.budgets import facade as budgets
from omni.domains.budgets.contracts import NewGrant
from omni.domains.ledger import facade as ledger
from omni.domains.ledger.contracts import Account
from omni.domains.payments import facade as payments
from omni.domains.payments.contracts import Payment, PaymentStatus
from omni.domains.pricing import facade as pricing
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.kit.money import minor_to_nanos

_PREFIX = "top-up:"


def is_top_up(payment: Payment) -> bool:
    return payment.invoice_id == payment.payment_id


async def top_up(session: WriteSession, amount_nanos: int, reference: str, now: datetime) -> Payment | None:
    """Has the newest saved method charged; once for each reference. None, and told so, where there is no method."""
    payment_id = UUID(reference.removeprefix(_PREFIX))
    methods = await payments.list_methods(session)
    if any(each.payment_id == payment_id for each in await payments.list_payments(session, payment_id)):
        return None
    if not methods:
        await budgets.top_up_failed(session, reference)
        return None
    method, currency = methods[-1], pricing.DEFAULT_CURRENCY
    amount_minor = amount_nanos // minor_to_nanos(1, currency)
    payment = Payment(payment_id, payment_id, method.provider, amount_minor, currency, method.saved.method, "", now)
    await payments.request_payment(session, payment)
    return payment


async def booked_nanos(session: ReadSession, payment: Payment) -> int:
    """What the books have of a top-up's money."""
    return (await ledger.booked(session, budgets.GRANT, _reference(payment), Account.CASH))[1]


async def book(session: WriteSession, payment: Payment, now: datetime) -> None:
    """Grants what has come in, and takes back what went back; once, however often it is asked for."""
    reference = _reference(payment)
    if payment.status == PaymentStatus.FAILED:
        await budgets.top_up_failed(session, reference)
    times, booked = await ledger.booked(session, budgets.GRANT, reference, Account.CASH)
    nanos = minor_to_nanos(payment.in_cash_minor, payment.currency) - booked
    if nanos:
        name = reference if not times else f"{reference}#{times + 1}"
        await budgets.add_grant(session, NewGrant(nanos, "Top-up", payment.payment_id, "purchase", reference=name), now)


def _reference(payment: Payment) -> str:
    return f"{_PREFIX}{payment.payment_id}"
