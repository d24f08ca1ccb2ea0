"""`/api/tenants/{tenant_id}/gateway-settings` and `…/response-cache`."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.contracts.snapshots import PolicySnapshot
from omni.domains.tenants.contracts import GatewaySettings, TenantAccess
from omni.domains.tenants.routes.deps import TenantsDeps
from omni.domains.tenants.schemas import GatewaySettingsModel, PoliciesModel
from omni.domains.tenants.service import snapshots, tenants
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import WriteSession


def add_routes(routes: APIRouter, deps: TenantsDeps) -> None:
    """Read and replace; empty the response cache."""
    reads, manages = deps.guard(Permission.TENANT_READ), deps.guard(Permission.TENANT_MANAGE)
    path = "/tenants/{tenant_id}/gateway-settings"

    @routes.get(path, response_model=GatewaySettingsModel)
    async def get_gateway_settings(access: TenantAccess = Depends(reads)) -> GatewaySettingsModel:
        """Policies and response cache."""
        async with deps.database.read(access.tenant_id) as session:
            return _to_api(await tenants.gateway_settings(session))

    @routes.put(path, response_model=GatewaySettingsModel)
    async def put_gateway_settings(
        request: Request, body: GatewaySettingsModel, access: TenantAccess = Depends(manages)
    ) -> Response:
        """Replaces them; gateways follow within a second."""
        settings = _from_api(body)

        async def action(session: WriteSession) -> GatewaySettingsModel:
            return _to_api(await tenants.set_gateway_settings(session, settings))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)

    @routes.delete("/tenants/{tenant_id}/response-cache", status_code=204)
    async def delete_response_cache(request: Request, access: TenantAccess = Depends(manages)) -> Response:
        """Forgets every stored answer; gateways follow within a second."""

        async def action(session: WriteSession) -> None:
            await snapshots.enqueue_forget_answers(session)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)


def _to_api(settings: GatewaySettings) -> GatewaySettingsModel:
    policies = {**asdict(settings.policies), "set_headers": dict(settings.policies.set_headers)}
    return GatewaySettingsModel(
        policies=PoliciesModel(**policies),
        cache_seconds=settings.cache_seconds,
        semantic_threshold_per_mille=settings.semantic_threshold_per_mille,
    )


def _from_api(body: GatewaySettingsModel) -> GatewaySettings:
    row = body.policies.model_dump() | {"set_headers": list(body.policies.set_headers.items())}
    return GatewaySettings(PolicySnapshot.from_row(row), body.cache_seconds, body.semantic_threshold_per_mille)
