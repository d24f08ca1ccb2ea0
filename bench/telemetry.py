"""What telemetry costs the gateway: traces to a collector, to one that is dead, and metrics that are read.

Gateways that differ in this alone take turns in one run, so that a machine that slows down slows all. Throughput is by
CPU that a gateway used, its exporting thread included.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

from bench.gateway import load, sides
from bench.gateway.bars import bar
from omni.apps.embedded.launch import free_port

WARM_UP_SECONDS = 1
ROUND_SECONDS = 2
ROUNDS = 15
"""Many and short: what else the machine does comes and goes, and the median of the rounds' ratios stays."""
LATENCY_SECONDS = 5
LATENCY_ROUNDS = 5
RATE = 500
COST_BAR, DEAD_BAR, P99_BAR = 0.05, 0.01, 1.0
SCRAPE_SECONDS = 5.0
"""Three times as often as the shipped Prometheus does."""

Row = dict[str, float]


def run() -> list[dict[str, Any]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = sides.start_upstream(stack, folder)
        redis_port = sides.start_redis(stack, folder)
        key = sides.publish(redis_port, upstream.port)
        collector = free_port()
        sides.start(stack, sides.LOAD_CORE, sys.executable, "-m", "bench.gateway.collector", str(collector))
        sides.wait_for_port(collector)
        metrics_ports = free_port(), free_port()
        variants = {
            "off": {"OMNI_SLOW_TRACE_MS": "0"},
            "on": {
                "OMNI_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}", "OMNI_METRICS_PORT": str(metrics_ports[0]),
            },
            "dead": {
                "OMNI_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OMNI_METRICS_PORT": str(metrics_ports[1]),
            },
        }  # fmt: skip
        gateways = {
            name: sides.start_gateway(stack, folder, redis_port, key, environment=settings)
            for name, settings in variants.items()
        }
        for gateway in gateways.values():
            sides.wait_for_answer(gateway)
        with _scraped(metrics_ports):
            rows, latencies = _take_turns(folder, gateways)
    return _bars(rows, latencies)


def _take_turns(folder: Path, gateways: dict[str, sides.Side]) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
    open_loop = load.build_open_loop(folder)
    rows: dict[str, list[Row]] = {name: [] for name in gateways}
    latencies: dict[str, list[Row]] = {name: [] for name in gateways}
    for number in range(ROUNDS):
        turns = list(gateways.items())
        for name, gateway in turns if number % 2 else reversed(turns):
            load.throughput(gateway, folder, WARM_UP_SECONDS)
            rows[name].append(load.throughput(gateway, folder, ROUND_SECONDS))
    for _ in range(LATENCY_ROUNDS):
        for name, gateway in gateways.items():
            latencies[name].append(load.latency(gateway, open_loop, RATE, LATENCY_SECONDS))
    return rows, latencies


def _bars(rows: dict[str, list[Row]], latencies: dict[str, list[Row]]) -> list[dict[str, Any]]:
    def cost(name: str, beside: str) -> float:
        """Share of throughput, the median over the rounds, since what a round is beside has the same noise."""
        pairs = zip(rows[beside], rows[name], strict=True)
        return statistics.median(1 - with_it["rps_per_core"] / without["rps_per_core"] for without, with_it in pairs)

    def p99(name: str) -> float:
        return statistics.median(row["p99"] for row in latencies[name])

    failed = sum(row["failed"] for each in rows.values() for row in each)
    without = statistics.median(row["rps_per_core"] for row in rows["off"])
    return [
        bar("throughput without telemetry", without, "requests/s per core", None, at_least=True),
        bar("cost of traces and of metrics that are read", cost("on", "off"), "1", COST_BAR, at_least=False),
        bar("added p99 at 500 requests/s", p99("on") - p99("off"), "ms", P99_BAR, at_least=False),
        bar("cost of a dead collector, beside a live one", cost("dead", "on"), "1", DEAD_BAR, at_least=False),
        bar("failed requests", failed, "1", 0, at_least=False),
    ]


@contextmanager
def _scraped(ports: tuple[int, ...]) -> Iterator[None]:
    """Metrics are read as Prometheus reads them."""
    stop = threading.Event()

    def read() -> None:
        with httpx2.Client(trust_env=False, timeout=5) as client:
            while not stop.wait(SCRAPE_SECONDS):
                for port in ports:
                    with suppress(httpx2.HTTPError):
                        client.get(f"http://127.0.0.1:{port}/metrics").raise_for_status()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
