"""Documents whose sums do not agree, or that lack what EN 16931 asks for, are refused by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from omni.domains.billing.documents.contracts import (
    Allowance,
    CorrectedInvoice,
    DocumentKind,
    InvoiceDocument,
    TaxCategory,
)
from omni.domains.billing.documents.rules import check, line_net_minor
from tests.domains.billing.documents.examples import (
    BUYER,
    GERMAN_BUYER,
    SELLER,
    credit_note,
    document,
    line,
    reverse_charge,
    usual,
)


def with_line(**changes: object) -> InvoiceDocument:
    made = usual()
    return replace(made, lines=(replace(made.lines[0], **changes), *made.lines[1:]))  # type: ignore[arg-type]


def with_tax(**changes: object) -> InvoiceDocument:
    made = usual()
    return replace(made, taxes=(replace(made.taxes[0], **changes), *made.taxes[1:]))  # type: ignore[arg-type]


def with_totals(**changes: int) -> InvoiceDocument:
    made = usual()
    return replace(made, totals=replace(made.totals, **changes))


@pytest.mark.parametrize(
    "made", [usual(), usual(language="sl"), credit_note(), reverse_charge(), usual(paid_minor=6377)]
)
def test_documents_that_agree_pass(made: InvoiceDocument) -> None:
    check(made)


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (with_line(net_minor=4901), r"lines\[0\].net: quantity × price is 4900, the line says 4901"),
        (with_line(quantity=Decimal(2)), r"lines\[0\].net"),
        (with_line(quantity=Decimal("NaN")), r"lines\[0\]: has a number that is not finite"),
        (with_line(unit_price=Decimal(-49), quantity=Decimal(-1)), r"lines\[0\]: needs a price of at least 0"),
        (with_line(base_quantity=Decimal(0)), r"lines\[0\]: needs a price of at least 0 .* base quantity above 0"),
        (with_line(unit_price=Decimal("49.0000000001")), r"lines\[0\].unit_price: has more than 9 decimals"),
        (with_line(tax_rate=Decimal(5)), r"taxes: S 5 % of the lines or allowances is missing"),
        (with_tax(base_minor=1), r"taxes\[0\].base: .* 4947, it says 1"),
        (with_tax(tax_minor=1090), r"taxes\[0\].tax: 1090 is not 22 % of 4947"),
        (with_totals(net_minor=5260), r"totals.net: the parts come to 5259, it says 5260"),
        (with_totals(tax_minor=1119), r"totals.tax: the parts come to 1118, it says 1119"),
        (with_totals(gross_minor=6378), r"totals.gross: the parts come to 6377, it says 6378"),
        (with_totals(paid_minor=1), r"totals.due: the parts come to 6376, it says 6377"),
        (usual(number=" "), "number: is empty"),
        (usual(lines=()), "lines: there is none"),
        (usual(due_date=None), "due date: is missing"),
        (usual(period_end=date(2026, 10, 31)), "service period: ends before it starts"),
        (usual(payment_reference="RF47 2026 0001 23"), "payment reference: .* wrong check digits"),
        (usual(payment_reference="SI00 2026-A"), "payment reference: .* model SI00"),
        (usual(seller=replace(SELLER, iban="SI56 1910 0000 0123 439")), "seller.iban: .* wrong check digits"),
        (usual(seller=replace(SELLER, bic="LJBA")), "seller.bic"),
        (usual(seller=replace(SELLER, vat_id="")), "seller.vat_id: is missing"),
        (usual(buyer=replace(BUYER, country="Slovenia")), "buyer.country: 'Slovenia' is no ISO 3166-1"),
        (usual(buyer=replace(BUYER, vat_id="59082437")), "buyer.vat_id: '59082437' needs the country's prefix"),
        (usual(buyer=replace(BUYER, name="")), "buyer.name: is empty"),
        (usual(kind=DocumentKind.CREDIT_NOTE), "corrects: a credit note names the invoice"),
        (usual(corrects=CorrectedInvoice("1", date(2026, 1, 1))), "corrects: .* an invoice names none"),
        (replace(reverse_charge(), buyer=replace(GERMAN_BUYER, vat_id="")), "buyer.vat_id: .* tax category AE needs"),
    ],
)
def test_what_does_not_agree_is_named(made: InvoiceDocument, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        check(made)


def test_every_disagreement_is_named_at_once() -> None:
    made = with_totals(net_minor=1, due_minor=1)
    with pytest.raises(ValueError, match=r"totals\.net.*totals\.gross.*totals\.due"):
        check(made)


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown currency 'XXX'"):
        check(usual(currency="XXX"))


@pytest.mark.parametrize(
    ("rate", "category", "named"),
    [
        ("0", TaxCategory.STANDARD, "category S has a rate above 0 %"),
        ("22", TaxCategory.REVERSE_CHARGE, "every other has 0 %"),
        ("0", TaxCategory.EXEMPT, r"exemption_reason: is missing"),
    ],
)
def test_rate_category_and_reason_belong_together(rate: str, category: TaxCategory, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        check(document([line(1, "x", "1", "10", rate=rate, category=category)]))


def test_what_is_not_subject_to_tax_stands_alone_and_needs_a_registered_seller() -> None:
    outside = line(1, "x", "1", "10", rate="0", category=TaxCategory.NOT_SUBJECT)
    check(document([outside]))
    with pytest.raises(ValueError, match="category O stands alone"):
        check(document([outside, line(2, "y", "1", "10")]))
    with pytest.raises(ValueError, match=r"seller\.registration_number: is missing"):
        check(document([outside], seller=replace(SELLER, registration_number="")))


def test_a_percentage_discount_must_be_one() -> None:
    coupon = Allowance("WELCOME", 491, Decimal(22), TaxCategory.STANDARD, Decimal(10), 4900)
    with pytest.raises(ValueError, match=r"allowances\[0\].amount: is not 10 % of 4900"):
        check(document([line(1, "Plan", "1", "49")], allowances=[coupon]))
    with pytest.raises(ValueError, match=r"allowances\[0\].amount: is negative"):
        check(
            document([line(1, "Plan", "1", "49")], allowances=[Allowance("x", -1, Decimal(22), TaxCategory.STANDARD)])
        )


def test_a_tax_may_be_rounded_in_either_direction_but_not_further() -> None:
    made = document([line(1, "x", "1", "0.25", rate="10")])
    for tax_minor in (2, 3):
        tax = replace(made.taxes[0], tax_minor=tax_minor)
        totals = replace(made.totals, tax_minor=tax_minor, gross_minor=25 + tax_minor, due_minor=25 + tax_minor)
        check(replace(made, taxes=(tax,), totals=totals))
    with pytest.raises(ValueError, match=r"taxes\[0\].tax: 4 is not 10 % of 25"):
        check(replace(made, taxes=(replace(made.taxes[0], tax_minor=4),)))


@pytest.mark.parametrize(
    ("quantity", "price", "base", "currency", "net_minor"),
    [
        ("1", "0.005", "1", "EUR", 0),
        ("3", "0.005", "1", "EUR", 2),
        ("-3", "0.005", "1", "EUR", -2),
        ("1", "0.5", "1", "JPY", 0),
        ("3", "0.5", "1", "JPY", 2),
        ("1", "1.2345", "1", "BHD", 1234),
        ("123456789012345678901234567890", "0.000000001", "1", "EUR", 12345678901234567890123),
        ("1", "1", "3", "EUR", 33),
    ],
)
def test_lines_round_once_half_even(quantity: str, price: str, base: str, currency: str, net_minor: int) -> None:
    made = line(1, "x", quantity, price, base=base, currency=currency)
    assert line_net_minor(made, currency) == net_minor
