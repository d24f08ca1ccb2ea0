"""Reporting usage is no use: neither quotas nor token rates nor money are touched by it, request rates are."""

from __future__ import annotations

from collections import Counter

import pytest

from omni.contracts.usage import REQUESTS
from tests.gateway.access.test_auth import code
from tests.gateway.support import ControlPlane, FakeBackend, Received, answer, ask, embed

EVENTS = "/v1/events"


@pytest.mark.parametrize("size", [10, 2_000_000], ids=["short answer", "streamed answer"])
async def test_reports_pass_where_the_months_requests_are_used_up(
    port: int, control: ControlPlane, backend: FakeBackend, size: int
) -> None:
    tenant = await control.tenant(requests_per_month=1, tokens_per_minute=100, compute_ms_per_month=1000)
    assert (await embed(port, tenant)).status == 200

    async def long(_: Received, writer: object) -> None:
        writer.write(answer(body=b" " * size))  # type: ignore[attr-defined]

    backend.handler = long
    replies = [await ask(port, "POST", EVENTS, tenant.bearer, b" " * 10_000) for _ in range(3)]
    assert [(reply.status, len(reply.body)) for reply in replies] == [(200, size)] * 3
    assert (await embed(port, tenant)).status == 429
    events = await control.wait_events(tenant.key.tenant_id, 4)
    assert {event.endpoint: event.quantities for event in events if event.endpoint == "POST /v1/events"} == {
        "POST /v1/events": {}
    }
    assert await control.quota(tenant, REQUESTS, events[0].occurred_at_micros) == 1
    assert await control.holds(tenant.key.tenant_id) == 0


async def test_reports_keep_to_the_rate_of_requests(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant(requests_per_minute=6, request_burst=4)
    replies = [await ask(port, "POST", EVENTS, tenant.bearer, b"{}") for _ in range(6)]
    assert Counter(reply.status for reply in replies) == {200: 4, 429: 2}


async def test_attributes_in_headers_reach_the_backend_and_no_others(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()
    headers = {"ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-specversion": "1.0", "ce-other": "x"}
    await ask(port, "POST", EVENTS, {**tenant.bearer, **headers}, b"{}")
    await ask(port, "POST", "/v1/forecasts", {**tenant.bearer, **headers}, b"{}")
    first, second = ({name for name in seen.headers if name.startswith("ce-")} for seen in backend.received)
    assert first == set(headers) - {"ce-other"}
    assert second == set()


async def test_a_key_needs_the_scope(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant(key={"scopes": frozenset(["inference"])})
    reply = await ask(port, "POST", EVENTS, tenant.bearer, b"{}")
    assert (reply.status, code(reply)) == (403, "scope_missing")
