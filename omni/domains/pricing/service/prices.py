"""Use cases of list prices."""

from __future__ import annotations

from datetime import UTC, datetime

from redis.asyncio import Redis

from omni.contracts import redis_names
from omni.contracts.usage import (
    CACHED_REQUESTS,
    COMPUTE_MS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    PAGES,
    PREDICTIONS,
    REQUESTS,
    TRAINING_MS,
)
from omni.domains.pricing import repository
from omni.domains.pricing.contracts import Price, Product
from omni.domains.pricing.rules.checks import check_currency
from omni.domains.pricing.rules.list_cards import LIST_PRODUCT
from omni.domains.pricing.rules.list_prices import price_book
from omni.foundation.db.sessions import Session, SharedSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import Conflict, InvalidInput

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT_CURRENCY = "EUR"
PUBLISH_PRICES = "pricing.publish_prices"

# What the platform charges until the operator sets other prices, in nanos of a euro.
DEFAULT_PRICES = (
    Price(REQUESTS, DEFAULT_CURRENCY, FIRST_DAY, 500_000, 1),  # 0.0005 EUR a request
    Price(INPUT_TOKENS, DEFAULT_CURRENCY, FIRST_DAY, 100_000_000, 1_000_000),  # 0.10 EUR a million tokens
    Price(OUTPUT_TOKENS, DEFAULT_CURRENCY, FIRST_DAY, 400_000_000, 1_000_000),  # 0.40 EUR a million tokens
    Price(CACHED_REQUESTS, DEFAULT_CURRENCY, FIRST_DAY, 100_000, 1),  # 0.0001 EUR a request
    Price(COMPUTE_MS, DEFAULT_CURRENCY, FIRST_DAY, 2_000_000, 1_000),  # 0.002 EUR a second
    Price(PAGES, DEFAULT_CURRENCY, FIRST_DAY, 10_000_000, 1),  # 0.01 EUR a page
    Price(TRAINING_MS, DEFAULT_CURRENCY, FIRST_DAY, 20_000_000, 60_000),  # 0.02 EUR a minute
    Price(PREDICTIONS, DEFAULT_CURRENCY, FIRST_DAY, 50_000_000, 1_000),  # 0.05 EUR a thousand rows
)


async def list_prices(session: Session, currency: str | None = None) -> list[Price]:
    """Every price ever set, by meter, currency and start."""
    return [
        Price(row["meter"], row["currency"], row["valid_from"], row["price_nanos"], row["per_quantity"], row["model"])
        for row in await repository.all_prices(session, currency)
    ]


async def set_price(session: SharedSession, price: Price, now: datetime) -> Price:
    """Adds a price that begins later. Raises InvalidInput, Conflict."""
    check_currency(price.currency)
    if price.valid_from != price.valid_from.replace(minute=0, second=0, microsecond=0):
        raise InvalidInput("price_start_not_full_hour", "valid_from must be on a full hour.")
    if price.valid_from <= now:
        raise InvalidInput(
            "price_start_in_the_past", "valid_from must be in the future: what was sold keeps its price."
        )
    if not await repository.meter_exists(session, price.meter):
        raise InvalidInput("unknown_meter", "There is no such meter; see GET /api/meters.", param="meter")
    if not await repository.add_price(session, price):
        raise Conflict("price_exists", "This meter already has a price from that moment on; choose another start.")
    await enqueue(session, PUBLISH_PRICES)
    return price


async def publish_prices(session: Session, redis: Redis) -> None:
    """Writes the price book to Redis and tells the gateways."""
    book = price_book(await list_prices(session, DEFAULT_CURRENCY), DEFAULT_CURRENCY)
    await redis.set(redis_names.PRICES, book.to_json())
    await redis.publish(redis_names.INVALIDATE_CHANNEL, "prices")


async def seed_prices(session: Session) -> None:
    """The default prices and their product, where the price book has none."""
    await repository.add_product(session, Product(LIST_PRODUCT, "Usage"))
    for price in DEFAULT_PRICES:
        await repository.add_price(session, price)
    await enqueue(session, PUBLISH_PRICES)
