"""Taxes. Categories are those of EN 16931 (UNCL 5305)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

TaxCategory = Literal["S", "Z", "E", "AE", "G", "O"]
"""Standard or reduced rate, zero rate, exempt, reverse charge, export, outside the scope of VAT."""
TaxBehaviour = Literal["exclusive", "inclusive"]
"""Whether prices are without tax or contain it."""
TaxNote = Literal["reverse_charge", "outside_scope", "exempt", "not_registered"]
STANDARD = "standard"


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A country's rate for a tax code, from `valid_from` on and before `valid_until`."""

    country: str
    code: str
    percent: Decimal
    valid_from: date
    valid_until: date | None = None


@dataclass(frozen=True, slots=True)
class TaxSeller:
    """The legal entity that sells. `country` is ISO 3166-1 alpha-2.

    With `one_stop_shop` consumers in other member states pay their own country's rate (the EU's OSS scheme).
    `outside_category` is what sales to customers outside the EU are marked with on the invoice.
    """

    country: str
    vat_registered: bool = True
    one_stop_shop: bool = True
    outside_category: Literal["O", "G"] = "O"


@dataclass(frozen=True, slots=True)
class TaxBuyer:
    """Who buys. `vat_id` as `check_vat_id` returns it makes it a business; an `exempt_reason` exempts it."""

    country: str
    vat_id: str | None = None
    exempt_reason: str | None = None


@dataclass(frozen=True, slots=True)
class TaxTreatment:
    """How a sale is taxed. `country` is whose rate it is, empty where no rate is charged."""

    category: TaxCategory
    percent: Decimal
    country: str = ""
    note: TaxNote | None = None
    reason: str = ""
    """Why no tax is charged, for the invoice, in English; `tax_note_text` has it in other languages."""
    exemption_code: str = ""
    """The code of the reason in the EU's VATEX list."""


@dataclass(frozen=True, slots=True)
class TaxableLine:
    """An invoice line after discounts; `amount_minor` with or without tax, as the prices are."""

    amount_minor: int
    treatment: TaxTreatment


@dataclass(frozen=True, slots=True)
class TaxSubtotal:
    """The tax of all lines with one treatment."""

    treatment: TaxTreatment
    taxable_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class Taxes:
    """The taxes of an invoice; `net_by_line` is each line without tax, in the order of the lines."""

    subtotals: tuple[TaxSubtotal, ...]
    net_by_line: tuple[int, ...]

    @property
    def net_minor(self) -> int:
        return sum(subtotal.taxable_minor for subtotal in self.subtotals)

    @property
    def tax_minor(self) -> int:
        return sum(subtotal.tax_minor for subtotal in self.subtotals)

    @property
    def gross_minor(self) -> int:
        return self.net_minor + self.tax_minor
