"""The console tells gateways what they ask of keys and tenants, and tells nobody else that there is such a route."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from uuid import uuid4

import httpx2
import orjson

from omni.contracts.control_feed import FEED_PATH, SIGNATURE_HEADER
from omni.testing.control_plane import ControlPlane
from tests.domains.people import People, without_request_id


async def ask(
    plane: ControlPlane, client: httpx2.AsyncClient, keys: Any, secret: bytes | None = None
) -> httpx2.Response:
    body = orjson.dumps({"keys": keys})
    signature = hmac.digest(secret or plane.master_key.derive("control-feed"), body, hashlib.sha256).hex()
    headers = {SIGNATURE_HEADER: signature, "content-type": "application/json"}
    return await client.post(FEED_PATH, content=body, headers=headers)


async def test_keys_and_tenants_as_they_are_now(plane: ControlPlane, people: People) -> None:
    owner, other = await people.owner(), await people.owner()
    new = {"project_id": str(owner.project_id), "name": "first"}
    made = (await owner.post("/api/tenants/{t}/keys", new)).json()
    digest = hashlib.sha256(made["secret"].encode()).hexdigest()
    found = (await ask(plane, people.client, {str(owner.tenant_id): [digest, "0" * 64]})).json()
    assert found["keys"]["0" * 64] is None
    assert (found["keys"][digest]["revoked"], found["keys"][digest]["tenant_id"]) == (False, str(owner.tenant_id))
    assert found["tenants"][str(owner.tenant_id)]["active"] is True
    await owner.post(f"/api/tenants/{{t}}/keys/{made['id']}/revoke")
    found = (await ask(plane, people.client, {str(owner.tenant_id): [digest]})).json()
    assert found["keys"][digest]["revoked"] is True
    found = (await ask(plane, people.client, {str(other.tenant_id): [digest]})).json()
    assert found["keys"][digest] is None, "the key of another tenant is no key"
    stranger = str(uuid4())
    assert (await ask(plane, people.client, {stranger: []})).json()["tenants"] == {stranger: None}


async def test_who_cannot_sign_finds_nothing(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    refused = await ask(plane, people.client, {str(owner.tenant_id): []}, secret=b"another secret")
    unsigned = await people.client.post(FEED_PATH, json={"keys": {}})
    assert refused.status_code == unsigned.status_code == 404
    assert without_request_id(refused) == without_request_id(unsigned)
    assert (await ask(plane, people.client, {"no tenant": []})).status_code == 400
