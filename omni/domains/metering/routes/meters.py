"""`/api/meters`: for everyone to read, for operators to add and retire."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.metering.contracts import Meter
from omni.domains.metering.routes.deps import MeteringDeps
from omni.domains.metering.schemas import MeterList, MeterOut, MeterPatch, NewMeter
from omni.domains.metering.service import meters
from omni.foundation.db.sessions import SharedSession


def add_routes(routes: APIRouter, deps: MeteringDeps) -> None:
    """Only operators write."""
    operator = [Depends(deps.operator)]

    @routes.get("/meters", response_model=MeterList)
    async def list_meters() -> MeterList:
        """What is counted."""
        async with deps.database.shared() as session:
            return MeterList(data=[_to_api(meter) for meter in await meters.list_meters(session)])

    @routes.post("/meters", status_code=201, response_model=MeterOut, dependencies=operator)
    async def add_meter(request: Request, body: NewMeter) -> Response:
        """Adds a meter. Events of its type that came before count as well."""
        members = body.model_dump(exclude={"dimensions"})
        new = Meter(**members, dimensions=tuple(body.dimensions), scope="operator", rolled_up=False)

        async def action(session: SharedSession) -> MeterOut:
            return _to_api(await meters.add_meter(session, new))

        return await deps.unit_of_work.run(request, deps.database.shared(), action, status=201)

    @routes.patch("/meters/{code}", response_model=MeterOut, dependencies=operator)
    async def change_meter(request: Request, code: str, body: MeterPatch) -> Response:
        """Renames a meter, retires it or brings it back. What it counts never changes."""
        changes = body.model_dump(exclude_none=True)

        async def action(session: SharedSession) -> MeterOut:
            return _to_api(await meters.change_meter(session, code, changes))

        return await deps.unit_of_work.run(request, deps.database.shared(), action)


def _to_api(meter: Meter) -> MeterOut:
    return MeterOut(
        code=meter.code,
        name=meter.name,
        unit=meter.unit,
        description=meter.description,
        aggregation=meter.aggregation,
        event_type=meter.event_type,
        value_property=meter.value_property,
        unique_property=meter.unique_property,
        filters={name: list(values) for name, values in meter.filters.items()},
        dimensions=list(meter.dimensions),
        scope=meter.scope,
        active=meter.active,
    )
