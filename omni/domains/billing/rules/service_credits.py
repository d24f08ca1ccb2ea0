"""What a time was charged with, and the lines of a credit for it, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import lcm

from omni.domains.billing.contracts import Charge, Charges, Invoice, Line, ServiceCredit
from omni.domains.billing.rules.calendar import Period
from omni.domains.pricing import facade as pricing
from omni.kit.money import currency_exponent, divide_half_even

CARD = "sla"


def share_in(line: Line, start: datetime, end: datetime) -> Fraction:
    """How much of a line's span lies in [start, end)."""
    if line.start == line.end:
        return Fraction(int(start <= line.start < end))
    inside = Period(max(line.start, start), min(line.end, end))
    if inside.start >= inside.end:
        return Fraction(0)
    return inside.share_of(Period(line.start, line.end))


def charges_of(roots: Sequence[Invoice], restated: Sequence[Invoice], start: datetime, end: datetime) -> Charges:
    """What final invoices, newest first, and what restates them, charge a time with; those in another currency than the
    newest do not count."""
    invoices = (*roots, *restated)
    found = [
        Charge(invoice.invoice_id, invoice.number, line, share)
        for invoice in invoices
        if invoice.number is not None
        for line in invoice.lines
        if line.net_minor and (share := share_in(line, start, end))
    ]
    charging = {charge.invoice_id for charge in found}
    newest = next((each for each in roots if each.invoice_id in charging and each.kind == "invoice"), None)
    if newest is None:
        return Charges(None, None, (), 0)
    same = {invoice.invoice_id for invoice in invoices if invoice.currency == newest.currency}
    found = [charge for charge in found if charge.invoice_id in same]
    exact = sum((charge.exact_minor for charge in found), Fraction(0))
    base = max(0, divide_half_even(exact.numerator, exact.denominator))
    return Charges(newest.currency, newest.invoice_id, tuple(found), base)


def credit_lines(charges: Charges, credit: ServiceCredit, language: str) -> list[Line]:
    """A line, below zero, for each tax treatment: the amount spread by what was charged at it (largest remainders)."""
    assert charges.currency is not None
    exact: dict[tuple[str, Decimal], Fraction] = {}
    for charge in charges.charges:
        key = charge.line.tax_category, charge.line.tax_rate
        exact[key] = exact.get(key, Fraction(0)) + charge.exact_minor
    parts = pricing.allocate(credit.amount_minor, _weights(exact.values()))
    products = {(each.line.tax_category, each.line.tax_rate): each.line.product for each in reversed(charges.charges)}
    one = 10 ** currency_exponent(charges.currency)
    return [
        Line(
            "sla_credit", CARD, products[key], credit.names.get(language, credit.names["en"]), None, {}, {},
            credit.start, credit.end, Fraction(1), 0, Fraction(-minor, one), -minor, [credit.step], *key,
        )
        for key, minor in zip(exact, parts, strict=True)
        if minor
    ]  # fmt: skip


def _weights(exact: Iterable[Fraction]) -> list[int]:
    """In the same proportion, as integers; what is below zero weighs nothing."""
    positive = [max(each, Fraction(0)) for each in exact]
    whole = lcm(*(each.denominator for each in positive))
    return [each.numerator * (whole // each.denominator) for each in positive]
