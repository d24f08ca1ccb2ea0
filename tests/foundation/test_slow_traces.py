"""The store of failed and slow traces: what is kept, how it is put together, and that it stays small and silent."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator, Sequence

import pytest
import redis.asyncio
from prometheus_client import CollectorRegistry

from omni.contracts.redis_names import SLOW_TRACE_PREFIX, SLOW_TRACES, slow_trace
from omni.foundation import slow_traces as module
from omni.foundation.slow_traces import SCRIPT, SlowTraceWriter, find_trace, slow_traces
from omni.telemetry.finished import FinishedSpan, Kind
from omni.telemetry.slow_traces import (
    KEEP_SECONDS,
    PARTS_LIMIT,
    PARTS_PER_SECOND,
    SPANS_LIMIT,
    TRACES_LIMIT,
    script_arguments,
    to_part,
    to_trace,
)
from omni.telemetry.traces import Tracing
from omni.testing.traces import KeptSpans

MS = 1_000_000
NOW = 1_790_000_000_000 * MS
ids = itertools.count(1)


def span(
    name: str, start_ms: int, end_ms: int, *, below: FinishedSpan | None = None, trace_id: int = 7,
    kind: Kind = "server", failed: bool = False,
) -> FinishedSpan:  # fmt: skip
    parent_id = below.span_id if below else None
    attributes = {"error.type": "boom"} if failed else {}
    return FinishedSpan(
        trace_id, next(ids), parent_id, True, name, kind, NOW + start_ms * MS, NOW + end_ms * MS, failed, attributes
    )


def counts(registry: CollectorRegistry) -> tuple[float, float]:
    """Parts kept and dropped."""
    kept, dropped = (registry.get_sample_value("omni_slow_traces_total", {"outcome": o}) for o in ("kept", "dropped"))
    assert kept is not None
    assert dropped is not None
    return kept, dropped


def write(url: str, process: str, *parts: Sequence[FinishedSpan]) -> tuple[float, float]:
    registry = CollectorRegistry()
    writer = SlowTraceWriter(url, process, registry)
    for part in parts:
        writer.keep(part)
    writer.close()
    return counts(registry)


async def test_the_parts_of_all_processes_are_one_waterfall(redis_url: str, redis_client: redis.asyncio.Redis) -> None:
    gateway = span("POST /v1/embeddings", 0, 1500)
    backend = span("POST /v1/embeddings", 10, 1490, below=gateway)
    first = span("SELECT keys", 20, 30, below=backend, kind="client")
    second = span("INSERT outbox", 40, 50, below=backend, kind="client")
    task = span("process billing.run", 2000, 2300, below=backend, kind="consumer", failed=True)
    assert write(redis_url, "tasks", [task]) == (1, 0)
    assert write(redis_url, "backend", [backend, second, first]) == (1, 0)
    assert write(redis_url, "gateway", [gateway]) == (1, 0)
    [trace] = await slow_traces(redis_client)
    assert [(each.process, each.name, each.depth, each.offset_ms, each.duration_ms) for each in trace.spans] == [
        ("gateway", "POST /v1/embeddings", 0, 0, 1500),
        ("backend", "POST /v1/embeddings", 1, 10, 1480),
        ("backend", "SELECT keys", 2, 20, 10),
        ("backend", "INSERT outbox", 2, 40, 10),
        ("tasks", "process billing.run", 2, 2000, 300),
    ]
    assert (trace.trace_id, trace.name, trace.status, trace.duration_ms) == (
        f"{7:032x}", "POST /v1/embeddings", "error", 1500,
    )  # fmt: skip
    assert trace.started_at.timestamp() == NOW / 1e9
    assert trace.spans[-1].attributes == {"error.type": "boom"}
    assert await find_trace(redis_client, trace.trace_id) == trace
    assert await find_trace(redis_client, f"{8:032x}") is None


async def test_newest_or_slowest_first(redis_url: str, redis_client: redis.asyncio.Redis) -> None:
    parts = [[span(f"GET /{n}", n * 10, n * 10 + took, trace_id=n)] for n, took in ((1, 1200), (2, 5000), (3, 4000))]
    write(redis_url, "console", *parts)
    assert [trace.name for trace in await slow_traces(redis_client)] == ["GET /2", "GET /3", "GET /1"]
    quick = [[span(f"GET /{n}", 90_000 + n, 90_001 + n, trace_id=n, failed=True)] for n in (4, 5)]
    write(redis_url, "console", *quick)
    assert [trace.name for trace in await slow_traces(redis_client, 2)] == ["GET /5", "GET /4"]
    assert [trace.name for trace in await slow_traces(redis_client, 2, "slowest")] == ["GET /2", "GET /3"]
    assert await slow_traces(redis_client, 0) == []


async def test_it_stays_small(redis_url: str, redis_client: redis.asyncio.Redis) -> None:
    script = redis_client.register_script(SCRIPT)

    async def keep(part: FinishedSpan) -> None:
        arguments = script_arguments(SLOW_TRACE_PREFIX, part, to_part("tasks", [part]))
        await script(keys=[SLOW_TRACES, slow_trace(f"{part.trace_id:032x}")], args=arguments)

    for number in range(1, TRACES_LIMIT + 21):
        await keep(span("GET /", number, number + 1, trace_id=number))
    assert await redis_client.zcard(SLOW_TRACES) == TRACES_LIMIT
    assert await redis_client.dbsize() == TRACES_LIMIT + 1
    assert await find_trace(redis_client, f"{20:032x}") is None
    assert await find_trace(redis_client, f"{21:032x}") is not None
    for number in range(PARTS_LIMIT + 5):
        await keep(span("GET /", number, 1000 + number, trace_id=100))
    one = await find_trace(redis_client, f"{100:032x}")
    assert one is not None
    assert len(one.spans) == PARTS_LIMIT
    assert 0 < await redis_client.ttl(slow_trace(one.trace_id)) <= KEEP_SECONDS
    assert 0 < await redis_client.ttl(SLOW_TRACES) <= KEEP_SECONDS
    await keep(span("GET /", 0, (KEEP_SECONDS + 3600) * 1000, trace_id=9999))
    assert await redis_client.zcard(SLOW_TRACES) == 1, "what has expired is no longer in the index"


def test_a_part_keeps_its_root_what_failed_and_what_took_longest() -> None:
    root = span("POST /", 0, 9000)
    steps = [span(f"SELECT t{n}", n, 2 * n, below=root, kind="client") for n in range(200)]
    failed = span("INSERT t", 1, 1, below=root, kind="client", failed=True)
    trace = to_trace("a" * 32, [to_part("backend", [root, *steps, failed])])
    assert trace is not None
    names = [each.name for each in trace.spans]
    assert len(names) == SPANS_LIMIT
    assert {"POST /", "INSERT t", "SELECT t199", "SELECT t138"} <= set(names)
    assert "SELECT t137" not in names
    assert trace.status == "ok", "a statement that failed is not the request's failure"
    assert to_trace("a" * 32, []) is None


def test_too_many_are_dropped_and_counted(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    kept, dropped = write(redis_url, "tasks", *([span("GET /", 0, 1)] for _ in range(PARTS_PER_SECOND + 3)))
    assert (kept, dropped) == (PARTS_PER_SECOND, 3)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_a_redis_that_is_away_or_silent_costs_nothing(silent_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT_SECONDS", 0.2)
    assert write("redis://127.0.0.1:1/0", "tasks", [span("GET /", 0, 1)]) == (0, 1)
    registry = CollectorRegistry()
    writer = SlowTraceWriter(silent_server, "tasks", registry)
    started = time.perf_counter()
    for _ in range(5):
        writer.keep([span("GET /", 0, 1)])
    assert time.perf_counter() - started < 0.1
    writer.close()
    assert time.perf_counter() - started < 4


def test_what_failed_or_was_slow_is_kept_and_nothing_else() -> None:
    kept = KeptSpans()
    quick, slow = Tracing("backend", "1", None, keeper=kept), Tracing("backend", "1", None, keeper=kept, slow_seconds=0)
    for status, route in ((200, "/v1/models"), (404, "/v1/models"), (503, "/readyz")):
        with quick.server_span("GET", "") as one:
            one.finish_http("GET", route, status)
        assert one.kept_trace_id == ""
    assert kept.parts == []
    with quick.server_span("GET", f"00-{'a' * 32}-{'b' * 16}-00") as one:
        one.finish_http("GET", "/v1/models", 502)
    assert one.kept_trace_id == "a" * 32
    with pytest.raises(ValueError, match="a card number"), quick.task_span("billing.run", None):
        raise ValueError("a card number")
    with slow.server_span("GET", "") as one:
        one.finish_http("GET", "/v1/slow", 200)
    roots = [part[0] for part in kept.parts]
    assert [(root.name, root.kind, root.is_error) for root in roots] == [
        ("GET /v1/models", "server", True), ("process billing.run", "consumer", True),
        ("GET /v1/slow", "server", False),
    ]  # fmt: skip
    assert (roots[0].trace_id, roots[0].parent_id) == (int("a" * 32, 16), int("b" * 16, 16))
    assert roots[1].attributes == {"error.type": "ValueError"}
