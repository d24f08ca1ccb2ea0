"""Gateway processes of a test: started, drained, killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from omni.apps.embedded.launch import free_port
from tests.gateway.support import ask, eventually

START_SECONDS = 15.0


class Fleet:
    """Processes by number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def launch(
        self, redis_url: str, backend_url: str, port: int | None = None, drain_seconds: float = 5.0, **settings: Any
    ) -> tuple[subprocess.Popen[bytes], int]:
        """A process and its port; it may not listen yet."""
        port = port or free_port()
        row = {
            "redis_url": redis_url, "backend_url": backend_url, "port": port,
            "spool_dir": str(self._folder / "spool"), **settings,
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bars.serve", orjson.dumps(row).decode(), str(drain_seconds)],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        self._processes.append(process)
        return process, port

    async def upstream(self) -> tuple[subprocess.Popen[bytes], str]:
        """A backend and provider in a process, and its URL."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bars.upstream"],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.PIPE,
        )
        self._processes.append(process)
        assert process.stdout is not None
        url = await asyncio.get_running_loop().run_in_executor(None, process.stdout.readline)
        return process, url.decode().strip()

    async def start(self, redis_url: str, backend_url: str, **settings: Any) -> tuple[subprocess.Popen[bytes], int]:
        """A process that is ready, and its port."""
        process, port = self.launch(redis_url, backend_url, **settings)
        await ready(port)
        return process, port

    def kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()


async def ready(port: int) -> None:
    """Returns when a gateway at this port is ready."""

    async def is_ready() -> bool:
        try:
            return (await ask(port, "GET", "/readyz")).status == 200
        except (OSError, EOFError):
            return False

    await eventually(is_ready, START_SECONDS)
