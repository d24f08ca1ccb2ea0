"""The gateway alone on core 0, with everything on: key check, admit and settle in Redis, usage event, metrics.

wrk, a mock backend (nginx) and Redis run on core 1. `rps_per_core` is requests/s by CPU used, so that a busy second
core does not hide the gateway's own cost. The key check is timed call by call in this process; idle memory is that of
`omni serve gateway` before its first request. Run it with `python -m bench.gateway`; needs wrk, nginx and taskset.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis

from omni.apps.embedded.redis import find_binary
from omni.contracts import redis_names
from omni.contracts.endpoints import ENDPOINTS
from omni.contracts.snapshots import KeySnapshot, PlanSnapshot, TenantSnapshot
from omni.gateway.access.auth import Authenticator, check_caller
from omni.gateway.admission.limits import Scripts
from omni.gateway.app import serve
from omni.gateway.config import GatewayConfig
from omni.gateway.edge.routes import Routes
from omni.gateway.redis.client import RedisClient
from omni.kit.ids import mint_secret

RPS_PER_CORE_BAR = 5_000.0
KEY_CHECK_P99_BAR_MICROS = 200.0
IDLE_MEMORY_BAR_MB = 80.0
KEY_CHECKS = 100_000
CONNECTIONS = 64
WARM_UP_SECONDS = 2
ROUND_SECONDS = 4
ROUNDS = 3
GATEWAY_CORE, LOAD_CORE = "0", "1"

_EMBEDDING = {"object": "embedding", "index": 0, "embedding": [round(0.001 * i, 3) for i in range(64)]}
_ANSWER = json.dumps({"object": "list", "model": "mock", "data": [_EMBEDDING], "usage": {"prompt_tokens": 9}})
_NGINX = """
worker_processes 1; daemon off; error_log {folder}/nginx.err warn; pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_timeout 600s; keepalive_requests 100000000; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    add_header omni-usage "input_tokens=9, compute_ms=3"; add_header omni-model "mock";
    location / {{ return 200 '{answer}'; }}
  }}
}}
"""
_WRK = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {key}"
wrk.body = '{{"model":"mock","input":"A gateway adds as little as it can to each call."}}'
done = function(summary, latency, _)
  local errors = summary.errors
  io.write(string.format('{{"rps": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}}\\n',
    summary.requests * 1e6 / summary.duration, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class _Quiet:
    """A logger that shows warnings and errors only."""

    def info(self, event: str, /, **values: Any) -> None:
        pass

    def warning(self, event: str, /, **values: Any) -> None:
        print(event, values, file=sys.stderr)

    error = warning


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _start(stack: ExitStack, core: str, *command: str, **settings: str) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | settings
    process = subprocess.Popen(["taskset", "-c", core, *command], env=environment, stdout=subprocess.DEVNULL)

    def stop() -> None:
        process.terminate()
        process.wait(10)

    stack.callback(stop)
    return process


def _publish(redis_port: int) -> str:
    """Snapshots of one key on a plan with every limit on, none of which is reached. Returns the key."""
    secret = mint_secret("omni_live_")
    key = KeySnapshot(uuid4(), uuid4(), uuid4(), "live", frozenset(["*"]), (), None, revoked=False)
    plan = PlanSnapshot("bench", 60_000_000, 1_000_000, 1_000_000_000, 10**12, 10**12, 10**12, None)
    client = redis.Redis(port=redis_port)
    client.set(redis_names.key_snapshot(hashlib.sha256(secret.encode()).hexdigest()), key.to_json())
    client.set(
        redis_names.tenant_snapshot(key.tenant_id), TenantSnapshot(key.tenant_id, "bench", active=True).to_json()
    )
    client.set(redis_names.plan_snapshot("bench"), plan.to_json())
    client.set(redis_names.SNAPSHOTS_READY, 1)
    for partition in range(redis_names.PARTITIONS):
        client.set(redis_names.counters_ready(partition), 1)
    client.close()
    return secret


def _config(ports: Sequence[int], spool_dir: Path) -> GatewayConfig:
    """`ports`: of the gateway, its metrics, Redis, the backend."""
    port, metrics_port, redis_port, backend_port = ports
    return GatewayConfig(
        host="127.0.0.1",
        port=port,
        metrics_port=metrics_port,
        backend_urls=(f"http://127.0.0.1:{backend_port}",),
        redis_url=f"redis://127.0.0.1:{redis_port}/0",
        principal_secret=os.urandom(32),
        credentials_key=os.urandom(32),
        spool_dir=spool_dir,
    )


async def _key_check_micros(config: GatewayConfig, secret: str) -> list[float]:
    """What each check of a known key takes, sorted."""
    client = RedisClient(
        config.redis_url,
        Scripts().all(),
        timeout_seconds=config.redis_timeout_seconds,
        on_flush=lambda: None,
        logger=_Quiet(),
    )
    client.start()
    await client.wait_connected(5)
    authenticator = Authenticator(client, config)
    route = Routes(ENDPOINTS).match(b"POST", b"/v1/embeddings")
    credential = secret.encode("ascii")
    await authenticator.look_up(credential)
    nanos = []
    for _ in range(KEY_CHECKS):
        start = time.perf_counter_ns()
        caller = authenticator.cached(credential)
        assert caller is not None
        check_caller(caller, route, None)
        nanos.append(time.perf_counter_ns() - start)
    await client.close()
    return sorted(taken / 1000 for taken in nanos)


def _idle_memory_mb(stack: ExitStack, folder: Path, redis_port: int) -> float:
    """Resident memory of a gateway as operators run it, ready and not yet asked anything."""
    port = _free_port()
    settings = {
        "OMNI_HOME": str(folder / "home"),
        "OMNI_GATEWAY_PORT": str(port),
        "OMNI_METRICS_PORT": str(_free_port()),
        "OMNI_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "OMNI_LOG_LEVEL": "WARNING",
    }
    process = _start(stack, GATEWAY_CORE, sys.executable, "-m", "omni.apps.cli.main", "serve", "gateway", **settings)
    _wait_for_port(port)
    time.sleep(1)
    return _memory_mib(process.pid) * 1.048576


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int) -> float:
    line = next(row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _wrk(script: Path, url: str, seconds: int) -> dict[str, float]:
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    row: dict[str, float] = json.loads(output.splitlines()[-1])
    return row


def _measure(script: Path, url: str, pid: int) -> dict[str, float]:
    _wrk(script, url, WARM_UP_SECONDS)
    rows = []
    for _ in range(ROUNDS):
        cpu, start = _cpu_seconds(pid), time.monotonic()
        row = _wrk(script, url, ROUND_SECONDS)
        row["cores"] = (_cpu_seconds(pid) - cpu) / (time.monotonic() - start)
        row["rps_per_core"] = row["rps"] / max(row["cores"], 0.05)
        rows.append(row)
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    medians["failed"] = sum(row["failed"] for row in rows)
    medians["memory_mib"] = _memory_mib(pid)
    return medians


def run() -> list[dict[str, Any]]:
    """Measures and returns the bars; `bar` is None for figures that are only shown."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis_port, backend_port, port, metrics_port = (_free_port() for _ in range(4))
        volatile = ("--save", "", "--appendonly", "no", "--dir", str(folder))
        _start(stack, LOAD_CORE, find_binary(), "--port", str(redis_port), *volatile)
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=backend_port, answer=_ANSWER))
        _start(stack, LOAD_CORE, "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))
        _wait_for_port(redis_port)
        _wait_for_port(backend_port)
        script = folder / "post.lua"
        secret = _publish(redis_port)
        script.write_text(_WRK.format(key=secret))
        ports = (port, metrics_port, redis_port, backend_port)
        checks = asyncio.run(_key_check_micros(_config(ports, folder / "spool"), secret))
        with ExitStack() as idle:
            idle_memory = _idle_memory_mb(idle, folder, redis_port)
        command = (sys.executable, "-m", "bench.gateway", "--serve", *map(str, ports), str(folder / "spool"))
        gateway = _start(stack, GATEWAY_CORE, *command)
        _wait_for_port(port)
        measured = _measure(script, f"http://127.0.0.1:{port}/v1/embeddings", gateway.pid)
    bars: list[dict[str, Any]] = [
        _bar("rps_per_core", measured["rps_per_core"], "1/s", RPS_PER_CORE_BAR, at_least=True),
        _bar("failed_requests", measured["failed"], "1", 0, at_least=False),
        _bar("key check, warm, p99", _quantile(checks, 0.99), "µs", KEY_CHECK_P99_BAR_MICROS, at_least=False),
        _bar("key check, warm, median", _quantile(checks, 0.5), "µs", None, at_least=False),
        _bar("idle memory per gateway process", idle_memory, "MB", IDLE_MEMORY_BAR_MB, at_least=False),
    ]
    shown = (("rps", "1/s"), ("cores", "1"), ("p50_ms", "ms"), ("p99_ms", "ms"), ("memory_mib", "MiB"))
    return bars + [_bar(name, measured[name], unit, None, at_least=True) for name, unit in shown]


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[int(len(ordered) * share)]


def _bar(name: str, value: float, unit: str, bar: float | None, *, at_least: bool) -> dict[str, Any]:
    met = bar is None or (value >= bar if at_least else value <= bar)
    return {"name": name, "value": round(value, 3), "unit": unit, "bar": bar, "met": met}


def _serve(ports: list[str], spool_dir: str) -> None:
    import uvloop  # noqa: PLC0415 - only the process under test needs it
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    config = _config([int(p) for p in ports], Path(spool_dir))

    async def serve_here() -> None:
        await serve(config, CollectorRegistry(), _Quiet(), drain_seconds=1)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_here())


def main() -> int:
    """Prints the bars as JSON; 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        _serve(arguments.serve[:4], arguments.serve[4])
        return 0
    bars = run()
    print(json.dumps(bars, indent=1))
    return 0 if all(bar["met"] for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
