"""Requests that failed or were slow, kept in Redis for an operator without a trace backend. Chosen when they are over:
the others pay nothing for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry

from omni.contracts.redis_names import SLOW_TRACE_PREFIX, SLOW_TRACES, slow_trace
from omni.gateway.edge.exchange import Exchange
from omni.gateway.redis.client import RedisClient, Script
from omni.gateway.redis.resp import RedisUnavailable
from omni.gateway.routing.calls import span_of
from omni.telemetry.finished import FinishedSpan, of_call, of_request
from omni.telemetry.metrics import SlowTraceMetrics
from omni.telemetry.pace import Pace
from omni.telemetry.slow_traces import PARTS_PER_SECOND, script_arguments, to_part
from omni.telemetry.spans import RequestSpan

KEEP_TRACE = Script("omni.telemetry", "keep_trace.lua")
_SWITCHED = 101


class SlowRequests:
    """Writes to the store and waits for nothing. What Redis does not take, or is too much, is dropped and counted."""

    def __init__(self, redis: RedisClient, registry: CollectorRegistry, slow_seconds: float) -> None:
        self._redis = redis
        self._metrics = SlowTraceMetrics(registry)
        self._pace = Pace(PARTS_PER_SECOND)
        self._slow_seconds = slow_seconds

    def wants(self, exchange: Exchange, seconds: float) -> bool:
        """Whether a request that took so long is kept. A stream is as slow as its beginning; a session never is."""
        if exchange.route is None:
            return False
        if exchange.status >= 500:
            return True
        if exchange.streaming_since is not None:
            seconds = exchange.streaming_since - exchange.started_at
        return seconds >= self._slow_seconds and exchange.status != _SWITCHED

    def keep(self, exchange: Exchange, span: RequestSpan) -> None:
        """Takes a request that has just ended, and its calls to providers."""
        if not self._pace.allows():
            self._metrics.dropped.inc()
            return
        root = of_request(span)
        arguments = script_arguments(SLOW_TRACE_PREFIX, root, to_part("gateway", [root, *_calls(exchange, span)]))
        try:
            reply = self._redis.eval(KEEP_TRACE, 2, SLOW_TRACES, slow_trace(f"{root.trace_id:032x}"), *arguments)
        except RedisUnavailable:
            self._metrics.dropped.inc()
            return
        asyncio.ensure_future(reply).add_done_callback(self._replied)

    def _replied(self, reply: asyncio.Future[Any]) -> None:
        kept = not reply.cancelled() and reply.exception() is None and reply.result() == 1
        (self._metrics.kept if kept else self._metrics.dropped).inc()


def _calls(exchange: Exchange, span: RequestSpan) -> Iterator[FinishedSpan]:
    operation = exchange.route.operation if exchange.route is not None else None
    if operation is not None:
        now = asyncio.get_running_loop().time()
        for tried in exchange.tried:
            yield of_call(span_of(tried, span, operation, now))
