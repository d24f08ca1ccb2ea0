"""`/api/operator/providers`, `/api/operator/models`, `/api/tenants/{tenant_id}/provider-keys`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from omni.contracts.money import Rate
from omni.contracts.routes import Condition, ModelRoute, Provider, Target, model_to_row
from omni.domains.models import service
from omni.domains.models.contracts import OwnKey, StoredProvider
from omni.domains.models.schemas import (
    ModelIn,
    ModelOut,
    ModelsOut,
    OwnKeyIn,
    OwnKeyOut,
    OwnKeysOut,
    ProviderIn,
    ProviderOut,
    ProvidersOut,
    TargetIn,
)
from omni.domains.models.service import Secrets
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import Database, SharedSession, WriteSession
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.errors import InvalidInput

Guard = Callable[[Permission], Callable[..., Awaitable[TenantAccess]]]
ProviderCode = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")]
ModelName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$")]


@dataclass(frozen=True, slots=True)
class ModelsDeps:
    """What the routes work with. `operator` lets only operators pass; `guard` makes the dependency for a permission."""

    database: Database
    unit_of_work: UnitOfWork
    operator: Callable[..., Awaitable[object]]
    guard: Guard
    secrets: Secrets


def router(deps: ModelsDeps) -> APIRouter:
    """The routes of this domain."""
    routes = APIRouter(prefix="/api", tags=["models"])
    _provider_routes(routes, deps)
    _model_routes(routes, deps)
    _own_key_routes(routes, deps)
    return routes


def _provider_routes(routes: APIRouter, deps: ModelsDeps) -> None:
    operators = [Depends(deps.operator)]

    @routes.get("/operator/providers", response_model=ProvidersOut, dependencies=operators)
    async def list_providers() -> ProvidersOut:
        """Every provider."""
        async with deps.database.shared() as session:
            return ProvidersOut(data=[_to_api_provider(each) for each in await service.list_providers(session)])

    @routes.put("/operator/providers/{code}", response_model=ProviderOut, dependencies=operators)
    async def put_provider(request: Request, code: ProviderCode, body: ProviderIn) -> Response:
        """Adds or replaces a provider; without `key` the stored one stays. Gateways follow within a second."""
        operations = None if body.operations is None else frozenset[str](body.operations)
        provider = Provider(code, body.kind, body.base_url.rstrip("/"), "", body.settings, operations)
        key = None if body.key is None else _header_value(body.key.get_secret_value())

        async def action(session: SharedSession) -> ProviderOut:
            return _to_api_provider(await service.put_provider(session, provider, key, deps.secrets))

        return await deps.unit_of_work.run(request, deps.database.shared(), action)

    @routes.delete("/operator/providers/{code}", status_code=204, dependencies=operators)
    async def delete_provider(request: Request, code: ProviderCode) -> Response:
        """Removes a provider that no model uses."""

        async def action(session: SharedSession) -> None:
            await service.delete_provider(session, code)

        return await deps.unit_of_work.run(request, deps.database.shared(), action)


def _model_routes(routes: APIRouter, deps: ModelsDeps) -> None:
    operators = [Depends(deps.operator)]

    @routes.get("/operator/models", response_model=ModelsOut, dependencies=operators)
    async def list_models() -> ModelsOut:
        """Every model with its targets."""
        async with deps.database.shared() as session:
            return ModelsOut(data=[_to_api_model(model) for model in await service.list_models(session)])

    @routes.put("/operator/models/{name:path}", response_model=ModelOut, dependencies=operators)
    async def put_model(request: Request, name: ModelName, body: ModelIn) -> Response:
        """Adds or replaces a model. Gateways follow within a second."""
        model = _from_api_model(name, body)

        async def action(session: SharedSession) -> ModelOut:
            return _to_api_model(await service.put_model(session, model))

        return await deps.unit_of_work.run(request, deps.database.shared(), action)

    @routes.delete("/operator/models/{name:path}", status_code=204, dependencies=operators)
    async def delete_model(request: Request, name: ModelName) -> Response:
        """Removes a model."""

        async def action(session: SharedSession) -> None:
            await service.delete_model(session, name)

        return await deps.unit_of_work.run(request, deps.database.shared(), action)


def _own_key_routes(routes: APIRouter, deps: ModelsDeps) -> None:
    reads, manages = deps.guard(Permission.KEYS_READ), deps.guard(Permission.KEYS_MANAGE)

    @routes.get("/tenants/{tenant_id}/provider-keys", response_model=OwnKeysOut)
    async def list_provider_keys(access: TenantAccess = Depends(reads)) -> OwnKeysOut:
        """The provider keys that the tenant brings."""
        async with deps.database.read(access.tenant_id) as session:
            return OwnKeysOut(data=[_to_api_own_key(key) for key in await service.list_own_keys(session)])

    @routes.put("/tenants/{tenant_id}/provider-keys/{provider}", response_model=OwnKeyOut)
    async def put_provider_key(
        request: Request, provider: ProviderCode, body: OwnKeyIn, access: TenantAccess = Depends(manages)
    ) -> Response:
        """Brings a key: requests to this provider then go on the tenant's account there."""
        key = _header_value(body.key.get_secret_value())

        async def action(session: WriteSession) -> OwnKeyOut:
            stored = await service.put_own_key(session, provider, key, access.user_id, deps.secrets)
            return _to_api_own_key(stored)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)

    @routes.delete("/tenants/{tenant_id}/provider-keys/{provider}", status_code=204)
    async def delete_provider_key(
        request: Request, provider: ProviderCode, access: TenantAccess = Depends(manages)
    ) -> Response:
        """Takes the key away; the platform's is used again."""

        async def action(session: WriteSession) -> None:
            await service.delete_own_key(session, provider)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)


def _header_value(key: str) -> str:
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidInput("invalid_provider_key", "A key has printable ASCII characters only, and no spaces.")
    return key


def _to_api_provider(stored: StoredProvider) -> ProviderOut:
    provider = stored.provider
    return ProviderOut(
        code=provider.code,
        kind=provider.kind,
        base_url=provider.base_url,
        settings=dict(provider.settings),
        operations=None if provider.operations is None else sorted(provider.operations),
        key_last4=None if stored.secret is None else stored.secret.last4,
    )


def _to_api_own_key(key: OwnKey) -> OwnKeyOut:
    return OwnKeyOut(provider=key.provider, key_last4=key.last4, created_at=key.created_at)


def _to_api_model(model: ModelRoute) -> ModelOut:
    row = model_to_row(model)
    for target in [*row["targets"], *([row["shadow"]] if row["shadow"] else [])]:
        for rate in target["cost"].values():
            del rate["valid_from_micros"]
    del row["created"]
    return ModelOut.model_validate_json(orjson.dumps(row))


def _from_api_model(name: str, body: ModelIn) -> ModelRoute:
    plain = body.model_dump(exclude={"operations", "targets", "shadow"})
    return ModelRoute(
        name=name,
        operations=frozenset(body.operations),
        targets=tuple(_from_api_target(target) for target in body.targets),
        shadow=None if body.shadow is None else _from_api_target(body.shadow),
        **plain,
    )


def _from_api_target(target: TargetIn) -> Target:
    plain = target.model_dump(exclude={"cost", "when"})
    cost = {meter: Rate(0, rate.price_nanos, rate.per_quantity) for meter, rate in target.cost.items()}
    return Target(**plain, cost=cost, when=None if target.when is None else _from_api_condition(target))


def _from_api_condition(target: TargetIn) -> Condition:
    assert target.when is not None
    when = target.when
    return Condition(
        frozenset(when.tenants),
        frozenset(when.regions),
        frozenset(when.tags),
        when.min_input_tokens,
        when.max_input_tokens,
    )
