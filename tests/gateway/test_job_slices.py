"""Slices of jobs: only workers reach them, they reserve what their quote allows, and are billed within it."""

from __future__ import annotations

import asyncio
from asyncio import StreamWriter
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio

from omni.contracts.delegation import DELEGATION_HEADER, Delegation
from omni.contracts.money import Budget, PriceBook, Rate
from omni.contracts.principal import Principal
from omni.contracts.quotes import Term
from omni.gateway.app import Gateway
from omni.kit.clock import unix_micros
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import budget, model, provider, publish, says, target
from tests.gateway.support import (
    SECRET,
    Client,
    ControlPlane,
    FakeBackend,
    Received,
    RedisServer,
    Reply,
    Tenant,
    ask,
    request,
)

PER_MS = 300
"""Nano-units for a millisecond of training, in the price book."""
PRICES = PriceBook("EUR", {"": {m: (Rate(0, n, 1),) for m, n in (("training_ms", PER_MS), ("requests", 500))}})
TERMS = {"training_ms": Term(60_000, PER_MS, 1)}
SLICES = f"/v1/jobs/{uuid4()}/slices"
BODY = orjson.dumps({"attempt": 1, "most": {"training_ms": 60_000}})


@pytest_asyncio.fixture
async def gateway(
    shared_redis: RedisServer,
    control: ControlPlane,
    backend_server: tuple[FakeBackend, str],
    backend: FakeBackend,
    start_gateway: StartGateway,
) -> AsyncIterator[Gateway]:
    backend.handler = used("training_ms=20000, compute_ms=77")
    started = await start_gateway(shared_redis.url)
    await publish(control, started, [provider(backend_server[1])], [model("gpt", target())], PRICES)
    yield started


def used(usage: str, status: bytes = b"200 OK") -> Callable[[Received, StreamWriter], Any]:
    return says(b"HTTP/1.1 %b\r\ncontent-length: 2\r\nomni-usage: %b\r\n\r\n{}" % (status, usage.encode()))


def headers(tenant: Tenant, terms: dict[str, Term] | None, request_id: UUID | None = None) -> dict[str, str]:
    made = Delegation(tenant.digest, request_id or uuid4(), unix_micros() + 60_000_000, terms)
    return {DELEGATION_HEADER: made.sign(SECRET), "content-type": "application/json"}


async def work(gateway: Gateway, sent: dict[str, str]) -> Reply:
    return await ask(gateway.ports.public, "POST", SLICES, sent, BODY)


async def test_a_slice_is_billed_for_what_its_quote_names_and_nothing_else(
    gateway: Gateway, control: ControlPlane
) -> None:
    tenant, request_id = await control.tenant(), uuid4()
    assert (await work(gateway, headers(tenant, TERMS, request_id))).status == 200
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.event_id == request_id
    assert event.quantities == {"training_ms": 20_000, "spend_nanos": 20_000 * PER_MS}


async def test_a_price_that_rose_meanwhile_costs_what_was_quoted(gateway: Gateway, control: ControlPlane) -> None:
    tenant = await control.tenant()
    quoted = {"training_ms": Term(60_000, PER_MS // 2, 1)}
    assert (await work(gateway, headers(tenant, quoted))).status == 200
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.quantities == {"training_ms": 10_000, "spend_nanos": 10_000 * PER_MS}


async def test_what_the_quote_leaves_is_reserved_and_the_rest_given_back(
    gateway: Gateway, control: ControlPlane
) -> None:
    tenant = await control.tenant()
    whole = 60_000 * PER_MS
    await budget(control, tenant, Budget("tenant", tenant.key.tenant_id, "month", whole - 1, hard=True))
    refused = await work(gateway, headers(tenant, TERMS))
    assert (refused.status, code(refused)) == (429, "budget_exceeded")
    await budget(control, tenant, Budget("tenant", tenant.key.tenant_id, "month", whole, hard=True))
    assert (await work(gateway, headers(tenant, TERMS))).status == 200
    left = {"training_ms": Term(40_000, PER_MS, 1)}
    assert (await work(gateway, headers(tenant, left))).status == 200
    assert (await work(gateway, headers(tenant, left))).status == 429, "40,000 of 60,000 ms are charged by now"


async def test_a_slice_that_failed_on_our_side_is_not_billed(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = used("training_ms=20000", b"503 Service Unavailable")
    tenant = await control.tenant()
    assert (await work(gateway, headers(tenant, TERMS))).status == 503
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.quantities.get("spend_nanos", 0) == 0
    assert "training_ms" not in event.quantities


@pytest.mark.parametrize("kind", ["a key", "a batch's delegation"])
async def test_nobody_else_finds_it(gateway: Gateway, control: ControlPlane, backend: FakeBackend, kind: str) -> None:
    tenant = await control.tenant()
    reply = await work(gateway, tenant.bearer if kind == "a key" else headers(tenant, None))
    assert (reply.status, code(reply)) == (404, "unknown_route")
    assert not backend.received


async def test_terms_open_no_other_endpoint(gateway: Gateway, control: ControlPlane) -> None:
    sent = headers(await control.tenant(), TERMS)
    reply = await ask(gateway.ports.public, "POST", "/v1/text/sentiment", sent, b'{"input":"x"}')
    assert (reply.status, code(reply)) == (404, "unknown_route")


async def test_who_asks_for_a_quote_comes_with_todays_prices(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()
    sent = {"content-type": "application/json", **tenant.bearer}
    await ask(gateway.ports.public, "POST", "/v1/quotes", sent, b"{}")
    principal = Principal.verify(backend.received[-1].headers["omni-principal"], SECRET, unix_micros())
    assert principal.currency == "EUR"
    assert dict(principal.prices) == {"training_ms": (PER_MS, 1), "predictions": (0, 1)}
    await ask(gateway.ports.public, "POST", "/v1/text/sentiment", sent, b'{"input":"x"}')
    other = Principal.verify(backend.received[-1].headers["omni-principal"], SECRET, unix_micros())
    assert (other.currency, dict(other.prices)) == ("", {})


async def test_a_worker_that_dies_leaves_the_id_to_the_slice_that_is_done_again(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant, request_id = await control.tenant(), uuid4()
    answered, asked = backend.handler, asyncio.Event()

    async def never(_: Received, __: StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    backend.handler = never
    client = await Client.connect(gateway.ports.public)
    client.send(request("POST", SLICES, headers(tenant, TERMS, request_id), BODY))
    await asyncio.wait_for(asked.wait(), 5)
    client.abort()
    (left,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (left.status, left.event_id == request_id, left.quantities.get("requests", 0)) == (499, False, 0)
    backend.handler = answered
    assert (await work(gateway, headers(tenant, TERMS, request_id))).status == 200
    events = await control.wait_events(tenant.key.tenant_id, 2)
    assert [e.quantities["training_ms"] for e in events if e.event_id == request_id] == [20_000]
