"""What the pipeline tells of the requests that it served, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from omni.gateway.logs import Logger
from omni.gateway.metrics import GatewayMetrics
from omni.telemetry.spans import RequestSpan, RequestSpans

if TYPE_CHECKING:
    from omni.gateway.edge.exchange import Exchange


class SlowStore(Protocol):
    """Keeps requests that failed or were slow. Waits for nothing."""

    def wants(self, exchange: Exchange, seconds: float) -> bool:
        """Whether a request that took so long is kept."""

    def keep(self, exchange: Exchange, span: RequestSpan) -> None: ...


@dataclass(frozen=True, slots=True)
class Observers:
    """Metrics, logs; spans where traces are exported; the store of slow requests where they are kept."""

    metrics: GatewayMetrics
    logger: Logger
    spans: RequestSpans | None
    slow_requests: SlowStore | None = None
