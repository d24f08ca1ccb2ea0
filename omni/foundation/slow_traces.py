"""Traces that failed or were slow, in Redis: written by a thread that nobody waits for, read for operators."""

from __future__ import annotations

import queue
import threading
from collections.abc import Awaitable, Sequence
from importlib.resources import files
from typing import Literal, cast

import redis
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from omni.contracts.redis_names import SLOW_TRACE_PREFIX, SLOW_TRACES, slow_trace
from omni.telemetry.finished import FinishedSpan
from omni.telemetry.metrics import SlowTraceMetrics
from omni.telemetry.pace import Pace
from omni.telemetry.slow_traces import PARTS_PER_SECOND, TRACES_LIMIT, Trace, script_arguments, to_part, to_trace

SCRIPT = files("omni.telemetry").joinpath("keep_trace.lua").read_text()
_WAITING_LIMIT = 32
_TIMEOUT_SECONDS = 1.0
_CLOSE_SECONDS = 2.0

Order = Literal["newest", "slowest"]


class SlowTraceWriter:
    """Keeps parts of traces. Where Redis is away or slow, or there are too many, they are dropped and counted."""

    def __init__(self, redis_url: str, process: str, registry: CollectorRegistry) -> None:
        self._redis_url = redis_url
        self._process = process
        self._metrics = SlowTraceMetrics(registry)
        self._pace = Pace(PARTS_PER_SECOND)
        self._waiting: queue.Queue[tuple[FinishedSpan, bytes] | None] = queue.Queue(_WAITING_LIMIT)
        self._thread: threading.Thread | None = None

    def keep(self, spans: Sequence[FinishedSpan]) -> None:
        """Takes a part, the root span first. Waits for nothing."""
        if not self._pace.allows():
            self._metrics.dropped.inc()
            return
        try:
            self._waiting.put_nowait((spans[0], to_part(self._process, spans)))
        except queue.Full:
            self._metrics.dropped.inc()
            return
        if self._thread is None:  # in the child where a process forks after it was built
            self._thread = threading.Thread(target=self._write_for_ever, name="slow-traces", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Writes what is waiting, for two seconds at most."""
        if self._thread is not None and self._thread.is_alive():
            try:
                self._waiting.put(None, timeout=_CLOSE_SECONDS)
            except queue.Full:
                return
            self._thread.join(_CLOSE_SECONDS)

    def _write_for_ever(self) -> None:
        client = redis.Redis.from_url(
            self._redis_url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
        )
        script = client.register_script(SCRIPT)
        while (part := self._waiting.get()) is not None:
            root, content = part
            keys = (SLOW_TRACES, slow_trace(f"{root.trace_id:032x}"))
            try:
                kept = script(keys=keys, args=script_arguments(SLOW_TRACE_PREFIX, root, content))
            except (redis.RedisError, OSError):
                kept = 0
            (self._metrics.kept if kept else self._metrics.dropped).inc()
        client.close()


async def slow_traces(client: Redis, limit: int = 50, order: Order = "newest") -> list[Trace]:
    """Up to `limit` traces, the newest or the slowest first. Raises redis.RedisError."""
    wanted = limit if order == "newest" else TRACES_LIMIT
    newest = cast("list[bytes]", await client.zrevrange(SLOW_TRACES, 0, wanted - 1)) if wanted > 0 else []
    found = [name.decode() for name in newest]
    async with client.pipeline(transaction=False) as pipeline:
        for trace_id in found:
            pipeline.hvals(slow_trace(trace_id))
        parts = await pipeline.execute()
    traces = [trace for trace in map(to_trace, found, parts) if trace is not None]
    if order == "slowest":
        traces.sort(key=lambda trace: trace.duration_ms, reverse=True)
    return traces[:limit]


async def find_trace(client: Redis, trace_id: str) -> Trace | None:
    """One trace by its id, as logs name it; None when it was not kept. Raises redis.RedisError."""
    return to_trace(trace_id, await cast("Awaitable[list[bytes]]", client.hvals(slow_trace(trace_id))))
