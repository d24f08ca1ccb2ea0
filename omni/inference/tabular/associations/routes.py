"""Route of the association endpoint."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.tabular.associations.schemas import AssociationRequest, AssociationResponse
from omni.inference.tabular.associations.service import AssociationService


def router(service: AssociationService, caller: CallerDependency) -> APIRouter:
    """`/v1/tabular/association-rules`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Tabular"])

    @routes.post("/v1/tabular/association-rules", summary="Find what is found together")
    async def find_association_rules(body: AssociationRequest, call: Call = Depends(caller)) -> AssociationResponse:
        """Rules "who has A has C, too" among baskets, with support, confidence, lift, leverage and conviction."""
        return await service.find(call, body)

    return routes
