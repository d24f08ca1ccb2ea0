"""An invoice as the document that people and programs read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

from omni.domains.billing.contracts import BillingProfile, Invoice, LegalEntity, Line
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
from omni.domains.billing.rules.records import to_decimal
from omni.domains.billing.service import issuing
from omni.domains.metering import facade as metering
from omni.foundation.db.sessions import ReadSession
from omni.kit.errors import Conflict
from omni.kit.money import NANO_DIGITS, currency_exponent

_PIECE = "C62"
"""UN/ECE Recommendation 20: one."""
_SLOVENIAN_UNITS = {
    "unit": "enota", "request": "zahtevek", "token": "žeton", "image": "slika", "character": "znak", "page": "stran",
    "millisecond": "milisekunda",
}  # fmt: skip
_CORRECTION_OF: dict[Language, str] = {"en": "Correction of invoice {}", "sl": "Popravek računa {}"}


async def load_document(session: ReadSession, invoice_id: UUID) -> InvoiceDocument:
    """The document of an invoice. Raises NotFound `invoice_not_found`, Conflict `invoice_not_final`."""
    invoice = await issuing.find(session, invoice_id)
    if invoice.number is None:
        raise Conflict("invoice_not_final", "The invoice has no document before it is final.")
    corrected = await issuing.find(session, invoice.corrects_id) if invoice.corrects_id else None
    units = {meter.code: meter.unit for meter in await metering.list_meters(session)}
    return document_of(invoice, corrected, units)


def document_of(invoice: Invoice, corrected: Invoice | None, units: Mapping[str, str]) -> InvoiceDocument:
    """The document of a final invoice; `corrected` is the one it corrects. A credit note's amounts are positive.

    `units` has the unit of each meter.
    """
    assert invoice.number is not None
    assert invoice.issued_at is not None
    assert invoice.seller is not None
    assert invoice.buyer is not None
    sign = 1 if invoice.kind == "invoice" else -1
    zone, language = invoice.buyer.time_zone, _language(invoice.buyer.language)
    reference = None
    if corrected is not None and corrected.number is not None and corrected.issued_at is not None:
        reference = CorrectedInvoice(corrected.number, _day(corrected.issued_at, zone))
    is_note = invoice.kind == "credit_note"
    notes = () if is_note or reference is None else (_CORRECTION_OF[language].format(reference.number),)
    paid = invoice.gross_minor - invoice.due_minor if not is_note else 0
    lines = [line for line in invoice.lines if not _is_allowance(line, sign)]
    start = min([line.start for line in invoice.lines], default=invoice.period_start)
    end = max([line.end for line in invoice.lines], default=invoice.period_end)
    return InvoiceDocument(
        kind=DocumentKind.CREDIT_NOTE if is_note else DocumentKind.INVOICE,
        number=invoice.number,
        issue_date=_day(invoice.issued_at, zone),
        due_date=None if is_note or invoice.due_at is None else _day(invoice.due_at, zone),
        period_start=_day(start, zone),
        period_end=_last_day(start, end, zone),
        currency=invoice.currency,
        language=language,
        seller=_seller(invoice.seller),
        buyer=_buyer(invoice.buyer, invoice.seller),
        lines=tuple(
            _line(at, line, sign, invoice, units.get(line.meter or "", "unit"))
            for at, line in enumerate(lines, start=1)
        ),
        allowances=_allowances(invoice, sign),
        taxes=tuple(
            TaxTotal(TaxCategory(tax.category), tax.rate, sign * tax.base_minor, sign * tax.tax_minor, tax.reason)
            for tax in invoice.taxes
        ),
        totals=DocumentTotals(
            sign * invoice.net_minor,
            sign * invoice.tax_minor,
            sign * invoice.gross_minor,
            paid,
            sign * invoice.gross_minor - paid,
        ),
        payment_reference=creditor_reference(invoice.number),
        notes=notes,
        corrects=reference if is_note else None,
    )


def _is_allowance(line: Line, sign: int) -> bool:
    """Discounts lower the whole document; on a credit note they lower what is credited back, and are lines."""
    return line.kind == "discount" and sign * line.net_minor <= 0


def _allowances(invoice: Invoice, sign: int) -> tuple[Allowance, ...]:
    """One for each coupon and tax treatment."""
    found: dict[tuple[str, str, str, Decimal], int] = {}
    for line in invoice.lines:
        if _is_allowance(line, sign):
            key = line.card, line.name, line.tax_category, line.tax_rate
            found[key] = found.get(key, 0) - sign * line.net_minor
    return tuple(
        Allowance(name, minor, rate, TaxCategory(category)) for (_, name, category, rate), minor in found.items()
    )


def _line(position: int, line: Line, sign: int, invoice: Invoice, unit: str) -> DocumentLine:
    assert invoice.buyer is not None
    zone, language = invoice.buyer.time_zone, _language(invoice.buyer.language)
    quantity, price, base = _quantity_and_price(line, sign, invoice.currency)
    dimensions = ", ".join(value for value in line.dimensions.values() if value)
    first, last = _day(line.start, zone), _last_day(line.start, line.end, zone)
    span = f"{first:%d.%m.%Y}" if first == last else f"{first:%d.%m.%Y} – {last:%d.%m.%Y}"
    return DocumentLine(
        position=position,
        description=f"{line.name} ({dimensions})" if dimensions else line.name,
        quantity=quantity,
        unit_code=_PIECE,
        unit=_SLOVENIAN_UNITS.get(unit, unit) if language == "sl" else unit,
        unit_price=price,
        net_minor=sign * line.net_minor,
        tax_rate=line.tax_rate,
        tax_category=TaxCategory(line.tax_category),
        base_quantity=base,
        detail=span,
    )


def _quantity_and_price(line: Line, sign: int, currency: str) -> tuple[Decimal, Decimal, Decimal]:
    """Quantity × unit price for each base quantity, where that is how the line came about, else once its amount."""
    priced = [step for step in line.steps if step["kind"] not in ("included", "free_value")]
    if len(priced) == 1 and priced[0]["kind"] == "units":
        step = priced[0]
        quantity = _exact(step["quantity"])
        if quantity is not None:
            price = Decimal(step["price_nanos"]).scaleb(-NANO_DIGITS)
            found = (sign * quantity, price, Decimal(step["per_quantity"]))
            if _comes_to(found, currency, sign * line.net_minor):
                return found
    amount = Decimal(abs(line.net_minor)).scaleb(-currency_exponent(currency))
    return Decimal(1 if sign * line.net_minor >= 0 else -1), amount, Decimal(1)


def _exact(fraction: str) -> Decimal | None:
    """None when it is no decimal number with an end."""
    exact = Fraction(fraction)
    rounded = to_decimal(exact)
    return rounded if rounded == exact else None


def _comes_to(found: tuple[Decimal, Decimal, Decimal], currency: str, net_minor: int) -> bool:
    quantity, price, base = found
    line = DocumentLine(
        1, "", quantity, _PIECE, "", price, net_minor, Decimal(0), TaxCategory.STANDARD, base_quantity=base
    )
    return line_net_minor(line, currency) == net_minor


def _seller(entity: LegalEntity) -> Party:
    return Party(
        name=entity.name,
        street=entity.street,
        postcode=entity.postcode,
        city=entity.city,
        country=entity.country,
        vat_id=entity.vat_id or "",
        registration_number=entity.registration or "",
        email=entity.email or "",
        iban=entity.iban or "",
        bic=entity.bic or "",
    )


def _buyer(profile: BillingProfile, seller: LegalEntity) -> Party:
    return Party(
        name=profile.name,
        street=profile.street,
        postcode=profile.postcode,
        city=profile.city,
        country=profile.country or seller.country,
        vat_id=profile.vat_id or "",
        email=profile.email or "",
    )


def _language(code: str) -> Language:
    return "sl" if code == "sl" else "en"


def _day(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def _last_day(start: datetime, end: datetime, zone: str) -> date:
    """The last day of a span whose end is not part of it."""
    return _day(max(start, end - timedelta(microseconds=1)), zone)
