"""Allowed and denied models where a request goes straight to the backend."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from omni.contracts import redis_names
from omni.contracts.snapshots import PolicySnapshot, TenantSnapshot
from tests.gateway.access.test_auth import code
from tests.gateway.providers import whole
from tests.gateway.support import EMBEDDINGS, ControlPlane, FakeBackend, Received, Tenant, ask


async def narrowed(control: ControlPlane, policies: PolicySnapshot) -> Tenant:
    tenant = await control.tenant()
    row = TenantSnapshot(tenant.key.tenant_id, tenant.plan.code, active=True, policies=policies)
    await control.redis.set(redis_names.tenant_snapshot(tenant.key.tenant_id), row.to_json())
    return tenant


POLICIES = [
    PolicySnapshot(denied_models=("mini-secret",)),
    PolicySnapshot(denied_models=("mini-*",)),
    PolicySnapshot(allowed_models=("mini", "gpt*")),
    PolicySnapshot(allowed_models=()),
]


@pytest.mark.parametrize("policies", POLICIES)
async def test_a_denied_model_of_the_backend_answers_like_an_unknown_one(
    port: int, control: ControlPlane, backend: FakeBackend, policies: PolicySnapshot
) -> None:
    tenant = await narrowed(control, policies)
    headers = {**tenant.bearer, "content-type": "application/json"}
    reply = await ask(port, "POST", EMBEDDINGS, headers, b'{"model":"mini","model":"mini-secret","input":"x"}')
    assert (reply.status, code(reply)) == (404, "model_not_found")
    assert orjson.loads(reply.body)["error"]["param"] == "model"
    assert not backend.received


async def test_what_policies_allow_goes_on_as_it_came(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    body = b'{"model": "mini", "input": "x"}'
    for policies in POLICIES[:3]:
        tenant = await narrowed(control, policies)
        headers = {**tenant.bearer, "content-type": "application/json"}
        assert (await ask(port, "POST", EMBEDDINGS, headers, body)).status == 200
        assert backend.received[-1].body == body


async def test_a_body_whose_model_cannot_be_read_goes_no_further(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await narrowed(control, POLICIES[0])
    headers = {**tenant.bearer, "content-type": "application/json"}
    for body in (b"", b"[]", b'{"model":', b'{"model":7}', '{"model":"mini-secret"}'.encode("utf-16"), b'{"a":NaN}'):
        assert (await ask(port, "POST", EMBEDDINGS, headers, body)).status == 400
    assert not backend.received
    open_to_all = await control.tenant()
    assert (await ask(port, "POST", EMBEDDINGS, open_to_all.bearer, b"[]")).status == 200, "the backend's to say"


async def test_denied_models_are_not_listed(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    async def own(asked: Received, writer: asyncio.StreamWriter) -> None:
        rows = [{"id": name, "object": "model"} for name in ("mini", "mini-secret")]
        writer.write(whole(orjson.dumps({"object": "list", "data": rows} if asked.target == "/v1/models" else rows[1])))

    backend.handler = own
    tenant = await narrowed(control, POLICIES[0])
    listed = await ask(port, "GET", "/v1/models", tenant.bearer)
    assert [each["id"] for each in orjson.loads(listed.body)["data"]] == ["mini", "claude", "gpt"]
    hidden = await ask(port, "GET", "/v1/models/mini-secret", tenant.bearer)
    assert (hidden.status, code(hidden)) == (404, "model_not_found")
    assert (await ask(port, "GET", "/v1/models/mini", tenant.bearer)).status == 200
