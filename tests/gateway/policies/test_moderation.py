"""Moderation by a model of the catalogue: of requests, of whole answers, and of streams window by window."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from omni.contracts.principal import Principal
from omni.contracts.routes import Provider
from omni.gateway.app import Gateway
from omni.gateway.policies.moderation import WINDOW_CHARS
from omni.kit.clock import unix_micros
from tests.gateway.access.test_auth import code
from tests.gateway.cache.support import PRICES, guarded_tenant, post, settings
from tests.gateway.providers import (
    DONE,
    STREAM_HEAD,
    chat,
    chunk,
    completion,
    delta,
    model,
    provider,
    publish,
    target,
    usage_event,
    whole,
)
from tests.gateway.support import SECRET, Client, ControlPlane, FakeBackend, Received, request

BAD, OWN = "something vile", "/v1/moderations"


def moderating(
    backend: FakeBackend, *answers: bytes, broken: bool = False, on_look: Callable[[], None] | None = None
) -> None:
    """A provider that flags BAD, and answers all else with these bytes."""

    async def handler(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.target != "/v1/moderations":
            for answer in answers:
                writer.write(answer)
            return
        if on_look is not None:
            on_look()
        results = [{"flagged": BAD in text} for text in orjson.loads(received.body)["input"]]
        writer.write(whole(b"{}", 500) if broken else whole(orjson.dumps({"results": results})))

    backend.handler = handler


def looks(backend: FakeBackend) -> list[list[str]]:
    return [
        orjson.loads(received.body)["input"] for received in backend.received if received.target == "/v1/moderations"
    ]


def others(backend: FakeBackend) -> list[Received]:
    return [received for received in backend.received if received.target != "/v1/moderations"]


def streamed(*events: bytes) -> tuple[bytes, ...]:
    return (STREAM_HEAD, *(chunk(event) for event in events), b"0\r\n\r\n")


async def test_without_a_model_for_it_nothing_is_let_through(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await guarded_tenant(control, moderation="block")
    reply = await chat(port, tenant)
    assert (reply.status, code(reply)) == (501, "moderation_not_configured")
    assert not backend.received


async def test_a_providers_model_goes_before_the_platforms_own(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str]
) -> None:
    operations = frozenset(("moderations",))
    providers = [provider(backend_server[1]), Provider("omni", "backend", "")]
    own = model("a", target("a", "omni"), operations=operations)
    models = [model("gpt", target()), own]
    moderating(backend, whole(completion("Hello.")))
    tenant = await guarded_tenant(control, moderation="block")
    asked = []
    for listed in (models, [*models, model("z", target("z"), operations=operations)]):
        await publish(control, gateway, providers, listed, PRICES)
        backend.received.clear()
        assert (await chat(gateway.ports.public, tenant)).status == 200
        assert looks(backend) == [["Hi"], ["Hello."]]
        asked.append({orjson.loads(each.body)["model"] for each in backend.received if each.target == OWN})
    assert asked == [{"a"}, {"z"}]


async def test_a_plan_without_the_model_is_moderated_by_it_and_may_not_ask_for_it(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str]
) -> None:
    providers = [provider(backend_server[1]), Provider("omni", "backend", "")]
    own = model("own", target("own", "omni"), operations=frozenset(("moderations",)))
    await publish(control, gateway, providers, [model("gpt", target()), own], PRICES)
    moderating(backend, whole(completion("Hello.")))
    tenant = await control.tenant(models=frozenset(("gpt",)))
    await settings(control, tenant, moderation="block")
    assert (await chat(gateway.ports.public, tenant)).status == 200
    asked = [each for each in backend.received if each.target == OWN]
    assert len(asked) == 2
    for each in asked:
        principal = Principal.verify(each.headers["omni-principal"], SECRET, unix_micros())
        assert (principal.tenant_id, principal.models) == (tenant.key.tenant_id, None), "the gateway has looked"
    refused = await post(gateway.ports.public, tenant, {"model": "own", "input": "x"}, OWN)
    assert (refused.status, code(refused)) == (404, "model_not_found")
    assert len(backend.received) == 3


async def test_what_is_fine_passes(moderated: Gateway, control: ControlPlane, backend: FakeBackend) -> None:
    moderating(backend, whole(completion("Hello.")))
    tenant = await guarded_tenant(control, moderation="block")
    reply = await chat(moderated.ports.public, tenant)
    assert (reply.status, reply.body) == (200, completion("Hello."))
    assert looks(backend) == [["Hi"], ["Hello."]]
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert "policy" not in event.attributes


async def test_a_request_that_is_flagged_reaches_no_provider_and_is_not_billed(
    moderated: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    moderating(backend, whole(completion()))
    tenant = await guarded_tenant(control, moderation="block")
    fields = {"model": "gpt", "messages": [{"role": "user", "content": f"Say {BAD}."}]}
    reply = await post(moderated.ports.public, tenant, fields)
    assert (reply.status, code(reply)) == (400, "moderation_blocked")
    assert not others(backend)
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.quantities) == (400, {})
    assert event.attributes == {"policy": "moderation_blocked"}


async def test_an_answer_that_is_flagged_is_kept_back_and_billed(
    moderated: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    moderating(backend, whole(completion(f"Here is {BAD}.")))
    tenant = await guarded_tenant(control, moderation="block")
    reply = await chat(moderated.ports.public, tenant)
    assert (reply.status, code(reply)) == (400, "moderation_blocked")
    assert BAD.encode() not in reply.body
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.attributes["policy"]) == (400, "moderation_blocked")
    assert event.quantities["output_tokens"] == 5, "the provider did the work"


async def test_where_the_model_fails_nothing_is_let_through(
    moderated: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    moderating(backend, whole(completion()), broken=True)
    tenant = await guarded_tenant(control, moderation="block")
    reply = await chat(moderated.ports.public, tenant)
    assert (reply.status, code(reply)) == (503, "moderation_unavailable")
    assert "retry-after" in reply.headers
    assert not others(backend)
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.quantities, event.attributes) == (503, {}, {"policy": "moderation_failed"})


async def test_an_answer_that_cannot_be_looked_at_is_kept_back_and_not_billed(
    moderated: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    async def handler(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.target == "/v1/moderations" and len(looks(backend)) > 1:
            writer.write(whole(b"{}", 500))
        elif received.target == "/v1/moderations":
            writer.write(whole(orjson.dumps({"results": [{"flagged": False}]})))
        else:
            writer.write(whole(completion("Hello.")))

    backend.handler = handler
    tenant = await guarded_tenant(control, moderation="block")
    reply = await chat(moderated.ports.public, tenant)
    assert (reply.status, code(reply)) == (503, "moderation_unavailable")
    assert b"Hello." not in reply.body
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.quantities, event.attributes["policy"]) == (503, {}, "moderation_failed")


async def test_a_stream_that_is_fine_passes_whole(
    moderated: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    events = [delta("word " * 100) for _ in range(7)] + [delta("", "stop"), usage_event(9, 700), DONE]
    moderating(backend, *streamed(*events))
    tenant = await guarded_tenant(control, moderation="block")
    reply = await chat(moderated.ports.public, tenant, stream=True, stream_options={"include_usage": True})
    assert reply.complete
    assert reply.body == b"".join(events)
    seen = looks(backend)
    assert seen[0] == ["Hi"]
    assert sum(len(window[0]) for window in seen[1:]) >= 3_500
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.quantities["output_tokens"]) == (200, 700)


@pytest.mark.parametrize("at", [0, 1, 3, 6])
async def test_a_stream_that_is_flagged_ends_before_it_says_it(
    moderated: Gateway, control: ControlPlane, backend: FakeBackend, at: int
) -> None:
    events = [delta("word " * 100) for _ in range(7)]
    events[at] = delta("word " * 50 + BAD)
    moderating(backend, *streamed(*events, delta("", "stop"), usage_event(9, 700), DONE))
    tenant = await guarded_tenant(control, moderation="block")
    reply = await chat(moderated.ports.public, tenant, stream=True)
    assert reply.status == 200
    assert BAD.encode() not in reply.body
    assert b'"code":"moderation_blocked"' in reply.body
    assert reply.body.endswith(DONE)
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.attributes["policy"]) == (400, "moderation_blocked")
    assert event.attributes["estimated"] == "moderation_blocked/bytes"
    assert event.quantities["input_tokens"] > 0


async def test_what_stands_on_the_border_of_windows_is_seen(
    moderated: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    first, second = delta("x" * (WINDOW_CHARS - 9) + BAD[:9]), delta(BAD[9:] + " y" * 50)

    async def handler(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.target == "/v1/moderations":
            results = [{"flagged": BAD in text} for text in orjson.loads(received.body)["input"]]
            writer.write(whole(orjson.dumps({"results": results})))
            return
        writer.write(STREAM_HEAD + chunk(first))
        while len(looks(backend)) < 2:
            await asyncio.sleep(0)
        writer.write(chunk(second) + chunk(delta("", "stop")) + chunk(DONE) + b"0\r\n\r\n")

    backend.handler = handler
    tenant = await guarded_tenant(control, moderation="block")
    reply = await chat(moderated.ports.public, tenant, stream=True)
    assert b"moderation_blocked" in reply.body
    assert b"x" * 100 in reply.body
    assert BAD[9:].encode() not in reply.body


async def test_a_window_leaves_when_it_was_looked_at_not_at_the_end(
    moderated: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    never = asyncio.Event()

    async def handler(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.target == "/v1/moderations":
            writer.write(whole(orjson.dumps({"results": [{"flagged": False}]})))
            return
        writer.write(STREAM_HEAD + chunk(delta("x" * WINDOW_CHARS)))
        await never.wait()

    backend.handler = handler
    tenant = await guarded_tenant(control, moderation="block")
    client = await Client.connect(moderated.ports.public)
    fields: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    lines = {**tenant.bearer, "content-type": "application/json"}
    client.send(request("POST", "/v1/chat/completions", lines, orjson.dumps(fields)))
    await client.head()
    async with asyncio.timeout(5):
        assert b"x" * WINDOW_CHARS in await client.chunk()
    client.abort()
    never.set()
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.status == 499


async def test_a_stream_is_stopped_where_the_model_fails_midway(
    moderated: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    async def handler(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.target == "/v1/moderations":
            fine = whole(orjson.dumps({"results": [{"flagged": False}]}))
            writer.write(fine if len(looks(backend)) == 1 else whole(b"{}", 500))
            return
        for part in streamed(delta("Hello", "stop"), DONE):
            writer.write(part)

    backend.handler = handler
    tenant = await guarded_tenant(control, moderation="block")
    reply = await chat(moderated.ports.public, tenant, stream=True)
    assert b"moderation_unavailable" in reply.body
    assert b"Hello" not in reply.body
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.attributes["policy"]) == (503, "moderation_failed")


async def test_an_answer_from_the_cache_was_looked_at_before(
    moderated: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    moderating(backend, whole(completion("Hello.")))
    tenant = await control.tenant()
    await settings(control, tenant, cache_seconds=60, moderation="block")
    await chat(moderated.ports.public, tenant)
    seen = len(looks(backend))
    assert (await chat(moderated.ports.public, tenant)).headers["omni-cache"] == "hit"
    assert len(looks(backend)) == seen
    moderating(backend, whole(completion(BAD)))
    fields = {"model": "gpt", "messages": [{"role": "user", "content": "Other"}]}
    for _ in range(2):
        reply = await post(moderated.ports.public, tenant, fields)
        assert reply.status == 400
    assert len(others(backend)) == 3, "what is flagged is not stored"
