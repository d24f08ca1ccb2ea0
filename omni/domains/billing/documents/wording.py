"""The words of documents in each language, and its numbers and dates (CLDR, by babel)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, localcontext
from types import MappingProxyType

from babel.dates import format_date
from babel.numbers import format_decimal

from omni.domains.billing.documents.contracts import Language, TaxCategory, TaxTotal
from omni.kit.money import currency_exponent

LOCALES: dict[Language, str] = {"en": "en_GB", "sl": "sl_SI"}
NO_BREAK_SPACE = "\u00a0"
_MOST_DIGITS = 100

_ENGLISH = MappingProxyType(
    {
        "invoice": "Invoice",
        "credit_note": "Credit note",
        "number": "No.",
        "seller": "From",
        "buyer": "Bill to",
        "vat_id": "VAT ID",
        "tax_number": "Tax no.",
        "registration_number": "Company no.",
        "issue_date": "Issue date",
        "due_date": "Due date",
        "period": "Service period",
        "buyer_reference": "Your reference",
        "corrects": "Corrects invoice",
        "corrects_of": "of",
        "description": "Description",
        "quantity": "Quantity",
        "unit_price": "Unit price",
        "per": "per",
        "tax": "VAT",
        "amount": "Amount",
        "subtotal": "Subtotal",
        "discount": "Discount",
        "taxable": "Taxable amount",
        "tax_on": "on",
        "reverse_charge": "reverse charge",
        "exempt": "exempt",
        "zero_rated": "zero rated",
        "export": "export",
        "intra_community": "intra-community",
        "not_subject": "not subject",
        "total": "Total including VAT",
        "paid": "Already paid",
        "due": "Amount due",
        "credited": "Amount credited",
        "payment": "Payment",
        "payee": "Payee",
        "reference": "Reference",
        "pay_online": "Pay online",
        "scan": "Scan with your banking app to pay",
        "notes": "Notes",
        "page": "Page",
        "of": "of",
    }
)

_SLOVENIAN = MappingProxyType(
    {
        "invoice": "Račun",
        "credit_note": "Dobropis",
        "number": "št.",
        "seller": "Izdajatelj",
        "buyer": "Kupec",
        "vat_id": "ID za DDV",
        "tax_number": "Davčna št.",
        "registration_number": "Matična št.",
        "issue_date": "Datum izdaje",
        "due_date": "Rok plačila",
        "period": "Obdobje storitve",
        "buyer_reference": "Vaša oznaka",
        "corrects": "Popravlja račun",
        "corrects_of": "z dne",
        "description": "Opis",
        "quantity": "Količina",
        "unit_price": "Cena na enoto",
        "per": "za",
        "tax": "DDV",
        "amount": "Znesek",
        "subtotal": "Vmesni seštevek",
        "discount": "Popust",
        "taxable": "Davčna osnova",
        "tax_on": "od osnove",
        "reverse_charge": "obrnjena davčna obveznost",
        "exempt": "oproščeno",
        "zero_rated": "ničelna stopnja",
        "export": "izvoz",
        "intra_community": "dobava znotraj EU",
        "not_subject": "ni predmet DDV",
        "total": "Skupaj z DDV",
        "paid": "Že plačano",
        "due": "Znesek za plačilo",
        "credited": "Znesek dobropisa",
        "payment": "Plačilo",
        "payee": "Prejemnik",
        "reference": "Sklic",
        "pay_online": "Spletno plačilo",
        "scan": "Za plačilo skenirajte z bančno aplikacijo",
        "notes": "Opombe",
        "page": "Stran",
        "of": "od",
    }
)

_WORDS = {"en": _ENGLISH, "sl": _SLOVENIAN}

_EXEMPTIONS: dict[Language, dict[TaxCategory, str]] = {
    "en": {
        TaxCategory.REVERSE_CHARGE: "Reverse charge: VAT is due from the customer "
        "(Article 196 of Council Directive 2006/112/EC).",
        TaxCategory.EXPORT: "Exempt from VAT: export (Article 146 of Council Directive 2006/112/EC).",
        TaxCategory.INTRA_COMMUNITY: "Exempt from VAT: intra-community supply "
        "(Article 138 of Council Directive 2006/112/EC).",
        TaxCategory.NOT_SUBJECT: "Not subject to VAT.",
    },
    "sl": {
        TaxCategory.REVERSE_CHARGE: "Obrnjena davčna obveznost: DDV obračuna in plača naročnik "
        "(člen 196 Direktive Sveta 2006/112/ES).",
        TaxCategory.EXPORT: "Oproščeno DDV: izvoz (člen 146 Direktive Sveta 2006/112/ES).",
        TaxCategory.INTRA_COMMUNITY: "Oproščeno DDV: dobava znotraj Skupnosti (člen 138 Direktive Sveta 2006/112/ES).",
        TaxCategory.NOT_SUBJECT: "Ni predmet obdavčitve z DDV.",
    },
}


def words(language: Language) -> dict[str, str]:
    """Every fixed text of a document in that language, by its name."""
    return dict(_WORDS[language])


def exemption_reason(tax: TaxTotal, language: Language) -> str:
    """Why the tax is nought: the document's own reason, else the category's; empty for categories that have none."""
    if tax.category in (TaxCategory.STANDARD, TaxCategory.ZERO_RATED):
        return ""
    return tax.exemption_reason or _EXEMPTIONS[language].get(tax.category, "")


def amount_text(amount_minor: int, currency: str, language: Language) -> str:
    """`123456, "EUR", "sl"` → `1.234,56`."""
    exponent = currency_exponent(currency)
    pattern = "#,##0" + ("." + "0" * exponent if exponent else "")
    return str(format_decimal(Decimal(amount_minor).scaleb(-exponent), format=pattern, locale=LOCALES[language]))


def money_text(amount_minor: int, currency: str, language: Language) -> str:
    """`123456, "EUR", "sl"` → `1.234,56 EUR`: the code, so that no two dollars look alike."""
    return f"{amount_text(amount_minor, currency, language)}{NO_BREAK_SPACE}{currency}"


def number_text(number: Decimal, language: Language, least_decimals: int = 0) -> str:
    """A quantity, price or rate with all its decimals and at least `least_decimals`."""
    pattern = "#,##0" + ("." + "0" * least_decimals if least_decimals else "")
    with localcontext(prec=_MOST_DIGITS):  # babel quantizes in the current context, whose 28 digits refuse more
        return str(format_decimal(number, format=pattern, locale=LOCALES[language], decimal_quantization=False))


def date_text(day: date, language: Language) -> str:
    """`24 November 2026`; in Slovenian `24. 11. 2026`, which needs no grammatical case."""
    pattern = "d MMMM y" if language == "en" else "d. M. y"
    return str(format_date(day, format=pattern, locale=LOCALES[language])).replace(" ", NO_BREAK_SPACE)


def period_text(first: date, last: date, language: Language) -> str:
    """`1–30 November 2026`, or both dates in full where they lie in different months."""
    if (first.year, first.month) != (last.year, last.month):
        return f"{date_text(first, language)} – {date_text(last, language)}"
    start = f"{first.day}." if language == "sl" else str(first.day)
    return date_text(last, language) if first == last else f"{start}–{date_text(last, language)}"
