"""What the applications may ask of keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from uuid import UUID

from redis.asyncio import Redis

from omni.contracts.snapshots import KeySnapshot
from omni.domains.keys import repository
from omni.domains.keys.contracts import CreatedKey, Key, NewKey
from omni.domains.keys.service import manage, snapshots
from omni.foundation.db.sessions import ReadSession, Session, SystemSession, WriteSession


async def create_key(session: WriteSession, new: NewKey, now: datetime) -> CreatedKey:
    """Makes a key. Raises InvalidInput for scopes, networks or expiry that are wrong, NotFound `project_not_found`."""
    return await manage.create_key(session, new, now)


async def list_keys(session: ReadSession, after: UUID | None = None, limit: int = 100) -> tuple[list[Key], UUID | None]:
    """A page, newest first, and where the next one starts."""
    return await manage.list_keys(session, after, limit)


async def rotate_key(session: WriteSession, key_id: UUID, overlap: timedelta, now: datetime) -> CreatedKey:
    """A new key like the old one. Raises NotFound `key_not_found`, Conflict `key_ended`, `key_already_rotated`."""
    return await manage.rotate_key(session, key_id, overlap, None, now)


async def revoke_key(session: WriteSession, key_id: UUID, now: datetime) -> Key:
    """Ends a key for good. Raises NotFound `key_not_found`."""
    return await manage.revoke_key(session, key_id, now)


async def record_last_used(session: Session, last_used: Mapping[tuple[UUID, UUID], datetime]) -> None:
    """Moves the last use of keys, by (tenant id, key id), forward, never back."""
    await repository.record_last_used(session, last_used)


async def known_to_gateways(session: ReadSession, digests: Sequence[str]) -> dict[str, KeySnapshot]:
    """What gateways are to know of those of the keys with these SHA-256 digests that the session's tenant has."""
    return await repository.snapshots(session, digests)


async def publish_all(open_session: Callable[[], AbstractAsyncContextManager[SystemSession]], redis: Redis) -> int:
    """Writes the snapshots of all keys to Redis; returns how many."""
    return await snapshots.publish_all(open_session, redis)
