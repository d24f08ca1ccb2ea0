"""`/api/operator/margins`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from omni.domains.metering.contracts import MarginGroup
from omni.domains.metering.routes.deps import MeteringDeps, Period, period_of
from omni.domains.metering.schemas import MarginOut, MarginsOut
from omni.domains.metering.service import margins


def add_routes(routes: APIRouter, deps: MeteringDeps) -> None:
    """For operators: what the platform pays is not the tenants' to see."""
    in_period = Depends(period_of(deps.clock))

    @routes.get("/operator/margins", response_model=MarginsOut, dependencies=[Depends(deps.operator)])
    async def list_margins(
        group_by: Annotated[MarginGroup, Query(description="What each figure is of.")] = "tenant",
        period: Period = in_period,
    ) -> MarginsOut:
        """What live requests earned beside what providers charge for them."""
        async with deps.system_database.session() as system:
            found = await margins.margins(system, group_by, *period)
        return MarginsOut(
            data=[
                MarginOut(
                    group=each.group,
                    requests=each.requests,
                    earned_nanos=each.earned_nanos,
                    cost_nanos=each.cost_nanos,
                    written_off_nanos=each.written_off_nanos,
                    margin_nanos=each.margin_nanos,
                )
                for each in found
            ]
        )
