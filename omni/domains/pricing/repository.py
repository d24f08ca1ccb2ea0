"""SQL of pricing."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, select, text
from sqlalchemy.dialects.postgresql import insert

from omni.domains.pricing.contracts import Price
from omni.domains.pricing.tables import prices
from omni.foundation.db.sessions import Session


async def all_prices(session: Session, currency: str | None) -> Sequence[RowMapping]:
    statement = select(prices).order_by(prices.c.meter, prices.c.model, prices.c.currency, prices.c.valid_from)
    if currency is not None:
        statement = statement.where(prices.c.currency == currency)
    return await session.all(statement)


async def meter_exists(session: Session, code: str) -> bool:
    return bool(await session.scalar(text("select exists (select 1 from meters where code = :code)"), {"code": code}))


async def add_price(session: Session, price: Price) -> bool:
    """False when the meter has a price from that moment on already."""
    statement = insert(prices).values(
        meter=price.meter,
        model=price.model,
        currency=price.currency,
        valid_from=price.valid_from,
        price_nanos=price.price_nanos,
        per_quantity=price.per_quantity,
    )
    return (await session.execute(statement.on_conflict_do_nothing())).rowcount == 1
