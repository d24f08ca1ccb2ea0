"""Coupons and wallets."""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol
from uuid import UUID

from pydantic import AwareDatetime, Field
from pydantic.dataclasses import dataclass

from omni.domains.pricing.contracts.fields import STRICT, Code, Count, Currency, Label, Minor, Percent

CouponCode = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9_-]{0,39}$", examples=["WELCOME20"])]


@dataclass(frozen=True, slots=True, config=STRICT)
class PercentOff:
    """A share of what the coupon is for."""

    percent: Percent
    kind: Literal["percent_off"] = "percent_off"


@dataclass(frozen=True, slots=True, config=STRICT)
class AmountOff:
    """A fixed amount of each invoice; what an invoice is too small for is lost."""

    amount_minor: Minor
    currency: Currency
    kind: Literal["amount_off"] = "amount_off"


@dataclass(frozen=True, slots=True, config=STRICT)
class Coupon:
    """A discount that a tenant redeems once. `products` empty = the whole invoice.

    It holds for the first billing period after it was redeemed (once), for the first `periods` (repeating), or forever.
    From `expires_at` on, and after `max_redemptions`, nobody can redeem it; those who have keep it.
    """

    code: CouponCode
    name: Label
    discount: Annotated[PercentOff | AmountOff, Field(discriminator="kind")]
    duration: Literal["once", "repeating", "forever"]
    periods: Count | None = None
    products: tuple[Code, ...] = ()
    expires_at: AwareDatetime | None = None
    max_redemptions: Count | None = None


@plain_dataclass(frozen=True, slots=True)
class StoredCoupon:
    """A coupon and how often it was redeemed."""

    coupon: Coupon
    redemptions: int


class Discountable(Protocol):
    """An invoice line before discounts."""

    @property
    def product(self) -> str: ...
    @property
    def amount_minor(self) -> int: ...


@plain_dataclass(frozen=True, slots=True)
class Discount:
    """What a coupon takes off each line (minor units, ≥ 0), in the order of the lines."""

    coupon: str
    by_line: tuple[int, ...]

    @property
    def total_minor(self) -> int:
        return sum(self.by_line)


class WalletGrant(Protocol):
    """Credit in a wallet. A lower `priority` is used first."""

    @property
    def grant_id(self) -> UUID: ...
    @property
    def priority(self) -> int: ...
    @property
    def remaining_nanos(self) -> int: ...
    @property
    def granted_at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime | None: ...


@plain_dataclass(frozen=True, slots=True)
class Take:
    """So much of a grant is used."""

    grant_id: UUID
    nanos: int
