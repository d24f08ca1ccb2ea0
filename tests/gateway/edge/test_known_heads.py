"""Heads that a connection repeats: what is read of them at once must be what is read of them anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest
import pytest_asyncio

from omni.gateway.app import Gateway
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import CHAT, completion, model, provider, publish, says, target, whole
from tests.gateway.support import Client, ControlPlane, FakeBackend, RedisServer, Reply, Tenant, request

BODY = orjson.dumps({"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]})


@pytest_asyncio.fixture
async def gateway(
    shared_redis: RedisServer, control: ControlPlane, backend_server: tuple[FakeBackend, str], backend: FakeBackend,
    start_gateway: StartGateway,
) -> AsyncIterator[Gateway]:  # fmt: skip
    started = await start_gateway(shared_redis.url, body_idle_timeout_seconds=0.3)
    await publish(control, started, [provider(backend_server[1])], [model("gpt", target())])
    backend.handler = says(whole(completion()))
    yield started


def head_of(tenant: Tenant, length: object = len(BODY), *lines: str) -> bytes:
    headers = [f"host: gateway\r\ncontent-type: application/json\r\nauthorization: Bearer {tenant.secret}"]
    return "\r\n".join([f"POST {CHAT} HTTP/1.1", *headers, f"content-length: {length}", *lines, "", ""]).encode()


async def knows(gateway: Gateway, tenant: Tenant) -> Client:
    """A connection that has had the tenant's plain head twice."""
    client = await Client.connect(gateway.ports.public)
    for _ in range(2):
        client.send(head_of(tenant) + BODY)
        assert (await client.reply()).status == 200
    return client


async def told(client: Client, data: bytes) -> tuple[int, str]:
    """Status and error code of the answer to these bytes."""
    client.send(data)
    try:
        async with asyncio.timeout(5):
            reply = await client.reply()
        return reply.status, "" if reply.status in (100, 200) else code(reply)
    finally:
        client.close()


async def test_bodies_of_any_length_go_on_as_they_are(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    client, tenant = await Client.connect(gateway.ports.public), await control.tenant()
    sent = []
    for size in (1, 20, 3, 400, 5, 60_000, 7):
        body = orjson.dumps({"model": "gpt", "messages": [{"role": "user", "content": "x" * size}]})
        client.send(head_of(tenant, len(body)) + body)
        assert (await client.reply()).status == 200
        sent.append(body)
    client.close()
    assert [each.body for each in backend.received] == sent
    assert len(await control.wait_events(tenant.key.tenant_id, len(sent))) == len(sent)


async def test_each_head_is_its_own_tenants(gateway: Gateway, control: ControlPlane) -> None:
    client = await Client.connect(gateway.ports.public)
    first, second = await control.tenant(), await control.tenant()
    for tenant in (first, first, second, first, second, second):
        client.send(head_of(tenant) + BODY)
        assert (await client.reply()).status == 200
    client.close()
    for tenant in (first, second):
        assert len(await control.wait_events(tenant.key.tenant_id, 3)) == 3


async def test_a_key_that_is_revoked_opens_no_more(gateway: Gateway, control: ControlPlane) -> None:
    tenant = await control.tenant()
    client = await knows(gateway, tenant)
    await control.publish(replace(tenant, key=replace(tenant.key, revoked=True)))
    await control.invalidate(f"key {tenant.digest}")
    async with asyncio.timeout(5):
        while True:
            client.send(head_of(tenant) + BODY)
            reply = await client.reply()
            if reply.status == 401:
                break
    client.close()


@pytest.mark.parametrize(
    "length",
    ["+{}", "-{}", "0x{:x}", "{0}, {0}", " {} ", "{}\t", "00{}", "{}.0", "", "9" * 30, "٣", "{} {}"],
)
async def test_odd_lengths_are_read_as_on_a_new_connection(
    gateway: Gateway, control: ControlPlane, length: str
) -> None:
    tenant = await control.tenant()
    data = head_of(tenant, length.format(len(BODY), 1)) + BODY
    anew = await told(await Client.connect(gateway.ports.public), data)
    assert await told(await knows(gateway, tenant), data) == anew


@pytest.mark.parametrize(
    "line",
    ["transfer-encoding: chunked", f"content-length: {len(BODY)}", "Content-Length: 1", "host: other", " folded",
     "expect: 100-continue", "connection: close", "omni-timeout-ms: x", "x-a: 1"],
)  # fmt: skip
async def test_a_line_more_is_read_as_on_a_new_connection(gateway: Gateway, control: ControlPlane, line: str) -> None:
    tenant = await control.tenant()
    data = head_of(tenant, len(BODY), line) + BODY
    anew = await told(await Client.connect(gateway.ports.public), data)
    assert await told(await knows(gateway, tenant), data) == anew


async def test_a_length_that_is_not_the_bodys(gateway: Gateway, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant()
    shorter = await knows(gateway, tenant)
    backend.received.clear()
    assert await told(shorter, head_of(tenant, len(BODY) - 1) + BODY) == (400, "invalid_json")
    longer = await knows(gateway, tenant)
    assert await told(longer, head_of(tenant, len(BODY) + 1) + BODY) == (408, "body_timeout")
    assert [each.body for each in backend.received] == [BODY, BODY], "only what made the head known"


async def test_requests_in_pieces_and_behind_each_other(gateway: Gateway, control: ControlPlane) -> None:
    tenant = await control.tenant()
    client = await knows(gateway, tenant)
    whole_request = head_of(tenant) + BODY
    for cut in (1, 30, len(whole_request) - len(BODY), len(whole_request) - 1):
        client.send(whole_request[:cut])
        await asyncio.sleep(0.02)
        client.send(whole_request[cut:])
        assert (await client.reply()).status == 200
    client.send(whole_request * 3)
    replies: list[Reply] = [await client.reply() for _ in range(3)]
    assert [each.status for each in replies] == [200] * 3
    client.close()
    assert len(await control.wait_events(tenant.key.tenant_id, 9)) == 9


async def test_a_connection_whose_heads_differ_is_served_too(gateway: Gateway, control: ControlPlane) -> None:
    tenant = await control.tenant()
    client = await Client.connect(gateway.ports.public)
    for number in range(20):
        client.send(head_of(tenant, len(BODY), f"x-number: {number}") + BODY)
        assert (await client.reply()).status == 200
    client.close()


async def test_long_heads_are_served_too(gateway: Gateway, control: ControlPlane) -> None:
    tenant = await control.tenant()
    client = await Client.connect(gateway.ports.public)
    for size in (5_000, 10):
        for _ in range(2):
            client.send(request("POST", CHAT, {**tenant.bearer, "x-long": "x" * size}, BODY))
            assert (await client.reply()).status == 200
    client.close()
