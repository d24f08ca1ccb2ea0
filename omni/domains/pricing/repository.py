"""SQL of pricing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, select, text, update
from sqlalchemy.dialects.postgresql import insert

from omni.domains.pricing.contracts import Coupon, PlanTerms, PlanVersion, Price, Product, StoredCoupon, TaxRate
from omni.domains.pricing.tables import coupons, plan_versions, prices, products, tax_rates
from omni.foundation.db.sessions import Session, SharedSession

_TERMS: TypeAdapter[PlanTerms] = TypeAdapter(PlanTerms)
_COUPON: TypeAdapter[Coupon] = TypeAdapter(Coupon)
_LOCK_PLAN = text("select pg_advisory_xact_lock(hashtextextended('plan_versions ' || :plan_code, 0))")
_TERM_COLUMNS = (
    "currency", "interval", "anchor", "trial_days", "minimum_commitment_minor", "tax_behaviour", "rate_cards",
)  # fmt: skip


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


async def meter_codes(session: Session) -> frozenset[str]:
    return frozenset(row["code"] for row in await session.all(text("select code from meters")))


async def all_products(session: Session) -> list[Product]:
    """By code."""
    rows = await session.all(select(products).order_by(products.c.code))
    return [Product(row["code"], row["name"], row["tax_code"]) for row in rows]


async def add_product(session: Session, product: Product) -> None:
    """Unless its code is taken."""
    row = {"code": product.code, "name": product.name, "tax_code": product.tax_code}
    await session.execute(insert(products).values(row).on_conflict_do_nothing())


async def put_product(session: Session, product: Product) -> None:
    row = {"name": product.name, "tax_code": product.tax_code}
    statement = insert(products).values(code=product.code, **row)
    await session.execute(statement.on_conflict_do_update(index_elements=["code"], set_=row))


async def plan_version(session: Session, plan_code: str, version: int | None, currency: str) -> PlanVersion | None:
    """The newest for None."""
    table = plan_versions.c
    statement = select(plan_versions).where(table.plan_code == plan_code, table.currency == currency)
    if version is not None:
        statement = statement.where(table.version == version)
    row = await session.first(statement.order_by(table.version.desc()).limit(1))
    return None if row is None else _from_row_plan_version(row)


async def plan_versions_of(session: Session, plan_code: str) -> list[PlanVersion]:
    """By currency and number."""
    table = plan_versions.c
    statement = select(plan_versions).where(table.plan_code == plan_code).order_by(table.currency, table.version)
    return [_from_row_plan_version(row) for row in await session.all(statement)]


async def add_plan_version(session: SharedSession, plan_code: str, terms: PlanTerms, now: datetime) -> PlanVersion:
    """Adds the next version; whoever adds another one to the plan at the same time waits."""
    await session.execute(_LOCK_PLAN, {"plan_code": plan_code})
    newest = await plan_version(session, plan_code, None, terms.currency)
    version = newest.version + 1 if newest else 1
    row = _TERMS.dump_python(terms, mode="json")
    await session.execute(plan_versions.insert().values(plan_code=plan_code, version=version, published_at=now, **row))
    return PlanVersion(plan_code, version, now, terms)


async def all_coupons(session: Session) -> list[StoredCoupon]:
    """By code."""
    return [_from_row_coupon(row) for row in await session.all(select(coupons).order_by(coupons.c.code))]


async def coupon(session: Session, code: str, *, lock: bool) -> StoredCoupon | None:
    """A locked coupon stays as it is until the transaction ends."""
    statement = select(coupons).where(coupons.c.code == code)
    row = await session.first(statement.with_for_update() if lock else statement)
    return None if row is None else _from_row_coupon(row)


async def add_coupon(session: Session, new: Coupon) -> bool:
    """False when the code is taken."""
    row = {
        "code": new.code,
        "coupon": _COUPON.dump_python(new, mode="json"),
        "max_redemptions": new.max_redemptions,
    }
    return (await session.execute(insert(coupons).values(row).on_conflict_do_nothing())).rowcount == 1


async def count_redemption(session: Session, code: str) -> None:
    await session.execute(update(coupons).where(coupons.c.code == code).values(redemptions=coupons.c.redemptions + 1))


async def own_tax_rates(session: Session) -> list[TaxRate]:
    """By country and code, newest first."""
    table = tax_rates.c
    statement = select(tax_rates).order_by(table.country, table.code, table.valid_from.desc())
    return [
        TaxRate(row["country"], row["code"], row["percent"], row["valid_from"], row["valid_until"])
        for row in await session.all(statement)
    ]


async def put_tax_rate(session: Session, rate: TaxRate) -> None:
    changes = {"percent": rate.percent, "valid_until": rate.valid_until}
    key = {"country": rate.country, "code": rate.code, "valid_from": rate.valid_from}
    statement = insert(tax_rates).values(**key, **changes)
    await session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changes))


def _from_row_plan_version(row: RowMapping) -> PlanVersion:
    terms = _TERMS.validate_python({name: row[name] for name in _TERM_COLUMNS})
    return PlanVersion(row["plan_code"], row["version"], row["published_at"], terms)


def _from_row_coupon(row: RowMapping) -> StoredCoupon:
    return StoredCoupon(_COUPON.validate_python(row["coupon"]), row["redemptions"])
