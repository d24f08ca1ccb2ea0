"""Keys: make, list, edit, rotate, revoke."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from omni.contracts.snapshots import Mode
from omni.domains.keys import repository, rules
from omni.domains.keys.contracts import CreatedKey, Key, NewKey
from omni.domains.keys.service.snapshots import enqueue_publish
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.kit.errors import Conflict, NotFound
from omni.kit.ids import mint_secret, uuid7

_PREFIXES: Final[dict[Mode, str]] = {"live": "omni_live_", "test": "omni_test_"}


async def create_key(session: WriteSession, new: NewKey, now: datetime) -> CreatedKey:
    """Makes a key. Raises InvalidInput `invalid_scopes`, `invalid_networks`, `invalid_expiry`, NotFound
    `project_not_found`."""
    rules.check_expiry(new.expires_at, now)
    secret = mint_secret(_PREFIXES[new.mode])
    key = Key(
        key_id=uuid7(),
        project_id=new.project_id,
        name=new.name,
        mode=new.mode,
        prefix=secret[: rules.PREFIX_CHARS],
        last4=secret[-rules.SUFFIX_CHARS :],
        scopes=rules.normalise_scopes(new.scopes),
        networks=rules.normalise_networks(new.networks),
        created_by=new.created_by,
        created_at=now,
        expires_at=new.expires_at,
        revoked_at=None,
        rotated_to=None,
        overlap_until=None,
        last_used_at=None,
        limits=new.limits,
    )
    if not await repository.insert_key(session, key, hashlib.sha256(secret.encode()).digest()):
        raise NotFound("project_not_found", "There is no such project in this tenant.")
    await enqueue_publish(session, key.key_id)
    return CreatedKey(key, secret)


async def list_keys(session: ReadSession, after: UUID | None, limit: int) -> tuple[list[Key], UUID | None]:
    """A page, newest first, and where the next one starts."""
    found = await repository.page(session, after, limit + 1)
    return found[:limit], found[limit - 1].key_id if len(found) > limit else None


async def get_key(session: ReadSession, key_id: UUID) -> Key:
    """Raises NotFound `key_not_found`."""
    return _found(await repository.key(session, key_id))


async def edit_key(
    session: WriteSession,
    key_id: UUID,
    *,
    name: str | None = None,
    scopes: list[str] | None = None,
    networks: list[str] | None = None,
    limits: dict[str, object] | None = None,
) -> Key:
    """Changes what is given; of the limits those that are named, None lifting one.

    Raises NotFound `key_not_found`, InvalidInput `invalid_scopes`, `invalid_networks`.
    """
    values: dict[str, object] = {}
    if name is not None:
        values["name"] = name
    if scopes is not None:
        values["scopes"] = list(rules.normalise_scopes(scopes))
    if networks is not None:
        values["networks"] = list(rules.normalise_networks(networks))
    values |= limits or {}
    if not values:
        return await get_key(session, key_id)
    key = _found(await repository.update_key(session, key_id, **values))
    await enqueue_publish(session, key_id)
    return key


async def rotate_key(
    session: WriteSession, key_id: UUID, overlap: timedelta, actor_id: UUID | None, now: datetime
) -> CreatedKey:
    """A new key like the old one, which works on until the overlap ends.

    Raises NotFound `key_not_found`, Conflict `key_ended`, `key_already_rotated`.
    """
    old = _found(await repository.locked_key(session, key_id))
    if old.rotated_to is not None:
        raise Conflict("key_already_rotated", "This key was rotated before. Rotate its successor.")
    if not old.works(now):
        raise Conflict("key_ended", "This key is revoked or expired. Make a new one.")
    new = NewKey(old.project_id, old.name, old.mode, old.scopes, old.networks, old.expires_at, actor_id, old.limits)
    created = await create_key(session, new, now)
    await repository.update_key(session, key_id, rotated_to=created.key.key_id, overlap_until=now + overlap)
    await enqueue_publish(session, key_id)
    return created


async def revoke_key(session: WriteSession, key_id: UUID, now: datetime) -> Key:
    """Ends a key for good; again is fine. Raises NotFound `key_not_found`."""
    key = _found(await repository.locked_key(session, key_id))
    if key.revoked_at is None:
        await repository.update_key(session, key_id, revoked_at=now)
        key = replace(key, revoked_at=now)
    await enqueue_publish(session, key_id)
    return key


def _found(key: Key | None) -> Key:
    if key is None:
        raise NotFound("key_not_found", "There is no such key in this tenant.")
    return key
