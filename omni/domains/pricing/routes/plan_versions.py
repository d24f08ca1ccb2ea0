"""`/api/operator/plans/{plan_code}/versions`: what plans cost."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from omni.domains.pricing.contracts import PlanTerms, PlanVersion
from omni.domains.pricing.routes.bodies import PlanVersionOut, PlanVersionsOut
from omni.domains.pricing.routes.deps import PricingDeps
from omni.domains.pricing.service import plan_versions
from omni.foundation.db.sessions import SharedSession

PlanCode = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")]


def add_routes(routes: APIRouter, deps: PricingDeps) -> None:
    """Versions of plans."""
    path, operator = "/operator/plans/{plan_code}/versions", [Depends(deps.operator)]

    @routes.get(path, response_model=PlanVersionsOut, dependencies=operator)
    async def list_plan_versions(plan_code: PlanCode) -> PlanVersionsOut:
        """Every version of a plan, by currency and number; new subscriptions get the newest in their currency."""
        async with deps.database.shared() as session:
            found = await plan_versions.list_plan_versions(session, plan_code)
        return PlanVersionsOut(data=[_to_api_plan_version(version) for version in found])

    @routes.post(path, status_code=201, response_model=PlanVersionOut, dependencies=operator)
    async def publish_plan_version(request: Request, plan_code: PlanCode, body: PlanTerms) -> Response:
        """Publishes the next version. It cannot be changed; subscriptions stay on theirs until they change."""

        async def action(session: SharedSession) -> PlanVersionOut:
            now = deps.clock.now()
            return _to_api_plan_version(await plan_versions.publish_plan_version(session, plan_code, body, now))

        return await deps.unit_of_work.run(request, deps.database.shared(), action, status=201)


def _to_api_plan_version(version: PlanVersion) -> PlanVersionOut:
    return PlanVersionOut(
        plan_code=version.plan_code, version=version.version, published_at=version.published_at, terms=version.terms
    )
