"""`/api/prices` for everyone, `/api/operator/prices` for operators."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from omni.domains.pricing.contracts import Price
from omni.domains.pricing.routes.deps import PricingDeps
from omni.domains.pricing.schemas import NewPrice, PriceList, PriceOut
from omni.domains.pricing.service import prices
from omni.foundation.db.sessions import SharedSession


def add_routes(routes: APIRouter, deps: PricingDeps) -> None:
    """List prices."""

    @routes.get("/prices", response_model=PriceList)
    async def list_prices(
        currency: Annotated[str | None, Query(pattern="^[A-Z]{3}$", description="Only this currency.")] = None,
    ) -> PriceList:
        """Every price that has been set, by meter, currency and start; the newest that has begun holds."""
        async with deps.database.shared() as session:
            found = await prices.list_prices(session, currency)
        return PriceList(data=[PriceOut(**asdict(price)) for price in found])

    @routes.post("/operator/prices", status_code=201, response_model=PriceOut, dependencies=[Depends(deps.operator)])
    async def set_price(request: Request, body: NewPrice) -> Response:
        """Adds a price that begins later. What was used before keeps its price."""

        async def action(session: SharedSession) -> PriceOut:
            return PriceOut(**asdict(await prices.set_price(session, Price(**body.model_dump()), deps.clock.now())))

        return await deps.unit_of_work.run(request, deps.database.shared(), action, status=201)
