"""Routes of the customer endpoints."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.tabular.customers.churn_schemas import ChurnRequest, ChurnResponse
from omni.inference.tabular.customers.schemas import LifetimeValueRequest, LifetimeValueResponse
from omni.inference.tabular.customers.service import CustomerService


def router(service: CustomerService, caller: CallerDependency) -> APIRouter:
    """`/v1/customers/…`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Customers"])

    @routes.post("/v1/customers/lifetime-value", summary="Value customers")
    async def value_customers(body: LifetimeValueRequest, call: Call = Depends(caller)) -> LifetimeValueResponse:
        """How likely each customer buys again, how often within a horizon, and what that is worth, from counts of their
        purchases alone.
        """
        return await service.value(call, body)

    @routes.post("/v1/customers/churn", summary="Find customers who are gone")
    async def find_churn(body: ChurnRequest, call: Call = Depends(caller)) -> ChurnResponse:
        """Who is active, at risk or gone: by the probability that a customer will ever buy again, which is learned from
        the purchases of all, and by how long the last purchase is ago.
        """
        return await service.churn(call, body)

    return routes
