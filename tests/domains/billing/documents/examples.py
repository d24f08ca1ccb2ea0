"""Documents that the tests look at, made from lines as billing makes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from omni.domains.billing.documents.contracts import (
    Allowance,
    CorrectedInvoice,
    DocumentKind,
    DocumentLine,
    DocumentTotals,
    InvoiceDocument,
    Language,
    Party,
    TaxCategory,
    TaxTotal,
)
from omni.domains.billing.documents.references import creditor_reference
from omni.domains.billing.documents.rules import line_net_minor
from omni.kit.money import divide_half_even

SELLER = Party(
    "Omni Računi d.o.o.",
    "Slovenska cesta 54",
    "1000",
    "Ljubljana",
    "SI",
    "SI15012557",
    "5300231000",
    "billing@omni.example",
    "SI56 1910 0000 0123 438",
    "LJBASI2X",
)
BUYER = Party("Čebelar & Sinovi d.o.o.", "Šmartinska 152", "1000", "Ljubljana", "SI", "SI59082437", "1234567000")
GERMAN_BUYER = Party("Müller Analytik GmbH", "Friedrichstraße 100", "10117", "Berlin", "DE", "DE136695976")


def line(
    position: int,
    description: str,
    quantity: str,
    price: str,
    *,
    base: str = "1",
    unit: tuple[str, str] = ("C62", "pieces"),
    rate: str = "22",
    category: TaxCategory = TaxCategory.STANDARD,
    detail: str = "",
    currency: str = "EUR",
) -> DocumentLine:
    made = DocumentLine(
        position,
        description,
        Decimal(quantity),
        unit[0],
        unit[1],
        Decimal(price),
        0,
        Decimal(rate),
        category,
        Decimal(base),
        detail,
    )
    return replace(made, net_minor=line_net_minor(made, currency))


def document(
    lines: Sequence[DocumentLine],
    *,
    allowances: Sequence[Allowance] = (),
    paid_minor: int = 0,
    language: Language = "en",
    reasons: dict[TaxCategory, str] | None = None,
    **changes: Any,
) -> InvoiceDocument:
    """A document whose sums agree."""
    bases: dict[tuple[TaxCategory, Decimal], int] = defaultdict(int)
    for entry in lines:
        bases[entry.tax_category, entry.tax_rate] += entry.net_minor
    for allowance in allowances:
        bases[allowance.tax_category, allowance.tax_rate] -= allowance.amount_minor
    taxes = []
    for (category, rate), base_minor in bases.items():
        numerator, denominator = rate.as_integer_ratio()
        tax_minor = divide_half_even(base_minor * numerator, 100 * denominator)
        taxes.append(TaxTotal(category, rate, base_minor, tax_minor, (reasons or {}).get(category, "")))
    net, tax = sum(bases.values()), sum(entry.tax_minor for entry in taxes)
    made = InvoiceDocument(
        DocumentKind.INVOICE,
        "2026-000123",
        date(2026, 12, 1),
        date(2026, 12, 15),
        date(2026, 11, 1),
        date(2026, 11, 30),
        "EUR",
        language,
        SELLER,
        BUYER,
        tuple(lines),
        tuple(taxes),
        DocumentTotals(net, tax, net + tax, paid_minor, net + tax - paid_minor),
        tuple(allowances),
        creditor_reference("2026-000123"),
    )
    return replace(made, **changes)


def usual_lines() -> list[DocumentLine]:
    return [
        line(1, "Plan Pro", "1", "49", unit=("MON", "month"), detail="1–30 November 2026"),
        line(2, "Chat: input tokens", "18345678", "0.15", base="1000000", unit=("C62", "tokens"), detail="gpt-4o-mini"),
        line(3, "Chat: output tokens", "4120345", "0.6", base="1000000", unit=("C62", "tokens"), detail="gpt-4o-mini"),
        line(4, "Embeddings", "1234567", "0.000000125", unit=("C62", "tokens")),
        line(
            5,
            "Vector storage",
            "12.5",
            "0.25",
            unit=("E34", "GB-months"),
            detail="Within the included units",
            rate="9.5",
        ),
        line(6, "Forecasts", "0", "0.002", unit=("C62", "predictions")),
    ]


def usual(*, language: Language = "en", paid_minor: int = 0, **changes: Any) -> InvoiceDocument:
    """A month of a tenant with two tax rates and a coupon."""
    coupon = Allowance("WELCOME10", 490, Decimal(22), TaxCategory.STANDARD, Decimal(10), 4900)
    made = document(
        usual_lines(),
        allowances=[coupon],
        language=language,
        paid_minor=paid_minor,
        payment_url="https://pay.omni.example/i/2026-000123",
        notes=("Thank you for your business.",),
    )
    return replace(made, **changes)


def reverse_charge(language: Language = "en") -> InvoiceDocument:
    lines = [line(1, "Plan Pro", "1", "49", rate="0", category=TaxCategory.REVERSE_CHARGE, unit=("MON", "month"))]
    return document(lines, language=language, buyer=GERMAN_BUYER)


def credit_note(language: Language = "en") -> InvoiceDocument:
    return document(
        [line(1, "Chat: input tokens, billed at a wrong price", "18345678", "0.05", base="1000000")],
        language=language,
        kind=DocumentKind.CREDIT_NOTE,
        number="2026-C00007",
        due_date=None,
        payment_reference="",
        corrects=CorrectedInvoice("2026-000098", date(2026, 11, 1)),
    )
