"""Use cases of coupons."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from omni.domains.pricing import repository
from omni.domains.pricing.contracts import Coupon, StoredCoupon
from omni.domains.pricing.rules.coupons import check_coupon, check_redemption
from omni.domains.pricing.service.plan_versions import require_products
from omni.foundation.db.sessions import Session, SharedSession
from omni.kit.errors import Conflict, NotFound


async def list_coupons(session: Session) -> list[StoredCoupon]:
    """By code."""
    return await repository.all_coupons(session)


async def coupon_of(session: Session, code: str) -> Coupon | None:
    """The coupon of a code, also one that can no longer be redeemed; None when there is none."""
    found = await repository.coupon(session, code, lock=False)
    return found.coupon if found else None


async def add_coupon(session: SharedSession, coupon: Coupon) -> StoredCoupon:
    """Raises InvalidInput `unknown_product` and what `check_coupon` does, Conflict `coupon_exists`."""
    check_coupon(coupon)
    await require_products(session, coupon.products)
    if not await repository.add_coupon(session, coupon):
        raise Conflict("coupon_exists", f"There is a coupon {coupon.code} already; choose another code.", param="code")
    return StoredCoupon(coupon, 0)


async def redeem_coupon(session: Session, code: str, now: datetime, held: Collection[str], currency: str) -> Coupon:
    """Counts one more redemption, by somebody who ever redeemed `held`. Never more than the coupon allows, because its
    row stays locked until the transaction ends.

    Raises NotFound `coupon_not_found` and what `check_redemption` does.
    """
    found = await repository.coupon(session, code, lock=True)
    if found is None:
        raise NotFound("coupon_not_found", "There is no coupon with this code.")
    check_redemption(found.coupon, now, found.redemptions, held, currency)
    await repository.count_redemption(session, code)
    return found.coupon
