"""Coupons are redeemed by tenants."""

from __future__ import annotations

from datetime import datetime

from omni.domains.billing.contracts import Redemption
from omni.domains.billing.repository import coupons as repository
from omni.domains.billing.repository import invoices, subscriptions
from omni.domains.billing.service import issuing
from omni.domains.billing.service.profiles import profile_of
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import Coupon
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.kit.errors import Conflict

Redeemed = tuple[Redemption, Coupon]


async def redeem(session: WriteSession, code: str, now: datetime) -> Redeemed:
    """Redeems a coupon for the tenant: it holds from the next invoice on that becomes final.

    Raises NotFound `coupon_not_found`, Conflict `coupon_already_redeemed`, Unprocessable `coupon_expired`,
    `coupon_used_up`, `coupon_currency`.
    """
    profile, running = await profile_of(session), await subscriptions.current(session)
    currency = profile.currency if running is None else running.currency
    held = [each.code for each in await repository.redemptions(session)]
    made = Redemption(code, now)
    known = code not in held and await pricing.coupon_of(session, code) is not None
    if known and not await repository.insert_redemption(session, made):  # the tenant redeemed it at the same time
        raise Conflict("coupon_already_redeemed", f"Coupon {code} was redeemed already; it can be used once.")
    coupon = await pricing.redeem_coupon(session, code, now, held, currency)
    for invoice in await invoices.drafts(session):
        if not issuing.is_correction(invoice):
            again = await issuing.rated(session, invoice, profile, now)
            await invoices.save(session, again)
            await invoices.replace_lines(session, again)
    return made, coupon


async def redeemed(session: ReadSession) -> list[Redeemed]:
    """Every coupon that the tenant has redeemed, in that order."""
    found = []
    for each in await repository.redemptions(session):
        coupon = await pricing.coupon_of(session, each.code)
        if coupon is not None:
            found.append((each, coupon))
    return found
