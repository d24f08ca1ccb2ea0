"""Load on one side: closed loop for throughput, open loop for latency."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from bench.gateway.sides import CHAT_PATH, HERE, LOAD_CORE, REQUEST, Side, cpu_seconds

CONNECTIONS = 64
_BODY = json.dumps(REQUEST, separators=(",", ":"))
_WRK = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {key}"
wrk.body = [[{body}]]
done = function(summary, latency, _)
  local errors = summary.errors
  io.write(string.format('{{"rps": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}}\\n',
    summary.requests * 1e6 / summary.duration, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""


def throughput(side: Side, folder: Path, seconds: int) -> dict[str, float]:
    """As many requests as 64 connections get answered; `rps_per_core` is by CPU that the side used."""
    script = folder / f"{side.name}.lua"
    script.write_text(_WRK.format(key=side.key, body=_BODY))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script), side.url]
    cpu, begun = cpu_seconds(side.pids), time.monotonic()
    done = subprocess.run(["taskset", "-c", LOAD_CORE, *command], capture_output=True, text=True, check=True)
    cores = (cpu_seconds(side.pids) - cpu) / (time.monotonic() - begun)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**row, "cores": cores, "rps_per_core": row["rps"] / max(cores, 0.05)}


def build_open_loop(folder: Path) -> Path:
    """Compiles open_loop.c."""
    binary = folder / "open_loop"
    subprocess.run(["cc", "-O2", "-o", str(binary), str(HERE / "open_loop.c")], check=True)
    return binary


def latency(side: Side, open_loop: Path, rate: int, seconds: int) -> dict[str, float]:
    """Milliseconds from when each request was due, at a steady rate."""
    command = [
        str(open_loop), "-p", str(side.port), "-r", str(rate), "-d", str(seconds), "-w", "1", "-c", str(CONNECTIONS),
        "-u", CHAT_PATH, "-b", _BODY, "-H", f"Authorization: Bearer {side.key}",
    ]  # fmt: skip
    done = subprocess.run(
        ["taskset", "-c", LOAD_CORE, *command], capture_output=True, text=True, check=True, timeout=seconds + 30
    )
    row: dict[str, float] = json.loads(done.stdout)
    return row
