"""Use cases of products and of an operator's own tax rates."""

from __future__ import annotations

from omni.domains.pricing import repository
from omni.domains.pricing.contracts import Product, TaxRate
from omni.domains.pricing.rules.taxes import eu_rates
from omni.foundation.db.sessions import Session, SharedSession
from omni.kit.errors import InvalidInput


async def list_products(session: Session) -> list[Product]:
    """By code."""
    return await repository.all_products(session)


async def put_product(session: SharedSession, product: Product) -> Product:
    """Adds a product, or replaces its name and tax code."""
    await repository.put_product(session, product)
    return product


async def tax_rates(session: Session) -> list[TaxRate]:
    """Every known rate: an operator's own, newest first, then those of the EU. Of those that hold, the first counts."""
    return [*await repository.own_tax_rates(session), *eu_rates()]


async def own_tax_rates(session: Session) -> list[TaxRate]:
    """The rates that operators have set."""
    return await repository.own_tax_rates(session)


async def put_tax_rate(session: SharedSession, rate: TaxRate) -> TaxRate:
    """Sets the rate of a country from a day on. Raises InvalidInput `invalid_tax_rate`."""
    if rate.valid_until is not None and rate.valid_until <= rate.valid_from:
        raise InvalidInput("invalid_tax_rate", "valid_until must be after valid_from.", param="valid_until")
    await repository.put_tax_rate(session, rate)
    return rate
