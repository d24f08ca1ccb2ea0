"""PostgreSQL and Redis of their own for a benchmark or a test run."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omni.apps.embedded.postgres import EmbeddedPostgres
from omni.apps.embedded.redis import EmbeddedRedis


@contextmanager
def running(service: EmbeddedPostgres | EmbeddedRedis, folder: Path) -> Iterator[str]:
    """Its address while it runs."""
    service.prepare()
    command = service.command()
    with (folder / f"{service.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command.arguments,
            env={**os.environ, **command.environment},
            stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    if command.stdin and process.stdin:
        process.stdin.write(command.stdin)
        process.stdin.close()
    try:
        asyncio.run(service.wait_until_ready(30))
        yield service.url
    finally:
        process.send_signal(service.stop_signal)
        process.wait(30)
