"""SQL of the models domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from omni.contracts.routes import Provider
from omni.domains.models.contracts import OwnKey, StoredProvider, StoredSecret
from omni.domains.models.tables import models, provider_keys, providers
from omni.foundation.crypto.envelope import WrappedKey
from omni.foundation.db.sessions import ReadSession, Session, SystemSession, WriteSession

_LOCK = text("select pg_advisory_xact_lock(hashtext('model-catalogue'))")


async def lock_catalogue(session: Session) -> None:
    """One change at a time, so that what refers to each other is checked together."""
    await session.execute(_LOCK)


async def all_providers(session: Session) -> list[StoredProvider]:
    """By code."""
    return [_from_row_provider(row) for row in await session.all(select(providers).order_by(providers.c.code))]


async def put_provider(session: Session, provider: Provider, secret: StoredSecret | None) -> None:
    """Adds or replaces; without a secret the one that is stored stays."""
    row: dict[str, Any] = {
        "code": provider.code,
        "kind": provider.kind,
        "base_url": provider.base_url,
        "settings": dict(provider.settings),
        "operations": None if provider.operations is None else sorted(provider.operations),
    }
    if secret is not None:
        row |= _secret_columns(secret)
    changes = {name: value for name, value in row.items() if name != "code"}
    await session.execute(insert(providers).values(row).on_conflict_do_update(index_elements=["code"], set_=changes))


async def delete_provider(session: Session, code: str) -> bool:
    return (await session.execute(delete(providers).where(providers.c.code == code))).rowcount == 1


async def all_routes(session: Session) -> list[dict[str, Any]]:
    """The JSON of every model, by name."""
    return [row["route"] for row in await session.all(select(models.c.route).order_by(models.c.name))]


async def put_route(session: Session, name: str, route: dict[str, Any]) -> None:
    statement = insert(models).values(name=name, route=route)
    await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"route": route}))


async def add_missing_route(session: Session, name: str, route: dict[str, Any]) -> None:
    await session.execute(insert(models).values(name=name, route=route).on_conflict_do_nothing())


async def delete_route(session: Session, name: str) -> bool:
    return (await session.execute(delete(models).where(models.c.name == name))).rowcount == 1


async def own_keys(session: ReadSession) -> list[OwnKey]:
    """The session's tenant's, by provider."""
    statement = select(provider_keys).where(provider_keys.c.tenant_id == session.tenant_id)
    rows = await session.all(statement.order_by(provider_keys.c.provider))
    return [OwnKey(row["provider"], row["last4"], row["created_at"]) for row in rows]


async def put_own_key(session: WriteSession, provider: str, secret: StoredSecret, user_id: UUID) -> None:
    row = {"tenant_id": session.tenant_id, "provider": provider, "created_by": user_id, **_secret_columns(secret)}
    changes = {name: value for name, value in row.items() if name not in ("tenant_id", "provider")}
    statement = insert(provider_keys).values(row)
    await session.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "provider"], set_=changes))


async def delete_own_key(session: WriteSession, provider: str) -> bool:
    table = provider_keys.c
    statement = delete(provider_keys).where(table.tenant_id == session.tenant_id, table.provider == provider)
    return (await session.execute(statement)).rowcount == 1


async def own_secrets(session: ReadSession) -> dict[str, StoredSecret]:
    """The encrypted keys of the session's tenant, by provider."""
    rows = await session.all(select(provider_keys).where(provider_keys.c.tenant_id == session.tenant_id))
    return {row["provider"]: _from_row_secret(row) for row in rows}


async def tenants_with_keys(session: SystemSession) -> Sequence[UUID]:
    rows = await session.all(select(provider_keys.c.tenant_id).distinct().order_by(provider_keys.c.tenant_id))
    return [row["tenant_id"] for row in rows]


def _secret_columns(secret: StoredSecret) -> dict[str, Any]:
    return {
        "sealed_key": secret.sealed,
        "data_key": secret.data_key.wrapped,
        "data_key_id": secret.data_key.key_id,
        "last4": secret.last4,
    }


def _from_row_secret(row: RowMapping) -> StoredSecret:
    return StoredSecret(row["sealed_key"], WrappedKey(row["data_key_id"], row["data_key"]), row["last4"])


def _from_row_provider(row: RowMapping) -> StoredProvider:
    operations = row["operations"]
    provider = Provider(
        code=row["code"],
        kind=row["kind"],
        base_url=row["base_url"],
        settings=row["settings"],
        operations=None if operations is None else frozenset(operations),
    )
    return StoredProvider(provider, None if row["sealed_key"] is None else _from_row_secret(row))
