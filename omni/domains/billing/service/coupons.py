"""Which coupons hold for an invoice, and how many billing periods they have held for."""

from __future__ import annotations

from datetime import datetime

from omni.domains.billing.contracts import Basis, Invoice
from omni.domains.billing.repository import coupons as repository
from omni.domains.billing.rules.discounting import coupons_of, with_coupons
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import AmountOff, Coupon
from omni.foundation.db.sessions import ReadSession, WriteSession


def billing_period(basis: Basis, at: datetime) -> datetime:
    """When the billing period began that an invoice of this basis counts for.

    It is the period of its fees in advance, so what is issued within one period counts once; an invoice without them
    (the last one, or that of a pause) counts for itself, from the end of its span.
    """
    return next((fee.span.whole_start for fee in basis.fees if not fee.credit), at)


async def holding(session: ReadSession, invoice: Invoice) -> Basis:
    """The invoice's basis with the coupons that hold for it now: those for its billing period and in its currency."""
    period = billing_period(invoice.basis, invoice.period_end)
    found = []
    for each in await repository.redemptions(session):
        coupon = await pricing.coupon_of(session, each.code)
        number = each.periods if each.last_period == period else each.periods + 1
        if coupon is not None and _pays_in(coupon, invoice.currency) and pricing.holds_in_period(coupon, number):
            found.append(coupon)
    return with_coupons(invoice.basis, found)


def _pays_in(coupon: Coupon, currency: str) -> bool:
    return not isinstance(coupon.discount, AmountOff) or coupon.discount.currency == currency


async def lock(session: WriteSession) -> None:
    """Keeps other invoices of the tenant from counting its coupons meanwhile."""
    await repository.redemptions(session, lock=True)


async def count(session: WriteSession, invoice: Invoice) -> None:
    """Counts the billing period of a final invoice for each coupon that took something off it, once for each period."""
    period = billing_period(invoice.basis, invoice.period_end)
    for code in sorted(coupons_of(invoice.lines)):
        await repository.count_period(session, code, period)
