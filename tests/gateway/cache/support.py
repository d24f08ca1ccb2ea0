"""Tenants with a response cache and policies, and a gateway with models for them."""

from __future__ import annotations

from typing import Any

import orjson

from omni.contracts import redis_names
from omni.contracts.money import PriceBook, Rate
from omni.contracts.snapshots import PolicySnapshot, TenantSnapshot
from omni.contracts.usage import UsageEvent
from tests.gateway.providers import CHAT, PER_TOKEN
from tests.gateway.support import ControlPlane, Reply, Tenant, ask

CACHED_NANOS = 7
PRICES = PriceBook(
    "EUR",
    {
        "": {
            "input_tokens": (Rate(0, PER_TOKEN, 1),),
            "output_tokens": (Rate(0, PER_TOKEN, 1),),
            "cached_requests": (Rate(0, CACHED_NANOS, 1),),
        }
    },
)


async def settings(
    control: ControlPlane, tenant: Tenant, *, cache_seconds: int = 0, threshold: int | None = None, **policies: Any
) -> None:
    """Publishes a tenant's policies and cache."""
    tenant_id = tenant.key.tenant_id
    row = TenantSnapshot(tenant_id, tenant.plan.code, True, PolicySnapshot(**policies), cache_seconds, threshold)
    await control.redis.set(redis_names.tenant_snapshot(tenant_id), row.to_json())
    await control.invalidate(f"tenant {tenant_id}")


async def cached_tenant(
    control: ControlPlane, *, cache_seconds: int = 60, threshold: int | None = None, **more: Any
) -> Tenant:
    tenant = await control.tenant(**more)
    await settings(control, tenant, cache_seconds=cache_seconds, threshold=threshold)
    return tenant


async def guarded_tenant(control: ControlPlane, **policies: Any) -> Tenant:
    tenant = await control.tenant()
    await settings(control, tenant, **policies)
    return tenant


async def post(
    port: int, tenant: Tenant, fields: dict[str, Any], path: str = CHAT, headers: dict[str, str] | None = None
) -> Reply:
    """One request with this body."""
    lines = {**tenant.bearer, "content-type": "application/json", **(headers or {})}
    return await ask(port, "POST", path, lines, orjson.dumps(fields))


def outcomes(events: list[UsageEvent]) -> list[str]:
    """How each was answered: `exact`, `semantic`, or `target`."""
    return sorted(event.attributes.get("cache", "target") for event in events)
