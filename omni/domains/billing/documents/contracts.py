"""What stands on an invoice or a credit note. Terms and business term numbers (BT-…) are those of EN 16931-1.

Amounts are integers in minor units of the document's currency. On a credit note they are positive: what is credited.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal

Language = Literal["en", "sl"]


class DocumentKind(StrEnum):
    """What the document is; the value is its UNTDID 1001 code (BT-3)."""

    INVOICE = "380"
    CREDIT_NOTE = "381"


class TaxCategory(StrEnum):
    """Why a rate applies; the value is its UNTDID 5305 code (BT-151)."""

    STANDARD = "S"
    ZERO_RATED = "Z"
    EXEMPT = "E"
    REVERSE_CHARGE = "AE"
    NOT_SUBJECT = "O"
    EXPORT = "G"
    INTRA_COMMUNITY = "K"


@dataclass(frozen=True, slots=True)
class Party:
    """Seller or buyer."""

    name: str
    street: str
    postcode: str
    city: str
    country: str
    """ISO 3166-1 alpha-2."""
    vat_id: str = ""
    registration_number: str = ""
    email: str = ""
    iban: str = ""
    bic: str = ""
    tax_number: str = ""
    """The national one (BT-32), of a seller without a VAT id."""


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One line: `net_minor` is `quantity` × `unit_price` for each `base_quantity`, rounded once, half-even."""

    position: int
    description: str
    quantity: Decimal
    unit_code: str
    """UN/ECE Recommendation 20 or 21, such as C62 (one), HUR (hour), 4L (megabyte)."""
    unit: str
    """The unit for people, in the document's language."""
    unit_price: Decimal
    """In units of the currency, up to nine decimals."""
    net_minor: int
    tax_rate: Decimal
    """Per cent."""
    tax_category: TaxCategory
    base_quantity: Decimal = Decimal(1)
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A discount on the whole document, such as a coupon, within one tax rate."""

    reason: str
    amount_minor: int
    tax_rate: Decimal
    tax_category: TaxCategory
    rate: Decimal | None = None
    """Per cent of `base_minor`, where the discount is one."""
    base_minor: int | None = None


@dataclass(frozen=True, slots=True)
class TaxTotal:
    """The tax of one category and rate (BG-23)."""

    category: TaxCategory
    rate: Decimal
    base_minor: int
    tax_minor: int
    exemption_reason: str = ""
    """Category E needs one; AE, O, G and K have a text of their own where it is left out."""


@dataclass(frozen=True, slots=True)
class DocumentTotals:
    """The sums (BG-22)."""

    net_minor: int
    """Lines less allowances, without tax (BT-109)."""
    tax_minor: int
    gross_minor: int
    paid_minor: int
    due_minor: int


@dataclass(frozen=True, slots=True)
class CorrectedInvoice:
    """The invoice that a credit note corrects (BG-3)."""

    number: str
    issue_date: date


@dataclass(frozen=True, slots=True)
class InvoiceDocument:
    """An invoice or a credit note, complete."""

    kind: DocumentKind
    number: str
    issue_date: date
    due_date: date | None
    period_start: date
    period_end: date
    """The last day of the service period, itself within it."""
    currency: str
    language: Language
    seller: Party
    buyer: Party
    lines: tuple[DocumentLine, ...]
    taxes: tuple[TaxTotal, ...]
    totals: DocumentTotals
    allowances: tuple[Allowance, ...] = ()
    payment_reference: str = ""
    """What the payer gives: an RF creditor reference (ISO 11649), SI00 with a number, or free text."""
    payment_url: str = ""
    buyer_reference: str = ""
    notes: tuple[str, ...] = ()
    corrects: CorrectedInvoice | None = None

    @property
    def lines_minor(self) -> int:
        """The sum of the lines (BT-106)."""
        return sum(line.net_minor for line in self.lines)

    @property
    def allowances_minor(self) -> int:
        """The sum of the allowances (BT-107)."""
        return sum(allowance.amount_minor for allowance in self.allowances)
