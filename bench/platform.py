"""The whole platform: ready after, tour, resident memory when idle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import psutil

from omni.apps.embedded.launch import free_port

READY_BAR, TOUR_BAR, MEMORY_BAR = 10.0, 60.0, 900.0
IDLE_SECONDS = 10
COMMAND = (sys.executable, "-m", "omni.apps.cli.main")


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        environment = {
            **os.environ,
            "OMNI_HOME": f"{name}/home",
            "OMNI_GATEWAY_PORT": str(free_port()),
            "OMNI_CONSOLE_PORT": str(free_port()),
        }
        first, _ = _start(environment)
        started = time.perf_counter()
        subprocess.run([*COMMAND, "demo"], env=environment, check=True, stdout=subprocess.DEVNULL)
        cold_engines = time.perf_counter() - started
        started = time.perf_counter()
        subprocess.run([*COMMAND, "demo"], env=environment, check=True, stdout=subprocess.DEVNULL)
        tour = time.perf_counter() - started
        _stop(first)
        again, ready = _start(environment)
        time.sleep(IDLE_SECONDS)
        memory = _resident_megabytes(again)
        _stop(again)
    return [
        _bar("omni up ready, warm", ready, "s", READY_BAR),
        _bar("tour, warm", tour, "s", TOUR_BAR),
        _bar("tour, engines not loaded yet", cold_engines, "s", TOUR_BAR),
        _bar("resident memory of everything, idle (proportional set size)", memory, "MB", MEMORY_BAR),
    ]


def _bar(name: str, value: float, unit: str, ceiling: float) -> dict[str, Any]:
    return {"name": name, "value": round(value, 1), "unit": unit, "bar": ceiling, "met": value <= ceiling}


def _start(environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], float]:
    """The platform and how long it took to get ready."""
    run_file = Path(environment["OMNI_HOME"]) / "run.json"
    started = time.perf_counter()
    process = subprocess.Popen([*COMMAND, "up"], env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    while not run_file.exists():
        if process.poll() is not None:
            raise RuntimeError(f"omni up ended with {process.returncode}")
        time.sleep(0.02)
    orjson.loads(run_file.read_bytes())
    return process, time.perf_counter() - started


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def _resident_megabytes(process: subprocess.Popen[bytes]) -> float:
    """Proportional set size of the supervisor and all below it: shared pages count once."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return float(sum(member.memory_full_info().pss for member in family)) / 1e6
