"""What a document must satisfy before it is shown to anyone, after the business rules (BR-…) of EN 16931-1."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from omni.domains.billing.documents.contracts import DocumentKind, DocumentLine, InvoiceDocument, Party, TaxCategory
from omni.domains.billing.documents.references import is_bic, is_creditor_reference, is_iban, is_slovenian_reference
from omni.kit.money import currency_exponent, divide_half_even

PRICE_DECIMALS = 9
_RATED = TaxCategory.STANDARD
_BOTH_VAT_IDS = (TaxCategory.REVERSE_CHARGE, TaxCategory.INTRA_COMMUNITY)


def check(document: InvoiceDocument) -> None:
    """Refuses a document that contradicts itself or that EN 16931 does not allow.

    Raises ValueError that names each sum that does not agree and each field that is missing or wrong.
    """
    currency_exponent(document.currency)
    wrong = [*_form(document), *_line_sums(document), *_tax_sums(document), *_totals(document)]
    if wrong:
        raise ValueError("; ".join(wrong))


def line_net_minor(line: DocumentLine, currency: str) -> int:
    """What quantity × price comes to, in minor units, rounded once, half-even. `base_quantity` must be positive."""
    quantity, price, base = (n.as_integer_ratio() for n in (line.quantity, line.unit_price, line.base_quantity))
    numerator = quantity[0] * price[0] * base[1] * 10 ** currency_exponent(currency)
    return divide_half_even(numerator, quantity[1] * price[1] * base[0])


def _form(document: InvoiceDocument) -> Iterator[str]:
    if not document.number.strip():
        yield "number: is empty"
    if not document.lines:
        yield "lines: there is none (BR-16)"
    if document.period_end < document.period_start:
        yield "service period: ends before it starts (BR-29)"
    if document.totals.due_minor > 0 and document.kind == DocumentKind.INVOICE and document.due_date is None:
        yield "due date: is missing while something is due (BR-CO-25)"
    if (document.corrects is None) == (document.kind == DocumentKind.CREDIT_NOTE):
        yield "corrects: a credit note names the invoice that it corrects, an invoice names none"
    yield from _reference(document.payment_reference)
    yield from _party("seller", document.seller)
    yield from _party("buyer", document.buyer)
    yield from _identification(document)


def _reference(reference: str) -> Iterator[str]:
    if re.match(r"RF[0-9]{2}", reference) and not is_creditor_reference(reference):
        yield f"payment reference: {reference!r} has wrong check digits (ISO 11649)"
    if reference.startswith("SI00") and not is_slovenian_reference(reference):
        yield f"payment reference: {reference!r} is no reference of the model SI00"


def _party(role: str, party: Party) -> Iterator[str]:
    if not party.name.strip():
        yield f"{role}.name: is empty"
    if not re.fullmatch(r"[A-Z]{2}", party.country):
        yield f"{role}.country: {party.country!r} is no ISO 3166-1 alpha-2 code"
    if party.vat_id and not re.fullmatch(r"[A-Z]{2}[0-9A-Z+*.]{2,13}", party.vat_id):
        yield f"{role}.vat_id: {party.vat_id!r} needs the country's prefix and no spaces (BR-CO-9)"
    if party.iban and not is_iban(party.iban):
        yield f"{role}.iban: {party.iban!r} has wrong check digits"
    if party.bic and not is_bic(party.bic):
        yield f"{role}.bic: {party.bic!r} is no ISO 9362 code"


def _identification(document: InvoiceDocument) -> Iterator[str]:
    """Who must be identified for which tax category."""
    categories = {tax.category for tax in document.taxes}
    if TaxCategory.NOT_SUBJECT in categories:
        if len(categories) > 1:
            yield "taxes: category O stands alone (BR-O-11)"
        if not document.seller.registration_number:
            yield "seller.registration_number: is missing, which category O needs (BR-CO-26)"
    elif not (document.seller.vat_id or document.seller.tax_number):
        yield "seller.vat_id: is missing, or the tax number, which every tax category but O needs (BR-S-2)"
    for category in _BOTH_VAT_IDS:
        for role, party in (("seller", document.seller), ("buyer", document.buyer)):
            if category in categories and not party.vat_id:
                yield f"{role}.vat_id: is missing, which tax category {category} needs"


def _line_sums(document: InvoiceDocument) -> Iterator[str]:
    for index, line in enumerate(document.lines):
        name = f"lines[{index}]"
        numbers = (line.quantity, line.unit_price, line.base_quantity, line.tax_rate)
        if not all(number.is_finite() for number in numbers):
            yield f"{name}: has a number that is not finite"
            continue
        if line.unit_price < 0 or line.base_quantity <= 0:
            yield f"{name}: needs a price of at least 0 (BR-27) and a base quantity above 0"
            continue
        if 10**PRICE_DECIMALS % line.unit_price.as_integer_ratio()[1]:
            yield f"{name}.unit_price: has more than {PRICE_DECIMALS} decimals"
        net_minor = line_net_minor(line, document.currency)
        if net_minor != line.net_minor:
            yield f"{name}.net: quantity × price is {net_minor}, the line says {line.net_minor}"
    for index, allowance in enumerate(document.allowances):
        if allowance.amount_minor < 0:
            yield f"allowances[{index}].amount: is negative"
        if allowance.rate is not None and not _is_share(
            allowance.amount_minor, allowance.rate, allowance.base_minor or 0
        ):
            yield f"allowances[{index}].amount: is not {allowance.rate} % of {allowance.base_minor}"


def _tax_sums(document: InvoiceDocument) -> Iterator[str]:
    bases: dict[tuple[TaxCategory, Decimal], int] = defaultdict(int)
    for line in document.lines:
        bases[line.tax_category, line.tax_rate] += line.net_minor
    for allowance in document.allowances:
        bases[allowance.tax_category, allowance.tax_rate] -= allowance.amount_minor
    for index, tax in enumerate(document.taxes):
        name = f"taxes[{index}]"
        base_minor = bases.pop((tax.category, tax.rate), None)
        if base_minor is None:
            yield f"{name}: no line has {tax.category} {tax.rate} %, or it is there twice"
        elif base_minor != tax.base_minor:
            yield f"{name}.base: lines less allowances are {base_minor}, it says {tax.base_minor} (BR-S-8)"
        if not _is_share(tax.tax_minor, tax.rate, tax.base_minor):
            yield f"{name}.tax: {tax.tax_minor} is not {tax.rate} % of {tax.base_minor} (BR-CO-17)"
        if (tax.category == _RATED) != (tax.rate > 0):
            yield f"{name}.rate: category S has a rate above 0 %, every other has 0 %"
        if tax.category == TaxCategory.EXEMPT and not tax.exemption_reason:
            yield f"{name}.exemption_reason: is missing (BR-E-10)"
    for category, rate in bases:
        yield f"taxes: {category} {rate} % of the lines or allowances is missing (BR-CO-18)"


def _totals(document: InvoiceDocument) -> Iterator[str]:
    totals = document.totals
    sums = (
        ("net", totals.net_minor, document.lines_minor - document.allowances_minor, "BR-CO-13"),
        ("tax", totals.tax_minor, sum(tax.tax_minor for tax in document.taxes), "BR-CO-14"),
        ("gross", totals.gross_minor, totals.net_minor + totals.tax_minor, "BR-CO-15"),
        ("due", totals.due_minor, totals.gross_minor - totals.paid_minor, "BR-CO-16"),
    )
    for name, said, summed, rule in sums:
        if said != summed:
            yield f"totals.{name}: the parts come to {summed}, it says {said} ({rule})"


def _is_share(part_minor: int, rate: Decimal, whole_minor: int) -> bool:
    """Whether the part is `rate` per cent of the whole, rounded to a minor unit in either direction.

    Which way is the law's and the price book's affair: taxes that are included in a price round the base instead.
    """
    numerator, denominator = rate.as_integer_ratio()
    return abs(part_minor * 100 * denominator - whole_minor * numerator) < 100 * denominator
