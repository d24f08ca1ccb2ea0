"""Everything that the gateway can be told, as one frozen record. The composition root fills it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from omni.contracts.endpoints import KIB, MIB


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Settings of one gateway process. Port 0 takes a free one."""

    host: str
    port: int
    metrics_port: int
    backend_urls: tuple[str, ...]
    """Base URLs of the backends, `http://host:port` or `https://host:port`; requests go round them."""
    redis_url: str = field(repr=False)
    """`redis://[user:password@]host:port/db`, `rediss://…` or `unix:///path?db=0`."""
    principal_secret: bytes = field(repr=False)
    credentials_key: bytes = field(repr=False)
    """Opens the provider keys that the control plane sealed for the gateways; 32 bytes."""
    spool_dir: Path

    console_url: str = ""
    """Where keys are asked about while Redis is away; empty = nowhere."""
    control_feed_secret: bytes = field(default=b"", repr=False)
    """Signs what is asked there."""
    control_feed_seconds: float = 10.0
    """How often, then."""

    metrics_host: str = "127.0.0.1"
    reuse_port: bool = False
    trusted_proxies: tuple[str, ...] = ()
    """Networks in CIDR form whose `x-forwarded-for` is believed."""

    pages: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Static HTML by path, served without a key."""

    request_timeout_seconds: float = 120.0
    header_timeout_seconds: float = 10.0
    body_idle_timeout_seconds: float = 30.0
    write_stall_timeout_seconds: float = 60.0
    keep_alive_seconds: float = 75.0
    connect_timeout_seconds: float = 2.0
    header_limit_bytes: int = 16 * KIB
    buffered_answer_limit_bytes: int = MIB
    """Answers up to this size leave in one write after settle; longer ones stream."""
    model_answer_limit_bytes: int = 64 * MIB
    """Answers of a model that are not streamed may have this size; longer ones are a provider's fault."""
    stream_heartbeat_seconds: float = 15.0
    """After so much silence a stream gets a comment, so that nothing on the way takes it for dead."""
    backend_connections_limit: int = 1024
    """To one backend."""
    provider_connections_limit: int = 16_384
    """To one provider: each open stream takes one."""

    realtime_ping_seconds: float = 20.0
    """After so much silence of a side of a realtime session it is pinged; after as much again it counts as dead."""
    realtime_idle_seconds: float = 900.0
    """So long a realtime session may go on without a message."""
    realtime_session_seconds: float = 3600.0
    """So long it may last in all: its key is not looked at again meanwhile."""

    redis_timeout_seconds: float = 0.25
    lease_seconds: float = 30.0
    snapshot_fresh_seconds: float = 30.0
    snapshot_stale_seconds: float = 600.0
    snapshot_entries_limit: int = 50_000

    cache_entry_limit_bytes: int = MIB
    """Answers up to this size are kept in the response cache."""
    cache_tenant_limit_bytes: int = 64 * MIB
    """What one tenant's response cache may hold in Redis; what ends first makes room."""

    processes: int = 1
    """How many gateway processes share the load: while Redis is away each enforces its part of a rate."""
    outage_allowance_floor: int = 10
    outage_allowance_per_mille: int = 1
    """Requests with a quota that one process admits per tenant and outage: max(floor, per mille of the quota)."""
    outage_money_per_mille: int = 10
    """Of what was last known to be left of a hard ceiling, what all processes together may spend in an outage."""

    drain_notice_seconds: float = 1.0
    """How long a gateway that ends is not ready and still takes connections."""
    open_requests_limit: int = 20_000
    """Requests and streams that one process may have open; more are shed."""
    lag_check_seconds: float = 0.05
    """How often the lateness of the event loop is measured."""

    slow_request_seconds: float = 1.0
    """Requests that take longer are logged."""
    keep_slow_requests: bool = True
    """Whether they, and those that failed, are kept in Redis for the operator."""
