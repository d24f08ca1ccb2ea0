"""`/api/plans` for everyone, `/api/operator/plans` for operators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from omni.contracts.snapshots import PlanSnapshot
from omni.domains.plans import service
from omni.domains.plans.contracts import Plan
from omni.domains.plans.schemas import PlanIn, PlanOut, PlansOut
from omni.foundation.db.sessions import Database, SharedSession
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock

PlanCode = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")]


@dataclass(frozen=True, slots=True)
class PlansDeps:
    """What the routes work with. `operator` is a dependency that lets only operators pass."""

    database: Database
    unit_of_work: UnitOfWork
    operator: Callable[..., Awaitable[object]]
    clock: Clock


def router(deps: PlansDeps) -> APIRouter:
    """The routes of this domain."""
    routes = APIRouter(prefix="/api", tags=["plans"])

    @routes.get("/plans", response_model=PlansOut)
    async def list_plans() -> PlansOut:
        """The plans on offer and what each allows."""
        async with deps.database.shared() as session:
            return PlansOut(data=[_to_api_plan(plan) for plan in await service.public_plans(session)])

    @routes.put("/operator/plans/{code}", response_model=PlanOut, dependencies=[Depends(deps.operator)])
    async def edit_plan(request: Request, code: PlanCode, body: PlanIn) -> Response:
        """Replaces what a plan allows; gateways follow within a second."""
        plan = _from_api_plan(code, body)

        async def action(session: SharedSession) -> PlanOut:
            await service.edit_plan(session, plan, deps.clock.now())
            return _to_api_plan(plan)

        return await deps.unit_of_work.run(request, deps.database.shared(), action)

    return routes


def _to_api_plan(plan: Plan) -> PlanOut:
    limits = asdict(plan.limits)
    limits["models"] = None if plan.limits.models is None else sorted(plan.limits.models)
    return PlanOut(name=plan.name, description=plan.description, **limits)


def _from_api_plan(code: str, body: PlanIn) -> Plan:
    limits = body.model_dump(exclude={"name", "description", "public", "position", "models"})
    models = None if body.models is None else frozenset(body.models)
    return Plan(
        body.name, body.description, body.public, body.position, PlanSnapshot(code=code, models=models, **limits)
    )
