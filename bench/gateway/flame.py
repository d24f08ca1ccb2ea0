"""Where a gateway's time goes: a flame graph by py-spy of one worker under full load.

python -m bench.gateway.flame docs/gateway-flame.svg
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.gateway import load, sides

SECONDS = 10
SAMPLES_PER_SECOND = 400
WARM_UP_SECONDS = 2
TITLE = "One gateway worker under full load, chat completions, everything on"


def record(svg: Path) -> None:
    """Writes the flame graph to `svg`; raises CalledProcessError when py-spy may not look at the worker."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = sides.start_upstream(stack, folder)
        redis_port = sides.start_redis(stack, folder)
        key = sides.publish(redis_port, upstream.port)
        seen = {"OMNI_COMPILED": "false"}  # py-spy sees Python's functions only
        gateway = sides.start_gateway(stack, folder, redis_port, key, environment=seen)
        sides.wait_for_answer(gateway)
        load.throughput(gateway, folder, WARM_UP_SECONDS)
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--function", "--gil"]
        command += ["--format", "flamegraph", "--output", str(svg), "--pid", str(gateway.pids[0])]
        command += ["--duration", str(SECONDS), "--rate", str(SAMPLES_PER_SECOND)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as recorder:
            load.throughput(gateway, folder, SECONDS + WARM_UP_SECONDS)
        if recorder.returncode:
            raise subprocess.CalledProcessError(recorder.returncode, command)
    drawn = svg.read_text()
    svg.write_text(re.sub(r"[^>]*py-spy record[^<]*", TITLE, drawn))


if __name__ == "__main__":
    record(Path(sys.argv[1]))
