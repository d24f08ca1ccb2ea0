"""List prices as rate cards cost what list prices cost."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from omni.contracts.usage import CACHED_INPUT_TOKENS, INPUT_TOKENS, METERS
from omni.domains.pricing.contracts import DatedCard, PerDimension, PerUnit, Price, Quantity, UnitPrice
from omni.domains.pricing.rules.checks import check_card
from omni.domains.pricing.rules.list_cards import default_cards
from omni.domains.pricing.rules.list_prices import price_at, price_book
from omni.domains.pricing.rules.rating import rate

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def spans(cards: list[DatedCard], meter: str) -> list[tuple[datetime, datetime | None]]:
    return [(dated.valid_from, dated.valid_until) for dated in cards if dated.card.meter == meter]


def test_a_price_that_changes_makes_two_cards() -> None:
    prices = [
        Price("pages", "EUR", NOON, 1, 1),
        Price("pages", "EUR", NOON + HOUR, 2, 3),
        Price("pages", "USD", NOON, 9, 1),
    ]
    first, second = [dated for dated in default_cards(prices, "EUR") if dated.card.meter == "pages"]
    assert (first.card.price, first.valid_from, first.valid_until) == (PerUnit(UnitPrice(1)), NOON, NOON + HOUR)
    assert (second.card.price, second.valid_from, second.valid_until) == (PerUnit(UnitPrice(2, 3)), NOON + HOUR, None)
    assert first.card.code != second.card.code
    assert {card.card.currency for card in default_cards(prices, "USD")} == {"USD"}


def test_a_price_that_is_said_again_makes_no_second_card() -> None:
    prices = [Price("pages", "EUR", NOON, 1, 1), Price("pages", "EUR", NOON + HOUR, 1, 1)]
    assert spans(default_cards(prices, "EUR"), "pages") == [(NOON, None)]


def test_models_with_a_price_of_their_own_make_rates_by_model() -> None:
    prices = [Price(INPUT_TOKENS, "EUR", NOON, 1, 1), Price(INPUT_TOKENS, "EUR", NOON, 5, 1, "big")]
    (found,) = [dated.card.price for dated in default_cards(prices, "EUR") if dated.card.meter == INPUT_TOKENS]
    assert isinstance(found, PerDimension)
    assert (found.default, [rate.values for rate in found.rates]) == (UnitPrice(1), [("big",)])


def test_a_model_whose_price_is_that_of_all_needs_no_rate() -> None:
    prices = [Price("pages", "EUR", NOON, 1, 1), Price("pages", "EUR", NOON, 1, 1, "big")]
    cards = default_cards(prices, "EUR")
    assert [dated.card.price for dated in cards if dated.card.meter == "pages"] == [PerUnit(UnitPrice(1))]


def test_what_is_used_in_a_batch_costs_half_unless_it_has_a_price_of_its_own() -> None:
    prices = [Price(INPUT_TOKENS, "EUR", NOON, 7, 1), Price("batch_pages", "EUR", NOON, 3, 1)]
    prices.append(Price("pages", "EUR", NOON, 10, 1))
    found = {dated.card.meter: dated.card.price for dated in default_cards(prices, "EUR")}
    assert found["batch_input_tokens"] == found["batch_cached_input_tokens"] == PerUnit(UnitPrice(7, 2))
    assert found["batch_pages"] == PerUnit(UnitPrice(3))
    assert found["pages"] == PerUnit(UnitPrice(10))


def test_a_meter_without_a_price_of_its_own_costs_what_its_fallback_costs() -> None:
    cards = default_cards([Price(INPUT_TOKENS, "EUR", NOON, 7, 1)], "EUR")
    (cached,) = [dated for dated in cards if dated.card.meter == CACHED_INPUT_TOKENS]
    assert cached.card.price == PerUnit(UnitPrice(7))


def test_random_price_books_cost_the_same_as_rate_cards() -> None:
    chance = random.Random(7)
    plain, models = [INPUT_TOKENS, CACHED_INPUT_TOKENS, "pages"], ["", "big", "small"]
    meters = [*plain, *(f"batch_{meter}" for meter in plain)]
    known = {*METERS, *meters}
    for _ in range(300):
        prices = list(
            {
                (price.meter, price.model, price.valid_from): price
                for price in (
                    Price(
                        chance.choice(meters), "EUR", NOON + chance.randrange(6) * HOUR, chance.randrange(5), 1,
                        chance.choice(models),
                    )
                    for _ in range(chance.randrange(8))
                )
            }.values()
        )  # fmt: skip
        cards = default_cards(prices, "EUR")
        for dated in cards:
            check_card(dated.card, known)
        book = price_book(prices, "EUR")
        for meter in meters:
            for hour in (NOON + step * HOUR for step in range(-1, 7)):
                for model in models:
                    price = price_at(prices, meter, hour, model)
                    due = Fraction(price.price_nanos * 3, price.per_quantity * 10**9) if price else None
                    held = book.rates_at(model, int(hour.timestamp()) * 1_000_000).get(meter)
                    assert (held and (held.price_nanos, held.per_quantity)) == (
                        price and (price.price_nanos, price.per_quantity)
                    ), "what the gateway holds"
                    assert cost(cards, meter, hour, model) == due


def cost(cards: list[DatedCard], meter: str, hour: datetime, model: str) -> Fraction | None:
    """What three units come to by the card that holds; None when none counts them."""
    holding = [
        dated.card
        for dated in cards
        if dated.card.meter == meter
        and dated.valid_from <= hour
        and (dated.valid_until is None or hour < dated.valid_until)
    ]
    assert len(holding) <= 1
    lines = [line for card in holding for line in rate(card, [Quantity((("model", model),), Fraction(3), 1)])]
    return sum((line.amount for line in lines), Fraction(0)) if lines else None
