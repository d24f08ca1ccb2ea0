"""How much of Redis a tenant's cache takes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from omni.contracts import redis_names
from omni.gateway.cache.entries import Entry
from omni.kit.clock import unix_micros
from tests.gateway.cache.support import cached_tenant, post, settings
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import completion, model, provider, publish, says, target, whole
from tests.gateway.support import ControlPlane, FakeBackend, RedisServer, Tenant


async def stored(control: ControlPlane, tenant: Tenant) -> tuple[int, int, int]:
    """Entries, entries in the index, and bytes as they are counted."""
    prefix = f"{redis_names.response_cache(tenant.key.tenant_id)}0:"
    names = [name async for name in control.redis.scan_iter(f"{prefix}*")]
    entries = [name for name in names if len(name) == len(prefix) + 64]
    indexed = await control.redis.zcard(f"{prefix}index")
    return len(entries), indexed, int(await control.redis.get(f"{prefix}bytes") or 0)


async def test_a_tenants_share_is_bounded_and_what_ends_first_goes_first(
    shared_redis: RedisServer,
    control: ControlPlane,
    backend: FakeBackend,
    backend_server: tuple[FakeBackend, str],
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(shared_redis.url, cache_tenant_limit_bytes=10_000)
    await publish(control, gateway, [provider(backend_server[1])], [model("gpt", target())])
    backend.handler = says(whole(completion("x" * 2_000)))
    tenant = await cached_tenant(control)

    async def ask(text: str) -> str:
        fields = {"model": "gpt", "messages": [{"role": "user", "content": text}]}
        return (await post(gateway.ports.public, tenant, fields)).headers["omni-cache"]

    for number in range(10):
        assert await ask(str(number)) == "miss"
    entries, indexed, size = await stored(control, tenant)
    assert entries == indexed == 4
    assert 8_000 < size <= 10_000
    assert await ask("9") == "hit"
    assert await ask("0") == "miss", "the oldest went"


async def test_entries_end_with_the_tenants_time_and_leave_the_count(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = says(whole(completion()))
    tenant = await cached_tenant(control, cache_seconds=300)
    hi = {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]}
    await post(port, tenant, hi)
    prefix = f"{redis_names.response_cache(tenant.key.tenant_id)}0:"
    (name,) = [name async for name in control.redis.scan_iter(f"{prefix}*") if len(name) == len(prefix) + 64]
    assert 290 < await control.redis.ttl(name) <= 300
    _, _, size = await stored(control, tenant)
    # As if its time were over.
    await control.redis.delete(name)
    members: Any = await control.redis.zrange(f"{prefix}index", 0, -1)
    await control.redis.zadd(f"{prefix}index", {members[0]: 1})
    await post(port, tenant, {**hi, "seed": 1})
    entries, indexed, new_size = await stored(control, tenant)
    assert (entries, indexed) == (1, 1)
    assert new_size == size


async def test_a_tenant_that_turns_it_off_is_not_answered_from_it(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = says(whole(completion()))
    tenant = await cached_tenant(control)
    hi = {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]}
    await post(port, tenant, hi)
    await settings(control, tenant)
    for _ in range(100):
        reply = await post(port, tenant, hi)
        if "omni-cache" not in reply.headers:
            break
    assert "omni-cache" not in reply.headers
    assert len(backend.received) == 2


def test_an_entry_says_what_it_was_given() -> None:
    entry = Entry(b"application/json; charset=utf-8", b'{"a":\n1}\n', unix_micros() - 5_000_000)
    again = Entry.unpack(entry.pack())
    assert again == entry
    assert again.age_seconds == 5


@pytest.mark.parametrize("data", [b"", b"{}", b"x\ny"])
def test_what_is_no_entry(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        Entry.unpack(data)


def test_names_share_the_tenants_tag() -> None:
    tenant_id = UUID(int=5)
    mine = redis_names.tag(redis_names.partition_of(tenant_id))
    assert redis_names.response_cache(tenant_id).startswith(mine)
    assert redis_names.response_cache_generation(tenant_id).startswith(mine)
