"""Slow and failed traces, as waterfalls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from redis import RedisError
from redis.asyncio import Redis

from omni.foundation.slow_traces import slow_traces
from omni.portal.ui.charts import WIDTH, figure
from omni.telemetry.slow_traces import Trace, TraceSpan

SHOWN = 20
ROW = 20
"""Height of a span, in units of the drawing."""
_LEAST_BAR = 2.0


class Traces(Protocol):
    async def slow(self) -> tuple[Sequence[Trace], str]:
        """The newest first, and why there may be none; never raises."""


class RedisTraces:
    """Those that the processes keep in Redis; None = the console knows of no Redis."""

    def __init__(self, client: Redis | None) -> None:
        self._redis = client

    async def slow(self) -> tuple[Sequence[Trace], str]:
        if self._redis is None:
            return [], "Slow traces are kept in Redis: set OMNI_REDIS_URL for the console to see them."
        try:
            return await slow_traces(self._redis, SHOWN), ""
        except RedisError:
            return [], "Redis does not answer, and slow traces are kept there."

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()


@dataclass(frozen=True, slots=True)
class Bar:
    """A span, drawn."""

    x: float
    width: float
    y: int
    indent: int
    failed: bool
    name: str
    process: str
    duration: str
    detail: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A trace and its spans, below one another."""

    trace: Trace
    duration: str
    height: int
    bars: Sequence[Bar]


def waterfall(trace: Trace) -> Waterfall:
    """Drawn `WIDTH` units wide, from the first to the last end."""
    length = max((span.offset_ms + span.duration_ms for span in trace.spans), default=0.0) or 1.0
    bars = [_bar(span, number, length) for number, span in enumerate(trace.spans)]
    return Waterfall(trace, figure(trace.duration_ms / 1000, "seconds"), ROW * len(bars), bars)


def _bar(span: TraceSpan, number: int, length: float) -> Bar:
    width = max(span.duration_ms / length * WIDTH, _LEAST_BAR)
    return Bar(
        min(span.offset_ms / length * WIDTH, WIDTH - width),
        width,
        number * ROW,
        min(span.depth, 8),
        span.status == "error",
        span.name,
        span.process,
        figure(span.duration_ms / 1000, "seconds"),
        ", ".join(f"{name}={value}" for name, value in span.attributes.items()),
    )
