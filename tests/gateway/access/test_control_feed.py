"""Without Redis the gateway asks the console, so that a revoked key and a suspended tenant still stop soon."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import orjson
import pytest

from omni.contracts.control_feed import FEED_PATH, SIGNATURE_HEADER
from omni.contracts.snapshots import TenantSnapshot
from omni.gateway.app import Gateway
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.support import (
    ControlPlane,
    FakeBackend,
    Received,
    RedisServer,
    Tenant,
    answer,
    embed,
    eventually,
)

SECRET = b"between gateway and console"


class Console:
    """Answers as the control plane does, from what a test says of keys and tenants."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.tenants: dict[str, Any] = {}
        self.asked: list[Received] = []

    async def handler(self, request: Received, writer: asyncio.StreamWriter) -> None:
        self.asked.append(request)
        body = orjson.dumps({"keys": self.keys, "tenants": self.tenants})
        writer.write(answer(200, body))

    def say(self, tenant: Tenant, *, active: bool = True, **changes: Any) -> None:
        key = replace(tenant.key, **changes)
        self.keys[tenant.digest] = orjson.loads(key.to_json())
        row = TenantSnapshot(key.tenant_id, tenant.plan.code, active).to_json()
        self.tenants[str(key.tenant_id)] = orjson.loads(row)


async def without_redis(
    own_redis: RedisServer, start_gateway: StartGateway, backend: FakeBackend, tenant: Tenant, **settings: Any
) -> Gateway:
    """A gateway that knows the tenant and has lost Redis."""
    gateway = await start_gateway(own_redis.url, control_feed_secret=SECRET, control_feed_seconds=0.1, **settings)
    assert (await embed(gateway.ports.public, tenant)).status == 200
    own_redis.stop()

    async def down() -> bool:
        return not gateway.checks()["redis"]

    await eventually(down)
    return gateway


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "revoked": ({"revoked": True}, "invalid_api_key"),
    "scope narrowed": ({"scopes": frozenset(["collections:read"])}, "scope_missing"),
    "addresses narrowed": ({"networks": ("10.0.0.0/8",)}, "address_not_allowed"),
    "suspended": ({"active": False}, "tenant_suspended"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_holds_without_redis(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway, change: str
) -> None:
    tenant = await own_control.tenant()
    console, server = Console(), FakeBackend()
    server.handler = console.handler
    console.say(tenant)
    url = await server.start()
    gateway = await without_redis(own_redis, start_gateway, backend, tenant, console_url=url)
    assert (await embed(gateway.ports.public, tenant)).status == 200
    fields, expected = CHANGES[change]
    console.say(tenant, **fields)

    async def refused() -> bool:
        reply = await embed(gateway.ports.public, tenant)
        return reply.status in (401, 403) and code(reply) in (expected, "invalid_api_key")

    await eventually(refused, 3)
    request = console.asked[0]
    assert (request.method, request.target) == ("POST", FEED_PATH)
    assert orjson.loads(request.body) == {"keys": {str(tenant.key.tenant_id): [tenant.digest]}}
    assert request.headers[SIGNATURE_HEADER] == hmac.digest(SECRET, request.body, hashlib.sha256).hex()
    await server.stop()


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"keys":{"x":{}},"tenants":{}}', b'{"keys":{},"tenants":{"1":null}}'])
async def test_what_is_no_answer_changes_nothing(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway, body: bytes
) -> None:
    tenant = await own_control.tenant()
    asked = asyncio.Event()

    async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, body))
        asked.set()

    server = FakeBackend()
    server.handler = handler
    gateway = await without_redis(own_redis, start_gateway, backend, tenant, console_url=await server.start())
    async with asyncio.timeout(3):
        await asked.wait()
    assert (await embed(gateway.ports.public, tenant)).status == 200
    await server.stop()


async def test_without_an_answer_known_keys_go_on(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway
) -> None:
    tenant = await own_control.tenant()
    gateway = await without_redis(own_redis, start_gateway, backend, tenant, console_url="http://127.0.0.1:9")
    assert (await embed(gateway.ports.public, tenant)).status == 200
