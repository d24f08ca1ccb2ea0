"""What a time was charged with, and how a credit for it is spread over tax treatments."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from omni.domains.billing.contracts import Basis, Invoice, Line, ServiceCredit
from omni.domains.billing.rules.service_credits import charges_of, credit_lines, share_in

OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def line(net: int, start: datetime = OCTOBER, end: datetime = NOVEMBER, rate: str = "22", **more: Any) -> Line:
    return Line(
        "usage", "calls", "api", "Requests", None, {}, {}, start, end, Fraction(1), 0, Fraction(net, 100), net,
        [], "S" if rate != "0" else "AE", Decimal(rate), **more,
    )  # fmt: skip


def invoice(number: int, *lines: Line, currency: str = "EUR", **more: Any) -> Invoice:
    made = Invoice(
        UUID(int=number), f"c{number}", "invoice", "final", "live", "acme", f"OM-{number}", currency, None, None,
        OCTOBER, NOVEMBER, Basis(), lines=lines,
    )  # fmt: skip
    return replace(made, **more)


def credit(minor: int) -> ServiceCredit:
    return ServiceCredit(
        "2026-10", minor, {"en": "Credit", "sl": "Dobropis"}, OCTOBER, NOVEMBER, {"kind": "sla_credit"}
    )


@pytest.mark.parametrize(
    ("start", "end", "share"),
    [
        (OCTOBER, NOVEMBER, Fraction(1)),
        (OCTOBER - DAY, OCTOBER, Fraction(0)),
        (NOVEMBER, NOVEMBER + DAY, Fraction(0)),
        (OCTOBER - DAY, OCTOBER + DAY, Fraction(1, 2)),
        (OCTOBER - 31 * DAY, NOVEMBER + 31 * DAY, Fraction(1, 3)),
        (OCTOBER, OCTOBER, Fraction(1)),
        (NOVEMBER, NOVEMBER, Fraction(0)),
    ],
)
def test_the_share_of_a_line(start: datetime, end: datetime, share: Fraction) -> None:
    assert share_in(line(100, start, end), OCTOBER, NOVEMBER) == share


def test_the_base_is_rounded_once_half_even() -> None:
    thirds = [line(5, OCTOBER - 31 * DAY, NOVEMBER + 31 * DAY) for _ in range(3)]
    assert charges_of([invoice(1, *thirds)], [], OCTOBER, NOVEMBER).base_minor == 5
    assert charges_of([invoice(1, line(1, OCTOBER - 31 * DAY))], [], OCTOBER, NOVEMBER).base_minor == 0
    assert charges_of([invoice(1, line(3, OCTOBER - 31 * DAY))], [], OCTOBER, NOVEMBER).base_minor == 2


def test_corrections_and_discounts_count_and_the_newest_invoice_is_corrected() -> None:
    first = invoice(1, line(3000))
    second = invoice(2, line(1000), line(-400))
    noted = invoice(3, line(-600), kind="credit_note", corrects_id=first.invoice_id)
    found = charges_of([second, first], [noted], OCTOBER, NOVEMBER)
    assert (found.base_minor, found.invoice_id) == (3000, second.invoice_id)
    assert charges_of([], [], OCTOBER, NOVEMBER).invoice_id is None
    assert charges_of([invoice(1, line(-5))], [], OCTOBER, NOVEMBER).base_minor == 0


def test_another_currency_does_not_count() -> None:
    found = charges_of([invoice(2, line(1000)), invoice(1, line(7, rate="0"), currency="USD")], [], OCTOBER, NOVEMBER)
    assert (found.base_minor, found.currency) == (1000, "EUR")


@pytest.mark.parametrize(("minor", "parts"), [(400, [300, 100]), (401, [301, 100]), (1, [1])])
def test_a_credit_is_spread_over_tax_treatments_to_the_cent(minor: int, parts: list[int]) -> None:
    found = charges_of([invoice(1, line(3000), line(1000, rate="0"))], [], OCTOBER, NOVEMBER)
    made = credit_lines(found, credit(minor), "sl")
    assert [-each.net_minor for each in made] == parts
    assert [each.tax_rate for each in made] == [Decimal(22), Decimal(0)][: len(parts)]
    assert {each.name for each in made} == {"Dobropis"}
    assert sum(each.amount for each in made) == Fraction(-minor, 100)


def test_what_was_given_back_at_a_treatment_weighs_nothing() -> None:
    found = charges_of([invoice(1, line(3000), line(-1000, rate="0"))], [], OCTOBER, NOVEMBER)
    (made,) = credit_lines(found, credit(200), "de")
    assert (made.net_minor, made.name) == (-200, "Credit")
