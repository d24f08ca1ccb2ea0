"""`/api/operator/products`, `/api/operator/tax-rates`: what is sold, and an operator's own tax rates."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from omni.domains.pricing.contracts import Product, TaxRate
from omni.domains.pricing.routes.bodies import ProductIn, ProductOut, ProductsOut, TaxRateIn, TaxRateOut, TaxRatesOut
from omni.domains.pricing.routes.deps import PricingDeps
from omni.domains.pricing.service import products
from omni.foundation.db.sessions import SharedSession

CodePath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$")]
CountryPath = Annotated[str, Path(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")]


def add_routes(routes: APIRouter, deps: PricingDeps) -> None:
    """Products and tax rates."""
    operator = [Depends(deps.operator)]

    @routes.get("/operator/products", response_model=ProductsOut, dependencies=operator)
    async def list_products() -> ProductsOut:
        """What is sold; every rate card is for a product."""
        async with deps.database.shared() as session:
            found = await products.list_products(session)
        return ProductsOut(data=[_to_api_product(product) for product in found])

    @routes.put("/operator/products/{code}", response_model=ProductOut, dependencies=operator)
    async def put_product(request: Request, code: CodePath, body: ProductIn) -> Response:
        """Adds a product, or replaces its name and tax code."""
        product = Product(code, body.name, body.tax_code)

        async def action(session: SharedSession) -> ProductOut:
            return _to_api_product(await products.put_product(session, product))

        return await deps.unit_of_work.run(request, deps.database.shared(), action)

    @routes.get("/operator/tax-rates", response_model=TaxRatesOut, dependencies=operator)
    async def list_tax_rates() -> TaxRatesOut:
        """The rates that operators have set; they go before the built-in ones of the EU."""
        async with deps.database.shared() as session:
            found = await products.own_tax_rates(session)
        return TaxRatesOut(data=[_to_api_tax_rate(rate) for rate in found])

    @routes.put("/operator/tax-rates/{country}/{code}/{valid_from}", response_model=TaxRateOut, dependencies=operator)
    async def put_tax_rate(
        request: Request, country: CountryPath, code: CodePath, valid_from: date, body: TaxRateIn
    ) -> Response:
        """Sets a country's rate for a tax code from a day on."""
        rate = TaxRate(country, code, body.percent, valid_from, body.valid_until)

        async def action(session: SharedSession) -> TaxRateOut:
            return _to_api_tax_rate(await products.put_tax_rate(session, rate))

        return await deps.unit_of_work.run(request, deps.database.shared(), action)


def _to_api_product(product: Product) -> ProductOut:
    return ProductOut(code=product.code, name=product.name, tax_code=product.tax_code)


def _to_api_tax_rate(rate: TaxRate) -> TaxRateOut:
    return TaxRateOut(
        country=rate.country,
        code=rate.code,
        percent=rate.percent,
        valid_from=rate.valid_from,
        valid_until=rate.valid_until,
    )
