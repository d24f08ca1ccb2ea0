"""Records as JSON and back: the basis of an invoice, its parties and taxes."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from omni.domains.billing.contracts import Basis, BillingProfile, FeePart, LegalEntity, Span, TaxLine, UsagePart
from omni.kit.money import divide_half_even

QUANTITY_DIGITS = 12


def to_decimal(quantity: Fraction) -> Decimal:
    """To twelve digits after the point, half-even: a third has no end."""
    scaled = divide_half_even(quantity.numerator * 10**QUANTITY_DIGITS, quantity.denominator)
    return Decimal(scaled).scaleb(-QUANTITY_DIGITS)


def basis_to_json(basis: Basis) -> dict[str, Any]:
    return {
        "usage": [{**asdict(part), "span": _span_to_json(part.span)} for part in basis.usage],
        "fees": [{**asdict(part), "span": _span_to_json(part.span)} for part in basis.fees],
        "coupons": list(basis.coupons),
    }


def basis_from_json(row: dict[str, Any]) -> Basis:
    return Basis(
        tuple(UsagePart(**{**part, "span": _span_from_json(part["span"])}) for part in row["usage"]),
        tuple(FeePart(**{**part, "span": _span_from_json(part["span"])}) for part in row["fees"]),
        tuple(row.get("coupons", ())),
    )


def _span_to_json(span: Span) -> list[str]:
    return [getattr(span, each.name).isoformat() for each in fields(Span)]


def _span_from_json(moments: list[str]) -> Span:
    return Span(*(datetime.fromisoformat(each) for each in moments))


def entity_to_json(entity: LegalEntity) -> dict[str, Any]:
    return asdict(entity)


def entity_from_json(row: dict[str, Any]) -> LegalEntity:
    return LegalEntity(**row)


def profile_to_json(profile: BillingProfile) -> dict[str, Any]:
    clock = profile.test_clock
    return {**asdict(profile), "test_clock": None if clock is None else clock.isoformat()}


def profile_from_json(row: dict[str, Any]) -> BillingProfile:
    clock = row["test_clock"]
    return BillingProfile(**{**row, "test_clock": None if clock is None else datetime.fromisoformat(clock)})


def taxes_to_json(taxes: tuple[TaxLine, ...]) -> list[dict[str, Any]]:
    return [{**asdict(tax), "rate": str(tax.rate)} for tax in taxes]


def taxes_from_json(rows: list[dict[str, Any]]) -> tuple[TaxLine, ...]:
    return tuple(TaxLine(**{**row, "rate": Decimal(row["rate"])}) for row in rows)
