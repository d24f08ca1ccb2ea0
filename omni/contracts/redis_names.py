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
"""Pub/sub channel; a message is `key <sha256 hex>`, `tenant <uuid>`, `plan <code>` or `all`."""

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
    """Hash: request id → the UsageEvent (JSON) that the reaper writes when the lease runs out."""
    return f"{tag(partition)}:held"


def counters_ready(partition: int) -> str:
    """Set once the partition's monthly counters agree with PostgreSQL. Missing = flushed: admit refuses to guess."""
    return f"{tag(partition)}:ready"


def rate_key(tenant_id: UUID, limit: str) -> str:
    """GCRA state of one rate limit of a tenant (`limit`: e.g. `rpm`): the theoretical arrival time in microseconds."""
    return f"{tag(partition_of(tenant_id))}:gcra:{tenant_id.hex}:{limit}"


def quota_key(tenant_id: UUID, mode: str, month: str, meter: str) -> str:
    """Monthly counter of a meter; `month` is `YYYYMM` in UTC."""
    return f"{tag(partition_of(tenant_id))}:quota:{tenant_id.hex}:{mode}:{month}:{meter}"


def key_snapshot(digest_hex: str) -> str:
    """KeySnapshot by the SHA-256 of the API key."""
    return f"omni:key:{digest_hex}"


def tenant_snapshot(tenant_id: UUID) -> str:
    """TenantSnapshot of a tenant."""
    return f"omni:tenant:{tenant_id.hex}"


def plan_snapshot(code: str) -> str:
    """PlanSnapshot of a plan."""
    return f"omni:plan:{code}"
