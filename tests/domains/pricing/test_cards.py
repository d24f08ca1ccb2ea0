"""Rate cards: their JSON, and what is refused with which words."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from omni.domains.pricing.contracts import (
    DimensionRate,
    Filter,
    Flat,
    Graduated,
    Percentage,
    PerDimension,
    PerUnit,
    PriceModel,
    Seat,
    Tier,
    UnitPrice,
)
from omni.domains.pricing.rules.card_json import from_json, to_json
from omni.domains.pricing.rules.checks import check_card, check_cards
from omni.kit.errors import InvalidInput
from tests.domains.pricing.cards import card, random_card

ONE = UnitPrice(1)
METERS = {"input_tokens"}


def tiers(*bounds: str | None) -> Graduated:
    return Graduated(tuple(Tier(None if bound is None else Decimal(bound), ONE) for bound in bounds))


def test_a_card_survives_json() -> None:
    chance = random.Random(4)
    for _ in range(500):
        of = random_card(chance, "EUR")
        assert from_json(orjson.loads(orjson.dumps(to_json(of)))) == of


def test_decimals_are_written_as_strings() -> None:
    written = to_json(card(Percentage(Decimal("2.90")), group_by=("model",)))
    assert written == {
        "code": "card", "product": "api", "name": "Card", "currency": "EUR", "meter": "input_tokens",
        "included_units": "0", "filters": [], "group_by": ["model"], "minimum_minor": None, "maximum_minor": None,
        "price": {"kind": "percentage", "percent": "2.90", "fixed_nanos": 0, "free_transactions": None,
                  "free_value": None, "minimum_nanos": None, "maximum_nanos": None},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"price": {"kind": "per_unit", "price": {"price_nanos": -1}}}, "price.per_unit.price.price_nanos"),
        ({"price": {"kind": "per_unit", "price": {"price_nanos": 1.5}}}, "price.per_unit.price.price_nanos"),
        ({"price": {"kind": "per_unit", "price": {"price_nanos": 1, "per_quantity": 0}}},
         "price.per_unit.price.per_quantity"),
        ({"price": {"kind": "percentage", "percent": 2.9}}, "price.percentage.percent"),
        ({"price": {"kind": "percentage", "percent": "NaN"}}, "price.percentage.percent"),
        ({"price": {"kind": "percentage", "percent": "100.1"}}, "price.percentage.percent"),
        ({"price": {"kind": "magic"}}, "price"),
        ({"included_units": "-1"}, "included_units"),
        ({"currency": "euro"}, "currency"),
        ({"code": "Has Spaces"}, "code"),
        ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
def test_json_that_is_no_card_is_refused_by_name(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        from_json({**to_json(card(PerUnit(ONE))), **changes})
    assert (refused.value.code, refused.value.fields["param"]) == ("invalid_rate_card", where)


@pytest.mark.parametrize(
    ("price", "code", "words"),
    [
        (tiers(), "invalid_tiers", "1 to 100 tiers"),
        (tiers("10"), "invalid_tiers", "units above 10 have no price"),
        (tiers("10", "5", None), "invalid_tiers", "tier 2 ends at 5, not above 10"),
        (tiers("10", "10", None), "invalid_tiers", "tier 2 ends at 10, not above 10"),
        (tiers("0", None), "invalid_tiers", "tier 1 ends at 0, not above 0"),
        (tiers("10", None, None), "invalid_tiers", "tier 2 has no up_to"),
        (Percentage(Decimal(1), minimum_nanos=2, maximum_nanos=1), "invalid_rate_card", "above maximum_nanos"),
        (PerDimension(("model",), ()), "invalid_rates", "or a default"),
        (PerDimension((), (), ONE), "invalid_rates", "different names"),
        (PerDimension(("model",), (DimensionRate(("a", "b"), ONE),)), "invalid_rates", "a value for each"),
        (PerDimension(("model",), (DimensionRate(("a",), ONE),) * 2), "invalid_rates", "two rates for a"),
    ],
)
def test_a_price_that_means_nothing_is_refused(price: PriceModel, code: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_card(card(price), METERS)
    assert refused.value.code == code
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"meter": "nonsense"}, "unknown_meter"),
        ({"meter": None}, "invalid_rate_card"),
        ({"currency": "XXX"}, "unknown_currency"),
        ({"code": "minimum_commitment"}, "invalid_rate_card"),
        ({"minimum_minor": 2, "maximum_minor": 1}, "invalid_rate_card"),
        ({"group_by": ("model", "model")}, "invalid_rate_card"),
        ({"filters": (Filter("model", ()),)}, "invalid_rate_card"),
        ({"price": Seat(1)}, "invalid_rate_card"),
        ({"price": Flat(1), "meter": None, "group_by": ("model",)}, "invalid_rate_card"),
        ({"price": Flat(1), "meter": None, "minimum_minor": 1}, "invalid_rate_card"),
        ({"price": Flat(1), "meter": None, "included_units": Decimal(1)}, "invalid_rate_card"),
        ({"price": Percentage(Decimal(1)), "included_units": Decimal(1)}, "invalid_rate_card"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_card(replace(card(PerUnit(ONE)), **changes), METERS)
    assert refused.value.code == code


def test_cards_of_a_plan_share_its_currency_and_have_codes_of_their_own() -> None:
    one = card(PerUnit(ONE))
    check_cards([one, replace(one, code="other")], "EUR", METERS)
    with pytest.raises(InvalidInput, match="in EUR, but the plan is in USD") as wrong:
        check_cards([one], "USD", METERS)
    assert wrong.value.code == "wrong_currency"
    with pytest.raises(InvalidInput) as twice:
        check_cards([one, one], "EUR", METERS)
    assert twice.value.code == "rate_card_twice"
