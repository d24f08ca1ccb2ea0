"""What coupons take off an invoice, as lines, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

from omni.domains.billing.contracts import Basis, Invoice, Line, RatedPart
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import Coupon, TaxBehaviour
from omni.kit.money import currency_exponent, divide_half_even

PREFIX = "coupon:"
"""Begins what stands for the card in a line of a coupon; no rate card's code has a colon."""


@dataclass(frozen=True, slots=True)
class _Discounted:
    product: str
    amount_minor: int


def discount_lines(
    parts: Sequence[RatedPart], coupons: Sequence[Coupon], currency: str, span: tuple[datetime, datetime]
) -> list[RatedPart]:
    """A line below zero for each coupon and product that it takes something off.

    Its steps say what it takes off which line (`amount_minor` of `of_minor`, minor units as the prices are, with or
    without tax). Coupons work on what `pricing.discounts` says; its order is that of the lines.
    """
    taken = pricing.discounts([_Discounted(line.product, line.net_minor) for line, _ in parts], coupons, currency)
    names = {coupon.code: coupon.name for coupon in coupons}
    found: list[RatedPart] = []
    for each in taken:
        steps: dict[tuple[str, TaxBehaviour], list[dict[str, Any]]] = {}
        for (line, behaviour), minor in zip(parts, each.by_line, strict=True):
            if minor:
                steps.setdefault((line.product, behaviour), []).append(
                    {
                        "kind": "discount", "line": line.kind, "card": line.card, "dimensions": line.dimensions,
                        "amount_minor": minor, "of_minor": line.net_minor,
                    }
                )  # fmt: skip
        found += [
            (_line(each.coupon, names[each.coupon], product, currency, span, own), behaviour)
            for (product, behaviour), own in steps.items()
        ]
    return found


def _line(
    code: str, name: str, product: str, currency: str, span: tuple[datetime, datetime], steps: list[dict[str, Any]]
) -> Line:
    minor = sum(step["amount_minor"] for step in steps)
    exact = Fraction(-minor, 10 ** currency_exponent(currency))
    return Line(
        "discount", f"{PREFIX}{code}", product, name, None, {}, {}, *span, Fraction(1), 0, exact, -minor, steps
    )  # fmt: skip


def span_of(basis: Basis) -> tuple[datetime, datetime]:
    """From the first to the last instant that an invoice is for. Raises ValueError when it is for nothing."""
    spans = [part.span for part in basis.usage] + [part.span for part in basis.fees]
    return min(span.start for span in spans), max(span.end for span in spans)


def coupons_of(lines: Iterable[Line]) -> set[str]:
    """The codes of the coupons that took something off."""
    return {line.card.removeprefix(PREFIX) for line in lines if line.kind == "discount" and line.net_minor}


def paid_share(invoice: Invoice, card: str) -> Fraction:
    """How much of a fee on an invoice its coupons left to pay."""
    left = Fraction(1)
    for line in invoice.lines:
        for step in line.steps if line.kind == "discount" else ():
            if (step["line"], step["card"]) == ("fee", card):
                left -= Fraction(step["amount_minor"], step["of_minor"])
    return left


def deferred_minor(line: Line) -> int:
    """How much of a discount is of fees in advance, and so lowers what is deferred; minor units without tax."""
    fees = sum(step["amount_minor"] for step in line.steps if step["line"] == "fee")
    return divide_half_even(line.net_minor * fees, sum(step["amount_minor"] for step in line.steps))


def with_coupons(basis: Basis, coupons: Iterable[Coupon]) -> Basis:
    return replace(basis, coupons=tuple(coupon.code for coupon in coupons))
