"""VAT: how a sale is treated, and what the tax of an invoice comes to.

Sales are electronically supplied services. Sources: Directive 2006/112/EC, Articles 44 (services to businesses are
taxed where the customer is), 58 (to consumers too, by electronic means), 196 (reverse charge), 369a ff. (OSS);
EN 16931-1, BR-CO-17 (tax of each rate is its taxable amount times the rate, rounded).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files

import orjson

from omni.domains.pricing.contracts import (
    STANDARD,
    TaxableLine,
    TaxBehaviour,
    TaxBuyer,
    Taxes,
    TaxNote,
    TaxRate,
    TaxSeller,
    TaxSubtotal,
    TaxTreatment,
)
from omni.kit.errors import NotConfigured
from omni.kit.money import divide_half_even

EU = frozenset(
    ("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
     "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK")
)  # fmt: skip
_TREATED_AS = {"EL": "GR", "MC": "FR"}
"""The VAT prefix of Greece; Monaco, which is part of France for VAT (Article 7 of the directive)."""

_NOTES: dict[TaxNote, dict[str, str]] = {
    "reverse_charge": {
        "en": "Reverse charge: the customer accounts for VAT (Articles 44 and 196 of Directive 2006/112/EC).",
        "sl": "Obrnjena davčna obveznost: DDV obračuna prejemnik (člena 44 in 196 Direktive 2006/112/ES).",
    },
    "outside_scope": {
        "en": "Not subject to EU VAT: supplied outside the EU (Articles 44 and 58 of Directive 2006/112/EC).",
        "sl": "Ni predmet DDV: kraj opravljanja storitve je zunaj EU (člena 44 in 58 Direktive 2006/112/ES).",
    },
    "exempt": {"en": "Exempt from VAT.", "sl": "Oproščeno plačila DDV."},
    "not_registered": {"en": "The seller is not registered for VAT.", "sl": "Izdajatelj ni zavezanec za DDV."},
}
_EXEMPTION_CODES: dict[str, str] = {"AE": "VATEX-EU-AE", "G": "VATEX-EU-G", "O": "VATEX-EU-O"}


def tax_note_text(note: TaxNote, language: str) -> str:
    """The note for an invoice in `en` or `sl`; other languages get English."""
    texts = _NOTES[note]
    return texts.get(language, texts["en"])


@lru_cache(maxsize=1)
def eu_rates() -> tuple[TaxRate, ...]:
    """The rates of the member states, from `tax_rates.json`, which names its source."""
    table = orjson.loads(files(__package__).joinpath("tax_rates.json").read_bytes())
    return tuple(
        TaxRate(
            country,
            row["code"],
            Decimal(row["percent"]),
            date.fromisoformat(row["from"]),
            date.fromisoformat(row["until"]) if "until" in row else None,
        )
        for country, rows in table["rates"].items()
        for row in rows
    )


def percent_on(rates: Sequence[TaxRate], country: str, code: str, day: date) -> Decimal | None:
    """The rate of a country for a tax code on a day, else its standard rate: where a country has no such reduced rate,
    the standard one is due. Of several that hold, the first in `rates` counts: put an operator's own first.
    """
    for wanted in (code, STANDARD):
        for rate in rates:
            begun = rate.valid_from <= day and (rate.valid_until is None or day < rate.valid_until)
            if begun and rate.country == country and rate.code == wanted:
                return rate.percent
    return None


def treatment(
    seller: TaxSeller, buyer: TaxBuyer, day: date, rates: Sequence[TaxRate], code: str = STANDARD
) -> TaxTreatment:
    """How a service is taxed that is sold on `day`. Raises NotConfigured `tax_rate_missing`.

    Within the seller's country, or to a business registered there: its rate. To a business registered in another member
    state: reverse charge. To anyone else in another one: that country's rate with the one-stop shop, else the seller's.
    Outside the EU: out of scope.
    """
    if not seller.vat_registered:
        return _untaxed("E", "not_registered")
    if buyer.exempt_reason is not None:
        return _untaxed("E", "exempt", buyer.exempt_reason)
    home, there = _vat_country(seller.country), _vat_country(buyer.country)
    if there == home:
        return _rated(rates, home, code, day)
    if there not in EU:
        return _untaxed(seller.outside_category, "outside_scope")
    registered = _vat_country(buyer.vat_id[:2]) if buyer.vat_id else None
    if registered == home:
        return _rated(rates, home, code, day)
    if registered in EU:
        return _untaxed("AE", "reverse_charge")
    if seller.one_stop_shop:
        return _rated(rates, there, code, day)
    return _rated(rates, home, code, day) if home in EU else _untaxed(seller.outside_category, "outside_scope")


def _vat_country(country: str) -> str:
    return _TREATED_AS.get(country, country)


def _rated(rates: Sequence[TaxRate], country: str, code: str, day: date) -> TaxTreatment:
    percent = percent_on(rates, country, code, day)
    if percent is None:
        raise NotConfigured(
            "tax_rate_missing",
            f"No tax rate of {country} is known for {day}. An operator adds one: PUT /api/operator/tax-rates.",
        )
    return TaxTreatment("S" if percent else "Z", percent, country)


def _untaxed(category: str, note: TaxNote, reason: str | None = None) -> TaxTreatment:
    text = reason or tax_note_text(note, "en")
    code = _EXEMPTION_CODES.get(category, "")
    match category:
        case "AE" | "G" | "O" | "E":
            return TaxTreatment(category, Decimal(0), note=note, reason=text, exemption_code=code)
    raise ValueError(f"{category} is taxed")


def compute_taxes(lines: Sequence[TaxableLine], behaviour: TaxBehaviour) -> Taxes:
    """The taxes of an invoice, in minor units: one subtotal for each treatment.

    Exclusive: the tax is the sum of the lines times the rate, rounded once, half-even. Inclusive: the taxable amount is
    the sum divided by one plus the rate, rounded so, and the tax the rest, so that both add up to the prices. Each
    line's net is then what it adds to the rounded running total, so that lines add up to the taxable amount.
    """
    nets = [0] * len(lines)
    places: dict[TaxTreatment, list[int]] = {}
    for index, line in enumerate(lines):
        places.setdefault(line.treatment, []).append(index)
    subtotals = []
    for each in sorted(places, key=_order):
        numerator, denominator = each.percent.as_integer_ratio()
        hundred = 100 * denominator
        running = net = 0
        for index in places[each]:
            amount = lines[index].amount_minor
            running += amount
            before = net
            net = running if behaviour == "exclusive" else divide_half_even(running * hundred, hundred + numerator)
            nets[index] = net - before
        tax = divide_half_even(net * numerator, hundred) if behaviour == "exclusive" else running - net
        subtotals.append(TaxSubtotal(each, net, tax))
    return Taxes(tuple(subtotals), tuple(nets))


def _order(each: TaxTreatment) -> tuple[str, Decimal, str, str]:
    return each.category, -each.percent, each.country, each.reason
