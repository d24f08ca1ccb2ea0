"""Nothing that opens a door is found in the database or in Redis."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from uuid import uuid4

from omni.foundation.db.roles import DatabaseAddress
from omni.testing.control_plane import ControlPlane
from tests.conftest import dump_rows
from tests.domains.people import People, new_email

PASSWORD = f"a password found nowhere {uuid4().hex}"


async def dump_redis(plane: ControlPlane) -> bytes:
    names = [name async for name in plane.redis.scan_iter()]
    return b"\n".join([name + b" " + (await plane.redis.get(name) or b"") for name in names])


def spellings(secret: str) -> list[str]:
    """How a secret could hide: as it is, in hex (a bytea's text), in base64, as an unsalted digest."""
    raw = secret.encode()
    return [secret, raw.hex(), b64encode(raw).decode().rstrip("=")]


async def test_no_key_password_or_token_is_stored(
    plane: ControlPlane, people: People, database_address: DatabaseAddress
) -> None:
    owner, guest = await people.owner(), await people.loner()
    email = new_email()
    body = {"email": email, "password": PASSWORD, "tenant_name": "Acme"}
    await people.client.post("/api/signup", json=body, headers={"idempotency-key": uuid4().hex})
    await owner.post("/api/tenants/{t}/invitations", {"email": guest.email, "role": "viewer"}, uuid4().hex)
    made = await owner.post("/api/tenants/{t}/keys", {"project_id": str(owner.project_id), "name": "k"}, uuid4().hex)
    before_tasks = await dump_rows(database_address)
    await plane.run_tasks()
    verification, invitation = plane.mailbox.last_token(email), plane.mailbox.last_token(guest.email)
    await people.client.post(
        "/api/auth/verify-email", json={"token": verification}, headers={"idempotency-key": uuid4().hex}
    )
    await guest.post("/api/invitations/accept", {"token": invitation}, uuid4().hex)
    login = await people.client.post(
        "/api/auth/login", json={"email": email, "password": PASSWORD}, headers={"idempotency-key": uuid4().hex}
    )
    secrets = {
        "password": PASSWORD,
        "key": made.json()["secret"],
        "session": login.json()["session_token"],
        "verification": verification,
        "verification's proof": verification.rpartition("_")[2],
        "invitation": invitation,
        "invitation's proof": invitation.rpartition("_")[2],
    }
    rows = before_tasks + await dump_rows(database_address)
    assert email in rows, "the dump must hold what is stored"
    assert hashlib.sha256(secrets["key"].encode()).hexdigest() in rows
    in_redis = (await dump_redis(plane)).decode()
    assert str(owner.tenant_id) in in_redis
    for name, secret in secrets.items():
        for spelling in spellings(secret):
            assert spelling not in rows, name
            assert spelling not in in_redis, name
    assert hashlib.sha256(PASSWORD.encode()).hexdigest() not in rows
