"""Who gets in: one case per outcome."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from omni.contracts import redis_names
from omni.kit.clock import unix_micros
from tests.gateway.conftest import StartGateway
from tests.gateway.support import (
    EMBEDDINGS,
    ControlPlane,
    FakeBackend,
    RedisServer,
    Reply,
    ask,
    embed,
    eventually,
    stranger,
)

HOUR_MICROS = 3_600_000_000


def code(reply: Reply) -> str:
    """The error code of a problem document or of OpenAI's error."""
    body = orjson.loads(reply.body)
    return str(body["error"]["code"] if "error" in body else body["code"])


async def test_a_good_key_in_either_header(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant()
    assert (await ask(port, "POST", EMBEDDINGS, tenant.bearer)).status == 200
    assert (await ask(port, "POST", EMBEDDINGS, {"x-api-key": tenant.secret})).status == 200


async def test_what_cannot_be_a_key_costs_redis_nothing(port: int, control: ControlPlane) -> None:
    good = stranger()
    junk = [good[:-1] + ("0" if good[-1] != "0" else "1"), good + "0", "sk-something", "omni_live_", "é" * 46]
    await control.redis.config_resetstat()
    for secret in junk:
        for headers in (
            {"authorization": f"Bearer {secret}"},
            {"x-api-key": secret},
            {"authorization": "Basic Zm9v"},
            {},
        ):
            reply = await ask(port, "POST", EMBEDDINGS, headers)
            assert (reply.status, code(reply)) == (401, "invalid_api_key")
            assert reply.headers["www-authenticate"] == "Bearer"
    stats = await control.redis.info("commandstats")
    assert not {"cmdstat_get", "cmdstat_exists", "cmdstat_evalsha", "cmdstat_eval"} & stats.keys()


async def test_an_unknown_key_is_asked_for_once(port: int, control: ControlPlane) -> None:
    secret = stranger()
    await control.redis.config_resetstat()
    bearer = {"authorization": f"Bearer {secret}"}
    replies = await asyncio.gather(*(ask(port, "POST", EMBEDDINGS, bearer) for _ in range(20)))
    assert {(reply.status, code(reply)) for reply in replies} == {(401, "invalid_api_key")}
    assert await control.calls("get") == 1


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "revoked": ({"revoked": True}, 401, "invalid_api_key"),
    "expired": ({"expires_at_micros": unix_micros() - 1}, 401, "invalid_api_key"),
    "wrong address": ({"networks": ("10.0.0.0/8",)}, 403, "address_not_allowed"),
    "wrong scope": ({"scopes": frozenset(["collections:read"])}, 403, "scope_missing"),
}
ADMITTED: dict[str, dict[str, Any]] = {
    "not expired": {"expires_at_micros": unix_micros() + HOUR_MICROS},
    "right address": {"networks": ("10.0.0.0/8", "127.0.0.0/8")},
    "right scope": {"scopes": frozenset(["inference"])},
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refused(port: int, control: ControlPlane, backend: FakeBackend, name: str) -> None:
    key, status, expected = REFUSED[name]
    reply = await embed(port, await control.tenant(key=key))
    assert (reply.status, code(reply)) == (status, expected)
    assert not backend.received


@pytest.mark.parametrize("name", ADMITTED)
async def test_admitted(port: int, control: ControlPlane, name: str) -> None:
    assert (await embed(port, await control.tenant(key=ADMITTED[name]))).status == 200


async def test_a_suspended_tenant(port: int, control: ControlPlane) -> None:
    reply = await embed(port, await control.tenant(active=False))
    assert (reply.status, code(reply)) == (403, "tenant_suspended")


async def test_x_forwarded_for_counts_only_from_trusted_proxies(
    port: int, shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway
) -> None:
    tenant = await control.tenant(key={"networks": ("10.0.0.0/8",)})
    proxied = await start_gateway(shared_redis.url, trusted_proxies=("127.0.0.0/8", "192.168.0.0/16"))
    cases = [
        (port, "10.1.2.3", 403),
        (proxied.ports.public, "10.1.2.3", 200),
        (proxied.ports.public, "10.1.2.3, 192.168.0.9", 200),
        (proxied.ports.public, "10.1.2.3, 8.8.8.8", 403),
        (proxied.ports.public, "10.1.2.3, nonsense", 403),
    ]
    for at, forwarded, status in cases:
        reply = await ask(at, "POST", EMBEDDINGS, {**tenant.bearer, "x-forwarded-for": forwarded})
        assert reply.status == status, forwarded


async def test_errors_have_the_shape_of_their_route(port: int) -> None:
    reply = await ask(port, "POST", EMBEDDINGS)
    openai = orjson.loads(reply.body)
    assert openai["error"].keys() == {"message", "type", "param", "code", "request_id", "doc_url"}
    assert (openai["error"]["type"], openai["error"]["code"]) == ("invalid_request_error", "invalid_api_key")
    assert openai["error"]["request_id"] == reply.headers["x-request-id"]
    assert openai["error"]["doc_url"] == "/docs/errors#invalid_api_key"
    problem = orjson.loads((await ask(port, "POST", "/v1/forecasts")).body)
    assert (problem["status"], problem["code"], problem["title"]) == (401, "invalid_api_key", "Not authenticated")


async def test_an_invalidation_revokes_within_a_second(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant()
    assert (await embed(port, tenant)).status == 200
    tenant.key = replace(tenant.key, revoked=True)
    await control.publish(tenant)
    assert (await embed(port, tenant)).status == 200, "still cached"
    await control.invalidate(f"key {tenant.digest}")

    async def refused() -> bool:
        return (await embed(port, tenant)).status == 401

    await eventually(refused, 1)


@pytest.mark.parametrize("message", ["tenant {0.key.tenant_id}", "all", "something new"])
async def test_other_invalidations(port: int, control: ControlPlane, message: str) -> None:
    tenant = await control.tenant()
    assert (await embed(port, tenant)).status == 200
    await control.publish(tenant, active=False)
    await control.invalidate(message.format(tenant))

    async def refused() -> bool:
        return (await embed(port, tenant)).status == 403

    await eventually(refused, 1)


async def test_a_plan_change_takes_effect(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant()
    assert (await embed(port, tenant)).status == 200
    tenant.plan = replace(tenant.plan, requests_per_month=0)
    await control.publish(tenant)
    await control.invalidate(f"plan {tenant.plan.code}")

    async def refused() -> bool:
        return (await embed(port, tenant)).status == 429

    await eventually(refused, 1)


async def test_without_snapshots_an_unknown_key_proves_nothing(
    own_redis: RedisServer, own_control: ControlPlane, start_gateway: StartGateway
) -> None:
    tenant = await own_control.tenant()
    gateway = await start_gateway(own_redis.url, snapshot_fresh_seconds=0.01)
    assert (await embed(gateway.ports.public, tenant)).status == 200
    await own_control.redis.delete(redis_names.SNAPSHOTS_READY, redis_names.key_snapshot(tenant.digest))
    reply = await ask(gateway.ports.public, "POST", EMBEDDINGS, {"x-api-key": stranger()})
    assert (reply.status, code(reply)) == (503, "snapshots_unavailable")
    assert int(reply.headers["retry-after"]) >= 1
    assert (await embed(gateway.ports.public, tenant)).status == 200, "known before the flush"
    await own_control.make_ready()

    async def gone() -> bool:
        return (await embed(gateway.ports.public, tenant)).status == 401

    await eventually(gone, 3)


async def test_not_ready_until_snapshots_are(
    own_redis: RedisServer, own_control: ControlPlane, start_gateway: StartGateway
) -> None:
    await own_control.redis.delete(redis_names.SNAPSHOTS_READY)
    gateway = await start_gateway(own_redis.url)
    reply = await ask(gateway.ports.public, "GET", "/readyz")
    assert (reply.status, orjson.loads(reply.body)["checks"]["snapshots"]) == (503, False)
    await own_control.make_ready()

    async def ready() -> bool:
        return (await ask(gateway.ports.public, "GET", "/readyz")).status == 200

    await eventually(ready, 3)
