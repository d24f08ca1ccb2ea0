"""A whole platform for a benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson

from omni.apps.embedded.launch import free_port

COMMAND = (sys.executable, "-m", "omni.apps.cli.main")


@contextmanager
def platform_up(home: Path) -> Iterator[dict[str, Any]]:
    """`omni up` on free ports, until the end; what its run.json says."""
    environment = {
        **os.environ,
        "OMNI_HOME": str(home),
        "OMNI_GATEWAY_PORT": str(free_port()),
        "OMNI_CONSOLE_PORT": str(free_port()),
    }
    process = subprocess.Popen([*COMMAND, "up"], env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    run_file = home / "run.json"
    try:
        while not run_file.exists():
            if process.poll() is not None:
                raise RuntimeError(f"omni up ended with {process.returncode}")
            time.sleep(0.05)
        yield orjson.loads(run_file.read_bytes())
    finally:
        process.terminate()
        process.wait(60)


def log_in(found: dict[str, Any]) -> dict[str, str]:
    """The header of a session of the operator."""
    access = found["bootstrap"]
    body = {"email": access["operator_email"], "password": access["operator_password"]}
    answer = httpx2.post(f"{found['console']}/api/auth/login", json=body, trust_env=False)
    return {"authorization": f"Bearer {answer.raise_for_status().json()['session_token']}"}
