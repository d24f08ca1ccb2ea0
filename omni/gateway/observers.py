"""What the pipeline tells of the requests that it served, and to whom."""

from __future__ import annotations

from dataclasses import dataclass

from omni.gateway.logs import Logger
from omni.gateway.metrics import GatewayMetrics
from omni.telemetry.spans import RequestSpans


@dataclass(frozen=True, slots=True)
class Observers:
    """Metrics, logs and, where traces are exported, spans."""

    metrics: GatewayMetrics
    logger: Logger
    spans: RequestSpans | None
