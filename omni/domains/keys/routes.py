"""`/api/tenants/{tenant_id}/keys`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from omni.domains.keys.contracts import CreatedKey, Key, KeyLimits, NewKey
from omni.domains.keys.schemas import CreatedKeyOut, KeyIn, KeyOut, KeyPatch, KeysOut, RotateIn
from omni.domains.keys.service import manage
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import Database, WriteSession
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock

_LIMITS = {"requests_per_minute", "tokens_per_minute", "concurrent_requests", "models"}
Guard = Callable[[Permission], Callable[..., Awaitable[TenantAccess]]]


@dataclass(frozen=True, slots=True)
class KeysDeps:
    """What the routes work with. `guard` makes the dependency for a permission (tenants' TenantGuard)."""

    database: Database
    unit_of_work: UnitOfWork
    guard: Guard
    clock: Clock


def router(deps: KeysDeps) -> APIRouter:
    """The routes of this domain."""
    routes = APIRouter(prefix="/api/tenants/{tenant_id}/keys", tags=["keys"])
    _reading_routes(routes, deps)
    _writing_routes(routes, deps)
    _ending_routes(routes, deps)
    return routes


def _reading_routes(routes: APIRouter, deps: KeysDeps) -> None:
    reads = deps.guard(Permission.KEYS_READ)

    @routes.get("", response_model=KeysOut)
    async def list_keys(
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
        access: TenantAccess = Depends(reads),
    ) -> KeysOut:
        """Keys, newest first."""
        async with deps.database.read(access.tenant_id) as session:
            found, next_cursor = await manage.list_keys(session, cursor, limit)
        now = deps.clock.now()
        return KeysOut(data=[_to_api_key(key, now) for key in found], next_cursor=next_cursor)

    @routes.get("/{key_id}", response_model=KeyOut)
    async def get_key(key_id: UUID, access: TenantAccess = Depends(reads)) -> KeyOut:
        """One key."""
        async with deps.database.read(access.tenant_id) as session:
            return _to_api_key(await manage.get_key(session, key_id), deps.clock.now())


def _writing_routes(routes: APIRouter, deps: KeysDeps) -> None:
    manages = deps.guard(Permission.KEYS_MANAGE)

    @routes.post("", status_code=201, response_model=CreatedKeyOut)
    async def create_key(request: Request, body: KeyIn, access: TenantAccess = Depends(manages)) -> Response:
        """Makes a key; the answer is the only place that shows it."""
        members = body.model_dump(exclude=_LIMITS)
        limits = body.model_dump(include=_LIMITS)
        limits["models"] = None if body.models is None else tuple(body.models)
        new = NewKey(created_by=access.user_id, limits=KeyLimits(**limits), **members)

        async def action(session: WriteSession) -> CreatedKeyOut:
            now = deps.clock.now()
            return _to_api_created(await manage.create_key(session, new, now), now)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action, status=201)

    @routes.patch("/{key_id}", response_model=KeyOut)
    async def edit_key(
        request: Request, key_id: UUID, body: KeyPatch, access: TenantAccess = Depends(manages)
    ) -> Response:
        """Changes name, scopes, networks or limits; gateways follow within a second."""

        async def action(session: WriteSession) -> KeyOut:
            limits = body.model_dump(include=_LIMITS, exclude_unset=True)
            key = await manage.edit_key(
                session, key_id, name=body.name, scopes=body.scopes, networks=body.networks, limits=limits
            )
            return _to_api_key(key, deps.clock.now())

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)


def _ending_routes(routes: APIRouter, deps: KeysDeps) -> None:
    manages = deps.guard(Permission.KEYS_MANAGE)

    @routes.post("/{key_id}/rotate", status_code=201, response_model=CreatedKeyOut)
    async def rotate_key(
        request: Request, key_id: UUID, body: RotateIn, access: TenantAccess = Depends(manages)
    ) -> Response:
        """Makes a successor; the old key works until the overlap ends and never after it."""

        async def action(session: WriteSession) -> CreatedKeyOut:
            now, overlap = deps.clock.now(), timedelta(seconds=body.overlap_seconds)
            return _to_api_created(await manage.rotate_key(session, key_id, overlap, access.user_id, now), now)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action, status=201)

    @routes.post("/{key_id}/revoke", response_model=KeyOut)
    async def revoke_key(request: Request, key_id: UUID, access: TenantAccess = Depends(manages)) -> Response:
        """Ends a key for good, on every gateway within a second."""

        async def action(session: WriteSession) -> KeyOut:
            now = deps.clock.now()
            return _to_api_key(await manage.revoke_key(session, key_id, now), now)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)


def _status(key: Key, now: datetime) -> Literal["active", "rotated", "expired", "revoked"]:
    if key.revoked_at is not None:
        return "revoked"
    if not key.works(now):
        return "expired"
    return "active" if key.rotated_to is None else "rotated"


def _members(key: Key, now: datetime) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "project_id": key.project_id,
        "name": key.name,
        "mode": key.mode,
        "status": _status(key, now),
        "prefix": key.prefix,
        "last4": key.last4,
        "scopes": list(key.scopes),
        "networks": list(key.networks),
        "created_by": key.created_by,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "ends_at": key.ends_at(),
        "revoked_at": key.revoked_at,
        "rotated_to": key.rotated_to,
        "last_used_at": key.last_used_at,
        **asdict(key.limits),
    }


def _to_api_key(key: Key, now: datetime) -> KeyOut:
    return KeyOut(**_members(key, now))


def _to_api_created(created: CreatedKey, now: datetime) -> CreatedKeyOut:
    return CreatedKeyOut(secret=created.secret, **_members(created.key, now))
