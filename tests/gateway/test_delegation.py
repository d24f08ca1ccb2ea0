"""Requests of batches, which the worker makes for a key: whom they are for, what they cost, what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio

from omni.contracts import signed
from omni.contracts.delegation import DELEGATION_HEADER, Delegation
from omni.contracts.money import Budget
from omni.contracts.principal import Principal
from omni.gateway.app import Gateway
from omni.kit.clock import unix_micros
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import (
    CHAT,
    PER_TOKEN,
    budget,
    completion,
    model,
    provider,
    publish,
    says,
    target,
    whole,
)
from tests.gateway.support import (
    EMBEDDINGS,
    SECRET,
    ControlPlane,
    FakeBackend,
    RedisServer,
    Reply,
    Tenant,
    ask,
)

MINUTE = 60_000_000
BODY = orjson.dumps({"model": "gpt", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 16})


@pytest_asyncio.fixture
async def gateway(
    shared_redis: RedisServer,
    control: ControlPlane,
    backend_server: tuple[FakeBackend, str],
    backend: FakeBackend,
    start_gateway: StartGateway,
) -> AsyncIterator[Gateway]:
    backend.handler = says(whole(completion(read=10, written=7)))
    started = await start_gateway(shared_redis.url)
    await publish(control, started, [provider(backend_server[1])], [model("gpt", target())])
    yield started


def delegation(tenant: Tenant, request_id: UUID | None = None, expires_in_micros: int = MINUTE) -> dict[str, str]:
    made = Delegation(tenant.digest, request_id or uuid4(), unix_micros() + expires_in_micros, in_batch=True)
    return {DELEGATION_HEADER: made.sign(SECRET), "content-type": "application/json"}


async def chat(gateway: Gateway, headers: dict[str, str]) -> Reply:
    return await ask(gateway.ports.public, "POST", CHAT, headers, BODY)


async def test_it_is_served_as_the_key_and_billed_as_a_batch(gateway: Gateway, control: ControlPlane) -> None:
    tenant, request_id = await control.tenant(key={"networks": ("203.0.113.0/24",)}), uuid4()
    reply = await chat(gateway, delegation(tenant, request_id))
    assert reply.status == 200, reply.body
    assert reply.headers["x-request-id"] == str(request_id)
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.event_id, event.key_id) == (request_id, tenant.key.key_id)
    assert event.quantities == {
        "batch_requests": 1, "batch_input_tokens": 10, "batch_output_tokens": 7, "spend_nanos": 17 * PER_TOKEN // 2,
    }  # fmt: skip


async def test_the_backends_own_engines_are_billed_as_a_batch_too(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = says(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nomni-usage: input_tokens=5, compute_ms=3\r\n\r\n{}"
    )
    tenant = await control.tenant()
    reply = await ask(gateway.ports.public, "POST", EMBEDDINGS, delegation(tenant), b'{"input":"x"}')
    assert reply.status == 200, reply.body
    principal = Principal.verify(backend.received[0].headers["omni-principal"], SECRET, unix_micros())
    assert (principal.key_id, principal.key_digest) == (tenant.key.key_id, tenant.digest)
    assert DELEGATION_HEADER not in backend.received[0].headers
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.quantities.keys() - {"spend_nanos"} == {"batch_requests", "batch_input_tokens", "batch_compute_ms"}


async def test_one_that_is_no_part_of_a_batch_costs_what_the_key_pays(gateway: Gateway, control: ControlPlane) -> None:
    tenant, request_id = await control.tenant(), uuid4()
    made = Delegation(tenant.digest, request_id, unix_micros() + MINUTE).sign(SECRET)
    assert (await chat(gateway, {DELEGATION_HEADER: made, "content-type": "application/json"})).status == 200
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.quantities == {
        "requests": 1, "input_tokens": 10, "output_tokens": 7, "spend_nanos": 17 * PER_TOKEN,
    }  # fmt: skip


@pytest.mark.parametrize("path", [CHAT, EMBEDDINGS], ids=["a provider", "our engines"])
async def test_what_bills_nothing_leaves_the_id_to_what_does(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, path: str
) -> None:
    tenant, request_id = await control.tenant(), uuid4()
    answered, body = backend.handler, BODY if path == CHAT else b'{"input":"x"}'
    backend.handler = says(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}")
    refused = await ask(gateway.ports.public, "POST", path, delegation(tenant, request_id), body)
    assert refused.status >= 500
    backend.handler = answered
    reply = await ask(gateway.ports.public, "POST", path, delegation(tenant, request_id), body)
    assert reply.status == 200, reply.body
    events = await control.wait_events(tenant.key.tenant_id, 2)
    (billed,) = [event for event in events if event.event_id == request_id]
    (unbilled,) = [event for event in events if event.event_id != request_id]
    assert billed.quantities["batch_requests"] == 1
    assert "batch_requests" not in unbilled.quantities
    assert unbilled.status >= 500


async def test_a_batch_counts_against_quotas_and_budgets(gateway: Gateway, control: ControlPlane) -> None:
    tenant = await control.tenant(requests_per_month=2)
    assert [(await chat(gateway, delegation(tenant))).status for _ in range(3)] == [200, 200, 429]
    poor = await control.tenant()
    await budget(control, poor, Budget("tenant", poor.key.tenant_id, "month", 1, hard=True))
    refused = await chat(gateway, delegation(poor))
    assert (refused.status, code(refused)) == (429, "insufficient_quota")


@pytest.mark.parametrize(
    "headers",
    [
        lambda tenant: delegation(tenant, expires_in_micros=-1),
        lambda tenant: {DELEGATION_HEADER: delegation(tenant)[DELEGATION_HEADER][:-2] + "xx"},
        lambda tenant: {DELEGATION_HEADER: Delegation(tenant.digest, uuid4(), 2**60).sign(b"another")},
        lambda tenant: {DELEGATION_HEADER: Delegation("0" * 64, uuid4(), 2**60).sign(SECRET)},
        lambda tenant: {DELEGATION_HEADER: signed.sign(b"", {"key_digest": tenant.digest}, SECRET)},
        lambda tenant: {DELEGATION_HEADER: "", **tenant.bearer},
        lambda _tenant: {DELEGATION_HEADER: "\xff.\xfe"},
    ],
    ids=["out of date", "touched", "another secret", "unknown key", "another kind", "empty beside a key", "noise"],
)
async def test_what_we_did_not_sign_opens_nothing(
    gateway: Gateway, control: ControlPlane, headers: Callable[[Tenant], dict[str, str]]
) -> None:
    reply = await chat(gateway, headers(await control.tenant()))
    assert (reply.status, code(reply)) == (401, "invalid_api_key")


async def test_a_key_that_was_revoked_meanwhile_opens_nothing(gateway: Gateway, control: ControlPlane) -> None:
    tenant = await control.tenant(key={"revoked": True})
    assert (await chat(gateway, delegation(tenant))).status == 401
    assert (await chat(gateway, delegation(await control.tenant(active=False)))).status == 403
    limited = await control.tenant(key={"scopes": frozenset(["collections:read"])})
    assert code(await chat(gateway, delegation(limited))) == "scope_missing"
