"""The gateway beside nginx with Lua, in one run: throughput by core, added latency, scaling, streams, memory, start.

Everything is on in the gateway: key check, rates, quotas, a budget and a wallet held and settled in Redis, the usage
event, metrics. The reference does less: it checks a key, holds a local rate, reads usage and keeps an event in memory.
Rounds alternate, so that a machine that slows down slows both. `rps_per_core` is by CPU that a side used, so that a
busy second core does not hide what a gateway costs.
"""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.gateway import key_check, load, sides
from bench.gateway.bars import bar
from bench.gateway.streams import measure as measure_streams

WARM_UP_SECONDS = 2
ROUND_SECONDS = 4
ROUNDS = 5
RATE = 500
"""Requests a second at which added latency is measured."""
WORKERS = 4
UNCOMPILED = "uncompiled"
"""The gateway as Python runs it; the other is compiled where `make compiled` did that."""
BOTH_CORES = "0,1"

Row = dict[str, Any]


def run() -> list[Row]:
    """Measures and returns the bars; `bar` is None for figures that are only shown."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = sides.start_upstream(stack, folder)
        redis_port = sides.start_redis(stack, folder)
        key = sides.publish(redis_port, upstream.port)
        checks = key_check.micros(redis_port, key, folder)
        with ExitStack() as alone:
            idle, started = sides.measure_start(alone, folder, redis_port, key)
        reference = sides.start_reference(stack, folder, upstream)
        with ExitStack() as one:
            gateway = sides.start_gateway(one, folder, redis_port, key)
            plain = sides.start_gateway(one, folder, redis_port, key, environment={"OMNI_COMPILED": "false"})
            plain = replace(plain, name=UNCOMPILED)
            for side in (gateway, plain):
                sides.wait_for_answer(side)
            rows, latencies = _side_by_side(folder, upstream, (reference, gateway, plain))
            memory = sides.memory_mb(gateway.pids[0])
            crowd = sides.start_gateway(one, folder, redis_port, key, workers=WORKERS, core=BOTH_CORES)
            sides.wait_for_answer(crowd)
            scaling = _scaling(folder, gateway, replace(crowd, name="crowd"))
        streamed = measure_streams(stack, folder, redis_port)
    return [
        *_throughput_bars(rows),
        *_latency_bars(latencies),
        bar(f"scaling of {WORKERS} workers on 2 cores", scaling, "1", 1.7, at_least=True),
        *streamed,
        bar("start to first answer", started, "s", 1.0, at_least=False),
        bar("idle memory per worker", idle, "MB", 80.0, at_least=False),
        bar("memory after load", memory, "MB", None, at_least=False),
        bar("key check, warm, p99", key_check.quantile(checks, 0.99), "µs", 200.0, at_least=False),
        bar("key check, warm, median", key_check.quantile(checks, 0.5), "µs", None, at_least=False),
    ]


def _side_by_side(
    folder: Path, upstream: sides.Side, measured: tuple[sides.Side, ...]
) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
    open_loop = load.build_open_loop(folder)
    rows: dict[str, list[Row]] = {side.name: [] for side in measured}
    latencies: dict[str, list[Row]] = {upstream.name: [], **{name: [] for name in rows}}
    for _ in range(ROUNDS):
        for side in measured:
            load.throughput(side, folder, WARM_UP_SECONDS)
            rows[side.name].append(load.throughput(side, folder, ROUND_SECONDS))
        for side in (upstream, *measured):
            latencies[side.name].append(load.latency(side, open_loop, RATE, ROUND_SECONDS))
    return rows, latencies


def _scaling(folder: Path, one: sides.Side, crowd: sides.Side) -> float:
    """How many times one worker's throughput two cores give: by CPU used, since load and provider need cores too."""
    ratios = []
    for _ in range(ROUNDS):
        alone, together = (_per_core(folder, side) for side in (one, crowd))
        ratios.append(2 * together / alone)
    return statistics.median(ratios)


def _per_core(folder: Path, side: sides.Side) -> float:
    load.throughput(side, folder, WARM_UP_SECONDS)
    return load.throughput(side, folder, ROUND_SECONDS)["rps_per_core"]


def _throughput_bars(rows: dict[str, list[Row]]) -> list[Row]:
    shown = [
        bar(f"{side} {name}", statistics.median(row[name] for row in found), unit, None, at_least=True)
        for side, found in rows.items()
        for name, unit in (("rps", "1/s"), ("cores", "1"), ("p50_ms", "ms"), ("p99_ms", "ms"))
    ]
    per_core = {side: statistics.median(row["rps_per_core"] for row in found) for side, found in rows.items()}
    return [
        bar("rps_per_core", per_core["gateway"], "1/s", 10_000, at_least=True),
        bar("rps_per_core / nginx + Lua's", _ratio(rows, "gateway"), "1", 0.75, at_least=True),
        bar(f"{UNCOMPILED}, rps_per_core", per_core[UNCOMPILED], "1/s", None, at_least=True),
        bar(f"{UNCOMPILED}, rps_per_core / nginx + Lua's", _ratio(rows, UNCOMPILED), "1", None, at_least=True),
        bar("failed_requests", sum(row["failed"] for row in rows["gateway"]), "1", 0, at_least=False),
        bar("reference rps_per_core", per_core["reference"], "1/s", None, at_least=True),
        *shown,
    ]


def _ratio(rows: dict[str, list[Row]], side: str) -> float:
    pairs = zip(rows[side], rows["reference"], strict=True)
    return float(statistics.median(ours["rps_per_core"] / theirs["rps_per_core"] for ours, theirs in pairs))


def _latency_bars(latencies: dict[str, list[Row]]) -> list[Row]:
    def added(side: str, name: str) -> float:
        pairs = zip(latencies[side], latencies["direct"], strict=True)
        return float(statistics.median(with_it[name] - direct[name] for with_it, direct in pairs))

    return [
        bar(f"added p50 at {RATE}/s", added("gateway", "p50"), "ms", 0.7, at_least=False),
        bar(
            f"added p99 at {RATE}/s",
            added("gateway", "p99"),
            "ms",
            round(2 * added("reference", "p99"), 3),
            at_least=False,
        ),
        bar(f"{UNCOMPILED}, added p50 at {RATE}/s", added(UNCOMPILED, "p50"), "ms", None, at_least=False),
        bar(f"{UNCOMPILED}, added p99 at {RATE}/s", added(UNCOMPILED, "p99"), "ms", None, at_least=False),
        bar(f"reference added p50 at {RATE}/s", added("reference", "p50"), "ms", None, at_least=False),
        bar(f"reference added p99 at {RATE}/s", added("reference", "p99"), "ms", None, at_least=False),
    ]
