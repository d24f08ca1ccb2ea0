"""What the pipeline tells of the requests that it served, and to whom."""

from __future__ import annotations

from dataclasses import dataclass

from omni.gateway.logs import Logger
from omni.gateway.metrics import GatewayMetrics
from omni.gateway.slow_requests import SlowRequests
from omni.telemetry.spans import RequestSpans


@dataclass(frozen=True, slots=True)
class Observers:
    """Metrics, logs; spans where traces are exported; the store of slow requests where they are kept."""

    metrics: GatewayMetrics
    logger: Logger
    spans: RequestSpans | None
    slow_requests: SlowRequests | None = None
