"""Taxes: who pays which, and totals that add up."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from omni.domains.pricing.contracts import TaxableLine, TaxBehaviour, TaxBuyer, TaxRate, TaxSeller, TaxTreatment
from omni.domains.pricing.rules.coupons import discounts
from omni.domains.pricing.rules.rating import rate
from omni.domains.pricing.rules.taxes import EU, compute_taxes, eu_rates, percent_on, tax_note_text, treatment
from omni.kit.errors import NotConfigured
from omni.kit.money import line_minor
from tests.domains.pricing.cards import random_card, random_usage
from tests.domains.pricing.test_coupons import Line, amount_off, percent_off

DAY = date(2026, 11, 24)
SELLER = TaxSeller("SI")
STANDARD_2026 = {
    "AT": "20", "BE": "21", "BG": "20", "CY": "19", "CZ": "21", "DE": "19", "DK": "25", "EE": "24", "ES": "21",
    "FI": "25.5", "FR": "20", "GR": "24", "HR": "25", "HU": "27", "IE": "23", "IT": "22", "LT": "21", "LU": "17",
    "LV": "21", "MT": "18", "NL": "21", "PL": "23", "PT": "23", "RO": "21", "SE": "25", "SI": "22", "SK": "23",
}  # fmt: skip


def treated(buyer: TaxBuyer, seller: TaxSeller = SELLER, code: str = "standard") -> tuple[str, str, str]:
    found = treatment(seller, buyer, DAY, eu_rates(), code)
    return found.category, str(found.percent), found.country


def test_the_table_has_every_member_state() -> None:
    assert set(STANDARD_2026) == EU == {rate.country for rate in eu_rates()}
    for country, percent in STANDARD_2026.items():
        assert percent_on(eu_rates(), country, "standard", DAY) == Decimal(percent)


@pytest.mark.parametrize(
    ("country", "code", "day", "percent"),
    [
        ("SI", "reduced_2", DAY, "9.5"),
        ("SI", "reduced_1", DAY, "5"),
        ("DK", "reduced_1", DAY, "25"),
        ("RO", "standard", date(2025, 7, 31), "19"),
        ("RO", "standard", date(2025, 8, 1), "21"),
        ("EE", "standard", date(2025, 6, 30), "22"),
        ("EE", "standard", date(2025, 7, 1), "24"),
    ],
)
def test_rates_change_on_their_day(country: str, code: str, day: date, percent: str) -> None:
    assert percent_on(eu_rates(), country, code, day) == Decimal(percent)


def test_no_two_rates_of_a_country_hold_on_one_day() -> None:
    days = sorted({rate.valid_from for rate in eu_rates()})
    for day in days:
        for country in EU:
            holding = [r for r in eu_rates() if r.country == country and r.valid_from <= day]
            codes = [r.code for r in holding if r.valid_until is None or day < r.valid_until]
            assert len(codes) == len(set(codes))
            assert "standard" in codes


@pytest.mark.parametrize(
    ("buyer", "expected"),
    [
        (TaxBuyer("SI"), ("S", "22", "SI")),
        (TaxBuyer("SI", "SI50223054"), ("S", "22", "SI")),
        (TaxBuyer("DE", "DE136695976"), ("AE", "0", "")),
        (TaxBuyer("DE", "ATU13585627"), ("AE", "0", "")),
        (TaxBuyer("DE", "SI50223054"), ("S", "22", "SI")),
        (TaxBuyer("DE", "XI980780684"), ("S", "19", "DE")),
        (TaxBuyer("GR", "EL094259216"), ("AE", "0", "")),
        (TaxBuyer("DE"), ("S", "19", "DE")),
        (TaxBuyer("MC"), ("S", "20", "FR")),
        (TaxBuyer("US"), ("O", "0", "")),
        (TaxBuyer("GB", "XI980780684"), ("O", "0", "")),
        (TaxBuyer("DE", exempt_reason="Embassy, certificate 12"), ("E", "0", "")),
    ],
)
def test_who_pays_which_tax(buyer: TaxBuyer, expected: tuple[str, str, str]) -> None:
    assert treated(buyer) == expected


def test_the_seller_decides_as_well() -> None:
    assert treated(TaxBuyer("DE"), replace(SELLER, one_stop_shop=False)) == ("S", "22", "SI")
    assert treated(TaxBuyer("US"), replace(SELLER, outside_category="G")) == ("G", "0", "")
    assert treated(TaxBuyer("SI"), replace(SELLER, vat_registered=False)) == ("E", "0", "")
    assert treated(TaxBuyer("DE"), TaxSeller("US", one_stop_shop=False)) == ("O", "0", "")
    assert treated(TaxBuyer("SI"), code="reduced_2") == ("S", "9.5", "SI")


def test_what_is_not_taxed_says_why_and_by_which_code() -> None:
    reverse = treatment(SELLER, TaxBuyer("DE", "DE136695976"), DAY, eu_rates())
    assert (reverse.note, reverse.exemption_code) == ("reverse_charge", "VATEX-EU-AE")
    assert "Articles 44 and 196" in reverse.reason
    assert tax_note_text("reverse_charge", "sl").startswith("Obrnjena davčna obveznost")
    assert tax_note_text("exempt", "fr") == "Exempt from VAT."
    embassy = treatment(SELLER, TaxBuyer("SI", exempt_reason="Embassy, certificate 12"), DAY, eu_rates())
    assert embassy.reason == "Embassy, certificate 12"


def test_an_operators_own_rate_goes_first() -> None:
    own = TaxRate("SI", "standard", Decimal(0), date(2026, 1, 1))
    assert treatment(SELLER, TaxBuyer("SI"), DAY, [own, *eu_rates()]).category == "Z"
    swiss = TaxRate("CH", "standard", Decimal("8.1"), date(2024, 1, 1))
    assert treatment(TaxSeller("CH"), TaxBuyer("CH"), DAY, [swiss]).percent == Decimal("8.1")


def test_a_country_without_a_rate_is_refused() -> None:
    with pytest.raises(NotConfigured) as refused:
        treatment(TaxSeller("CH"), TaxBuyer("CH"), DAY, eu_rates())
    assert refused.value.code == "tax_rate_missing"


def rated(percent: str, country: str = "SI") -> TaxTreatment:
    return TaxTreatment("S", Decimal(percent), country)


def test_tax_is_computed_once_for_each_rate() -> None:
    lines = [TaxableLine(33, rated("22")) for _ in range(3)] + [TaxableLine(10, rated("9.5"))]
    taxes = compute_taxes(lines, "exclusive")
    assert [(each.taxable_minor, each.tax_minor) for each in taxes.subtotals] == [(99, 22), (10, 1)]
    assert (taxes.net_minor, taxes.tax_minor, taxes.gross_minor, taxes.net_by_line) == (109, 23, 132, (33, 33, 33, 10))


def test_tax_is_rounded_half_even() -> None:
    halves = [compute_taxes([TaxableLine(net, rated("10"))], "exclusive").tax_minor for net in (5, 15, 25, -5, -15)]
    assert halves == [0, 2, 2, 0, -2]


def test_inclusive_prices_are_split_without_a_cent_lost() -> None:
    taxes = compute_taxes([TaxableLine(100, rated("22"))] * 3, "inclusive")
    assert (taxes.net_minor, taxes.tax_minor, taxes.net_by_line) == (246, 54, (82, 82, 82))
    taxes = compute_taxes([TaxableLine(1, rated("22"))] * 3, "inclusive")
    assert (taxes.net_minor, taxes.tax_minor, sum(taxes.net_by_line)) == (2, 1, 2)


def test_an_invoice_without_lines_has_no_tax() -> None:
    assert compute_taxes([], "exclusive").gross_minor == 0


def expected_taxes(amounts: dict[TaxTreatment, int], behaviour: TaxBehaviour) -> tuple[int, int]:
    """Net and tax of the sums by treatment, by the definition; Fraction rounds half to even."""
    net = tax = 0
    for each, amount in amounts.items():
        if behaviour == "exclusive":
            net, tax = net + amount, tax + round(Fraction(amount) * Fraction(each.percent) / 100)
        else:
            without = round(Fraction(amount) / (1 + Fraction(each.percent) / 100))
            net, tax = net + without, tax + amount - without
    return net, tax


def test_a_hundred_thousand_invoices_add_up() -> None:
    chance = random.Random(20261124)
    treatments = [rated("22"), rated("9.5"), rated("25.5", "FI"), TaxTreatment("AE", Decimal(0), note="reverse_charge")]
    currencies = ("EUR", "JPY", "BHD")
    rated_cards = {currency: [lines_by_chance(chance, currency) for _ in range(200)] for currency in currencies}
    for number in range(100_000):
        currency = currencies[number % 3]
        amounts = chance.choice(rated_cards[currency]) + chance.choice(rated_cards[currency])
        coupons = [percent_off("12.5"), amount_off(chance.randrange(1, 5000), currency)] if number % 5 == 0 else []
        off = discounts([Line("api", amount) for amount in amounts], coupons, currency)
        left = [amount - sum(each.by_line[index] for each in off) for index, amount in enumerate(amounts)]
        lines = [TaxableLine(amount, chance.choice(treatments)) for amount in left]
        behaviour: TaxBehaviour = "exclusive" if number % 2 else "inclusive"
        taxes = compute_taxes(lines, behaviour)
        sums: dict[TaxTreatment, int] = {}
        for line in lines:
            sums[line.treatment] = sums.get(line.treatment, 0) + line.amount_minor
        net, tax = expected_taxes(sums, behaviour)
        assert (sum(taxes.net_by_line), taxes.tax_minor, taxes.gross_minor) == (net, tax, net + tax)
        assert behaviour == "exclusive" or net + tax == sum(left)


def lines_by_chance(chance: random.Random, currency: str) -> list[int]:
    """The rounded lines of a card by chance and usage that fits it."""
    card = random_card(chance, currency)
    return [line_minor(line.amount, currency) for line in rate(card, *random_usage(chance, card))]
