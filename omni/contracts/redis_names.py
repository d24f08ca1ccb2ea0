"""Every Redis name that more than one process uses.

All counters, holds and the usage stream of one tenant share a hash tag (`{u07}`), so that one Lua call may touch them
on Redis Cluster too. Tenants are spread over PARTITIONS such tags; the drain reads that many streams.
"""

from __future__ import annotations

import zlib
from uuid import UUID

PARTITIONS = 16
DRAIN_GROUP = "drain"

INVALIDATE_CHANNEL = "omni:invalidate"
"""Pub/sub channel; a message is `key <sha256 hex>`, `tenant <uuid>`, `plan <code>`, `money <tenant uuid>`,
`credentials <tenant uuid>`, `routes`, `prices` or `all`."""

SNAPSHOTS_READY = "omni:snapshots:ready"
"""Set by the reconciler once every snapshot is in Redis. Missing = flushed or new: an unknown key proves nothing."""


def partition_of(tenant_id: UUID) -> int:
    """The partition that a tenant's counters and events live in."""
    return zlib.crc32(tenant_id.bytes) % PARTITIONS


def tag(partition: int) -> str:
    """The hash tag of a partition, e.g. `{u07}`."""
    return f"{{u{partition:02d}}}"


def usage_stream(partition: int) -> str:
    """Stream of usage events; each entry has one field `e`, a UsageEvent as JSON."""
    return f"{tag(partition)}:usage"


def holds_index(partition: int) -> str:
    """Sorted set: request id (32 hex digits) → lease end, Unix milliseconds by Redis TIME."""
    return f"{tag(partition)}:holds"


def holds_data(partition: int) -> str:
    """Hash: request id → what the reaper does when the lease runs out, in lines: the UsageEvent (JSON) that it writes;
    the nano-units charged in it, or nothing; then `<counter> <delta>` for each counter to correct."""
    return f"{tag(partition)}:held"


def reaped(partition: int) -> str:
    """Hash: request id → nano-units charged by the reaper, for a settlement that still comes; or `=` and the nano-units
    of a settlement that could come again otherwise than it was: without a hold, or cut at a ceiling."""
    return f"{tag(partition)}:reaped"


def counters_ready(partition: int) -> str:
    """Set once the partition's monthly counters agree with PostgreSQL. Missing = flushed: admit refuses to guess."""
    return f"{tag(partition)}:ready"


def rate_key(tenant_id: UUID, limit: str, scope_id: UUID | None = None) -> str:
    """GCRA state of one rate limit (`limit`: e.g. `rpm`) of a tenant, or of the key `scope_id`: the theoretical arrival
    time in microseconds."""
    return f"{tag(partition_of(tenant_id))}:gcra:{(scope_id or tenant_id).hex}:{limit}"


def quota_key(tenant_id: UUID, mode: str, month: str, meter: str) -> str:
    """Monthly counter of a meter; `month` is `YYYYMM` in UTC."""
    return f"{tag(partition_of(tenant_id))}:quota:{tenant_id.hex}:{mode}:{month}:{meter}"


def spend_key(scope_id: UUID, tenant_id: UUID, mode: str, period: str) -> str:
    """Nano-units spent by a tenant, project or key (`scope_id`) in a period: `YYYYMM`, `YYYYMMDD` (UTC) or `all`."""
    return f"{tag(partition_of(tenant_id))}:spend:{scope_id.hex}:{mode}:{period}"


def open_key(scope_id: UUID, tenant_id: UUID) -> str:
    """How many requests of a tenant or key (`scope_id`) are held right now."""
    return f"{tag(partition_of(tenant_id))}:open:{scope_id.hex}"


def money_snapshot(tenant_id: UUID) -> str:
    """MoneySnapshot of a tenant: budgets and wallet. Missing = it has neither."""
    return f"omni:money:{tenant_id.hex}"


def tenant_credentials(tenant_id: UUID) -> str:
    """The tenant's own provider keys: JSON object of provider code → base64 of the sealed key. Missing = none."""
    return f"omni:credentials:{tenant_id.hex}"


ROUTES = "omni:routes"
"""RouteTable: every public model, its targets, the providers and their sealed keys."""

PRICES = "omni:prices"
"""PriceBook: what meters cost, by model."""


def key_snapshot(digest_hex: str) -> str:
    """KeySnapshot by the SHA-256 of the API key."""
    return f"omni:key:{digest_hex}"


def tenant_snapshot(tenant_id: UUID) -> str:
    """TenantSnapshot of a tenant."""
    return f"omni:tenant:{tenant_id.hex}"


def plan_snapshot(code: str) -> str:
    """PlanSnapshot of a plan."""
    return f"omni:plan:{code}"


def response_cache(tenant_id: UUID) -> str:
    """Prefix of a tenant's response cache. After it come `lock:<digest>`, and by generation `<n>:<digest>` (an entry),
    `<n>:index`, `<n>:bytes` and `<n>:near:<digest>` (vectors)."""
    return f"{tag(partition_of(tenant_id))}:cache:{tenant_id.hex}:"


def response_cache_generation(tenant_id: UUID) -> str:
    """Number of the generation of a tenant's response cache; to raise it is to forget all that was stored."""
    return f"{tag(partition_of(tenant_id))}:cache:{tenant_id.hex}:generation"


SLOW_TRACES = "omni:{traces}:index"
"""Sorted set: id of a trace that failed or was slow (32 hex digits) → when its newest part ended, Unix milliseconds."""

SLOW_TRACE_PREFIX = "omni:{traces}:"


def slow_trace(trace_id: str) -> str:
    """Hash: id of a process's root span → what that process did (`omni.telemetry.slow_traces`)."""
    return f"{SLOW_TRACE_PREFIX}{trace_id}"
