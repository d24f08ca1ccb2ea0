"""What the template shows: every text of the page, ready for print."""

from __future__ import annotations

import io
from decimal import Decimal

import segno

from omni.domains.billing.documents.contracts import (
    DocumentKind,
    DocumentLine,
    InvoiceDocument,
    Language,
    Party,
    TaxCategory,
    TaxTotal,
)
from omni.domains.billing.documents.references import EPC_MAX_MINOR, compact, epc_payload
from omni.domains.billing.documents.wording import (
    LOCALES,
    NO_BREAK_SPACE,
    amount_text,
    date_text,
    exemption_reason,
    money_text,
    number_text,
    period_text,
    words,
)
from omni.kit.money import currency_exponent

_CATEGORY_WORDS = {
    TaxCategory.ZERO_RATED: "zero_rated",
    TaxCategory.EXEMPT: "exempt",
    TaxCategory.REVERSE_CHARGE: "reverse_charge",
    TaxCategory.NOT_SUBJECT: "not_subject",
    TaxCategory.EXPORT: "export",
    TaxCategory.INTRA_COMMUNITY: "intra_community",
}


def view(document: InvoiceDocument) -> dict[str, object]:
    """The texts of a checked document, by the names that `invoice.typ` uses; amounts and dates in its language."""
    text = words(document.language)
    title = text["invoice" if document.kind == DocumentKind.INVOICE else "credit_note"]
    return {
        "words": text,
        "language": document.language,
        "region": LOCALES[document.language].split("_")[1],
        "date": [document.issue_date.year, document.issue_date.month, document.issue_date.day],
        "title": title,
        "number": document.number,
        "seller": _party(document.seller, text),
        "buyer": _party(document.buyer, text),
        "facts": _facts(document, text),
        "currency": document.currency,
        "lines": [_line(line, document.currency, document.language) for line in document.lines],
        "sums": _sums(document, text),
        "due": {
            "label": text["due" if document.kind == DocumentKind.INVOICE else "credited"],
            "amount": money_text(document.totals.due_minor, document.currency, document.language),
        },
        "payment": _payment(document, text),
        "legal": [reason for tax in document.taxes if (reason := exemption_reason(tax, document.language))],
        "notes": list(document.notes),
    }


def _party(party: Party, text: dict[str, str]) -> dict[str, object]:
    place = " ".join(part for part in (party.postcode, party.city) if part)
    identifiers = [
        f"{text['vat_id']}: {party.vat_id}" if party.vat_id else "",
        f"{text['tax_number']}: {party.tax_number}" if party.tax_number else "",
        f"{text['registration_number']}: {party.registration_number}" if party.registration_number else "",
    ]
    return {
        "name": party.name,
        "address": [line for line in (party.street, f"{place}, {party.country}") if line],
        "identifiers": [identifier for identifier in identifiers if identifier],
        "email": party.email,
        "iban": _in_fours(party.iban),
        "bic": party.bic,
    }


def _facts(document: InvoiceDocument, text: dict[str, str]) -> list[list[str]]:
    language = document.language
    facts = [[text["issue_date"], date_text(document.issue_date, language)]]
    if document.due_date is not None:
        facts.append([text["due_date"], date_text(document.due_date, language)])
    facts.append([text["period"], period_text(document.period_start, document.period_end, language)])
    if document.corrects is not None:
        issued = f"{text['corrects_of']} {date_text(document.corrects.issue_date, language)}"
        facts.append([text["corrects"], f"{document.corrects.number} {issued.replace(' ', NO_BREAK_SPACE)}"])
    if document.buyer_reference:
        facts.append([text["buyer_reference"], document.buyer_reference])
    return facts


def _line(line: DocumentLine, currency: str, language: Language) -> dict[str, str]:
    price = number_text(line.unit_price, language, currency_exponent(currency))
    per = ""
    if line.base_quantity != 1:
        per = f"{words(language)['per']} {number_text(line.base_quantity, language)}"
    taxed = line.tax_category != TaxCategory.NOT_SUBJECT
    return {
        "position": str(line.position),
        "description": line.description,
        "detail": line.detail,
        "quantity": number_text(line.quantity, language),
        "unit": line.unit,
        "price": price,
        "per": per,
        "tax": _percent(line.tax_rate, language) if taxed else "–",
        "amount": amount_text(line.net_minor, currency, language),
    }


def _sums(document: InvoiceDocument, text: dict[str, str]) -> list[dict[str, object]]:
    """The rows from the subtotal to what is left to pay; the due amount itself stands apart."""
    currency, language, totals = document.currency, document.language, document.totals

    def row(label: str, amount_minor: int, *, strong: bool = False) -> dict[str, object]:
        return {"label": label, "amount": amount_text(amount_minor, currency, language), "strong": strong}

    rows = []
    if document.allowances:
        rows.append(row(text["subtotal"], document.lines_minor))
    for allowance in document.allowances:
        rate = f" ({_percent(allowance.rate, language)})" if allowance.rate is not None else ""
        rows.append(row(f"{text['discount']}: {allowance.reason}{rate}", -allowance.amount_minor))
    rows.append(row(text["taxable"], totals.net_minor))
    rows += [row(_tax_label(tax, document, text), tax.tax_minor) for tax in document.taxes]
    rows.append(row(text["total"], totals.gross_minor, strong=True))
    if totals.paid_minor:
        rows.append(row(text["paid"], -totals.paid_minor))
    return rows


def _tax_label(tax: TaxTotal, document: InvoiceDocument, text: dict[str, str]) -> str:
    base = amount_text(tax.base_minor, document.currency, document.language)
    kind = f" ({text[_CATEGORY_WORDS[tax.category]]})" if tax.category in _CATEGORY_WORDS else ""
    return f"{text['tax']} {_percent(tax.rate, document.language)}{kind} {text['tax_on']} {base}"


def _payment(document: InvoiceDocument, text: dict[str, str]) -> dict[str, object] | None:
    """How to pay; nothing where nothing is due and on credit notes."""
    seller, due_minor = document.seller, document.totals.due_minor
    if document.kind == DocumentKind.CREDIT_NOTE or due_minor <= 0:
        return None
    rows = []
    if seller.iban:
        rows += [[text["payee"], seller.name], ["IBAN", _in_fours(seller.iban)], ["BIC", seller.bic]]
    rows.append([text["reference"], document.payment_reference or document.number])
    code = ""
    if seller.iban and document.currency == "EUR" and due_minor <= EPC_MAX_MINOR:
        reference = document.payment_reference or document.number
        code = _qr(epc_payload(seller.name, seller.iban, seller.bic, due_minor, reference))
    return {"rows": [row for row in rows if row[1]], "code": code, "url": document.payment_url}


def _qr(payload: str) -> str:
    """The code as SVG, with error correction M as EPC069-12 wants it."""
    drawn = io.BytesIO()
    code = segno.make(payload, error="m", boost_error=False, micro=False, encoding="utf-8", mode="byte", eci=False)
    code.save(drawn, kind="svg", border=0, xmldecl=False, svgns=True, omitsize=True)
    return drawn.getvalue().decode()


def _percent(rate: Decimal, language: Language) -> str:
    return f"{number_text(rate, language)} %"


def _in_fours(iban: str) -> str:
    digits = compact(iban)
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))
