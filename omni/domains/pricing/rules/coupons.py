"""Coupons: who may redeem them, how long they hold, and what they take off an invoice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from omni.domains.pricing.contracts import AmountOff, Coupon, Discount, Discountable, PercentOff
from omni.domains.pricing.rules.checks import check_currency
from omni.kit.errors import Conflict, InvalidInput, Unprocessable
from omni.kit.money import divide_half_even


def check_coupon(coupon: Coupon) -> None:
    """Raises InvalidInput `invalid_coupon`, `unknown_currency`."""
    if (coupon.duration == "repeating") != (coupon.periods is not None):
        raise InvalidInput("invalid_coupon", "periods belongs to a repeating coupon, which needs it.", param="periods")
    discount = coupon.discount
    if isinstance(discount, AmountOff):
        check_currency(discount.currency)
    if (discount.percent if isinstance(discount, PercentOff) else discount.amount_minor) == 0:
        raise InvalidInput("invalid_coupon", "A coupon must take something off.", param="discount")
    if len(set(coupon.products)) != len(coupon.products):
        raise InvalidInput("invalid_coupon", "products names one twice.", param="products")


def check_redemption(coupon: Coupon, now: datetime, redemptions: int, held: Collection[str], currency: str) -> None:
    """Whether someone who redeemed the coupons `held`, ever, may redeem this one, which `redemptions` others did.

    Raises Conflict `coupon_already_redeemed`; Unprocessable `coupon_expired`, `coupon_used_up`, `coupon_currency`.
    """
    if coupon.code in held:
        raise Conflict("coupon_already_redeemed", f"Coupon {coupon.code} was redeemed already; it can be used once.")
    if coupon.expires_at is not None and now >= coupon.expires_at:
        raise Unprocessable("coupon_expired", f"Coupon {coupon.code} has expired.")
    if coupon.max_redemptions is not None and redemptions >= coupon.max_redemptions:
        raise Unprocessable("coupon_used_up", f"Coupon {coupon.code} has been redeemed as often as it can be.")
    if isinstance(coupon.discount, AmountOff) and coupon.discount.currency != currency:
        raise Unprocessable(
            "coupon_currency", f"Coupon {coupon.code} is in {coupon.discount.currency}, the subscription in {currency}."
        )


def holds_in_period(coupon: Coupon, period: int) -> bool:
    """Whether a coupon holds in the `period`-th billing period since it was redeemed; the first is 1."""
    if coupon.duration == "forever":
        return True
    return period <= (coupon.periods or 1)


def discounts(lines: Sequence[Discountable], coupons: Sequence[Coupon], currency: str) -> list[Discount]:
    """What each coupon takes off the lines of one invoice, in the order in which they are applied.

    Coupons for products come before those for the whole invoice, percentages before amounts, then as they are given.
    Each works on what those before have left, and is rounded once, half-even, on the sum of its lines; the sum is
    spread over the lines in proportion. Lines below zero lower what a coupon works on. Nothing falls below zero.

    Raises Conflict `coupon_already_redeemed` for a coupon that is given twice, Unprocessable `coupon_currency`.
    """
    codes = [coupon.code for coupon in coupons]
    twice = next((code for code in codes if codes.count(code) > 1), None)
    if twice is not None:
        raise Conflict("coupon_already_redeemed", f"Coupon {twice} was redeemed already; it can be used once.")
    left = [line.amount_minor for line in lines]
    applied = []
    for coupon in sorted(coupons, key=lambda each: (not each.products, isinstance(each.discount, AmountOff))):
        within = [not coupon.products or line.product in coupon.products for line in lines]
        base = sum(amount for amount, counts in zip(left, within, strict=True) if counts)
        weights = [max(amount, 0) if counts else 0 for amount, counts in zip(left, within, strict=True)]
        shares = allocate(_taken(coupon, max(base, 0), currency), weights)
        left = [amount - share for amount, share in zip(left, shares, strict=True)]
        applied.append(Discount(coupon.code, tuple(shares)))
    return applied


def _taken(coupon: Coupon, base: int, currency: str) -> int:
    discount = coupon.discount
    if isinstance(discount, PercentOff):
        numerator, denominator = discount.percent.as_integer_ratio()
        return divide_half_even(base * numerator, 100 * denominator)
    if discount.currency != currency:
        raise Unprocessable(
            "coupon_currency", f"Coupon {coupon.code} is in {discount.currency}, the invoice in {currency}."
        )
    return min(discount.amount_minor, base)


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Spreads `total` (≥ 0) in proportion to weights (≥ 0): shares add up to it, each within 1 of its exact part.

    The method of largest remainders (Hamilton); of equal remainders the first gets the unit. Raises ValueError when
    there is something to spread and no weight.
    """
    whole = sum(weights)
    if total == 0:
        return [0] * len(weights)
    if whole == 0:
        raise ValueError("nothing to spread over")
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -(total * weights[index] % whole))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares
