"""Two thousand open streams of twenty chunks a second each: straight from the mock provider, through nginx that looks
at nothing, and through the gateway.

Where core 0 cannot pass on so many chunks the time to the first byte is that of a queue; chunks per second of CPU say
how far it is from that.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.gateway import sides
from bench.gateway.bars import bar
from bench.gateway.stream_load import STREAMS
from omni.apps.embedded.launch import free_port

_DRIVER = "import sys, uvloop; from bench.gateway.stream_load import main; uvloop.run(main(int(sys.argv[1])))"


def measure(stack: ExitStack, folder: Path, redis_port: int) -> list[dict[str, Any]]:
    """The bars of streams."""
    port = free_port()
    command = [sys.executable, "-c", _DRIVER, str(port)]
    driver = subprocess.Popen(
        ["taskset", "-c", sides.LOAD_CORE, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stack.callback(driver.wait, 10)
    stack.callback(driver.terminate)
    assert driver.stdin is not None
    assert driver.stdout is not None
    sides.wait_for_port(port)
    key = sides.publish(redis_port, port)
    gateway = sides.start_gateway(stack, folder, redis_port, key)
    proxy = sides.start_proxy(stack, folder, port)
    direct, rows = sides.Side("direct", port, "none"), {}
    for side in (direct, proxy, gateway):
        cpu = sides.cpu_seconds(side.pids)
        driver.stdin.write(json.dumps({"port": side.port, "key": side.key}) + "\n")
        driver.stdin.flush()
        row = rows[side.name] = json.loads(driver.stdout.readline())
        row["per_cpu_second"] = row["chunks"] / max(sides.cpu_seconds(side.pids) - cpu, 0.01)
    ours, theirs = rows["gateway"], rows["nginx"]

    def added(row: dict[str, Any], name: str) -> float:
        return float(row[name] - rows["direct"][name])

    name = f"{STREAMS} streams of 20 chunks/s"
    return [
        bar(f"{name}: added time to first byte, p99", added(ours, "p99_ms"), "ms", 5.0, at_least=False),
        bar(f"{name}: added time to first byte, median", added(ours, "p50_ms"), "ms", None, at_least=False),
        bar(f"{name}: memory", sides.memory_mb(gateway.pids[0]), "MB", 150.0, at_least=False),
        bar(f"{name}: broken", ours["broken"], "1", 0, at_least=False),
        bar("chunks per second of the gateway's CPU", ours["per_cpu_second"], "1/s", None, at_least=True),
        bar(f"nginx, {name}: added time to first byte, p99", added(theirs, "p99_ms"), "ms", None, at_least=False),
        bar(f"nginx, {name}: broken", theirs["broken"], "1", None, at_least=False),
        bar("chunks per second of nginx's CPU", theirs["per_cpu_second"], "1/s", None, at_least=True),
    ]
