"""SQL of the keys domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, bindparam, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from omni.contracts.snapshots import KeySnapshot, Mode
from omni.domains.keys.contracts import Key, KeyLimits
from omni.domains.keys.tables import PROJECT_CONSTRAINT, api_keys
from omni.foundation.db.sessions import ReadSession, Session, SystemSession, WriteSession, constraint_name


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with the digest that it is found by."""

    digest_hex: str
    snapshot: KeySnapshot


async def insert_key(session: WriteSession, key: Key, sha256: bytes) -> bool:
    """False when the tenant has no such project."""
    row = {
        "tenant_id": session.tenant_id,
        "id": key.key_id,
        "project_id": key.project_id,
        "name": key.name,
        "mode": key.mode,
        "prefix": key.prefix,
        "last4": key.last4,
        "sha256": sha256,
        "scopes": list(key.scopes),
        "networks": list(key.networks),
        "created_by": key.created_by,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        **limit_columns(key.limits),
    }
    try:
        async with session.savepoint():
            await session.execute(api_keys.insert().values(row))
    except IntegrityError as error:
        if constraint_name(error) != PROJECT_CONSTRAINT:
            raise
        return False
    return True


async def key(session: ReadSession, key_id: UUID) -> Key | None:
    """None when it is missing or another tenant's."""
    row = await session.first(_scoped(session).where(api_keys.c.id == key_id))
    return None if row is None else _from_row_key(row)


async def locked_key(session: WriteSession, key_id: UUID) -> Key | None:
    """A key that nobody else changes until the transaction ends."""
    row = await session.first(_scoped(session).where(api_keys.c.id == key_id).with_for_update(key_share=True))
    return None if row is None else _from_row_key(row)


async def page(session: ReadSession, after: UUID | None, limit: int) -> list[Key]:
    """Keys from the newest on, after the one with the id `after`."""
    statement = _scoped(session).order_by(api_keys.c.id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(api_keys.c.id < after)
    return [_from_row_key(row) for row in await session.all(statement)]


async def update_key(session: WriteSession, key_id: UUID, **values: object) -> Key | None:
    """The key after the change; None when it is missing or another tenant's."""
    table = api_keys.c
    statement = update(api_keys).where(table.tenant_id == session.tenant_id, table.id == key_id).values(**values)
    row = await session.first(statement.returning(api_keys))
    return None if row is None else _from_row_key(row)


async def locked_snapshot(session: WriteSession, key_id: UUID) -> StoredKey | None:
    """A key as gateways see it; nobody changes it until the transaction ends."""
    row = await session.first(_scoped(session).where(api_keys.c.id == key_id).with_for_update(read=True))
    return None if row is None else _to_stored(row)


async def snapshots(session: ReadSession, digests: Sequence[str]) -> dict[str, KeySnapshot]:
    """Those of the keys with these digests that the session's tenant has, by digest."""
    wanted = [bytes.fromhex(digest) for digest in digests]
    rows = await session.all(_scoped(session).where(api_keys.c.sha256.in_(wanted)))
    return {stored.digest_hex: stored.snapshot for stored in map(_to_stored, rows)}


async def locked_snapshots(session: SystemSession, after: StoredKey | None, limit: int) -> list[StoredKey]:
    """A page of the keys of all tenants; nobody changes them until the transaction ends."""
    table = api_keys.c
    statement = select(api_keys).order_by(table.tenant_id, table.id).limit(limit).with_for_update(read=True)
    if after is not None:
        statement = statement.where(
            tuple_(table.tenant_id, table.id) > (after.snapshot.tenant_id, after.snapshot.key_id)
        )
    return [_to_stored(row) for row in await session.all(statement)]


async def record_last_used(session: Session, last_used: Mapping[tuple[UUID, UUID], datetime]) -> None:
    """Moves the last use of keys (by tenant and key) forward, never back; in one order, so that two do not deadlock."""
    table = api_keys.c
    moment = bindparam("moment", type_=table.last_used_at.type)
    statement = (
        update(api_keys)
        .where(table.tenant_id == bindparam("tenant"), table.id == bindparam("key"))
        .values(last_used_at=func.greatest(table.last_used_at, moment))
    )
    rows = [
        {"tenant": tenant_id, "key": key_id, "moment": last_used[tenant_id, key_id]}
        for tenant_id, key_id in sorted(last_used)
    ]
    if rows:
        await session.execute(statement, rows)


def limit_columns(limits: KeyLimits) -> dict[str, object]:
    """The columns that hold a key's limits."""
    return asdict(limits) | {"models": None if limits.models is None else list(limits.models)}


def _scoped(session: ReadSession) -> Select[Any]:
    return select(api_keys).where(api_keys.c.tenant_id == session.tenant_id)


def _to_stored(row: RowMapping) -> StoredKey:
    key = _from_row_key(row)
    ends_at = key.ends_at()
    snapshot = KeySnapshot(
        key_id=key.key_id,
        tenant_id=row["tenant_id"],
        project_id=key.project_id,
        mode=key.mode,
        scopes=frozenset(key.scopes),
        networks=key.networks,
        expires_at_micros=None if ends_at is None else round(ends_at.timestamp() * 1_000_000),
        revoked=key.revoked_at is not None,
        requests_per_minute=key.limits.requests_per_minute,
        tokens_per_minute=key.limits.tokens_per_minute,
        concurrent_requests=key.limits.concurrent_requests,
        models=None if key.limits.models is None else frozenset(key.limits.models),
    )
    return StoredKey(row["sha256"].hex(), snapshot)


def _from_row_key(row: RowMapping) -> Key:
    mode: Mode = row["mode"]
    return Key(
        key_id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        mode=mode,
        prefix=row["prefix"],
        last4=row["last4"],
        scopes=tuple(row["scopes"]),
        networks=tuple(row["networks"]),
        created_by=row["created_by"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        rotated_to=row["rotated_to"],
        overlap_until=row["overlap_until"],
        last_used_at=row["last_used_at"],
        limits=KeyLimits(
            row["requests_per_minute"],
            row["tokens_per_minute"],
            row["concurrent_requests"],
            None if row["models"] is None else tuple(row["models"]),
        ),
    )
