"""Usage events on disk while Redis cannot take them: one a line, fsynced before anyone relies on it.

A line is `{"event": …, "settle": […]}` with the arguments of the call that settles it, or a bare event, which only
counts in PostgreSQL.

Each process writes a file of its own and holds a lock on it; a file without a lock was a dead process's and is adopted.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
from prometheus_client import Gauge

from omni.contracts.usage import UsageEvent
from omni.gateway.logs import Logger
from omni.gateway.redis.resp import Argument

_SUFFIX = ".jsonl"
_REPLAY_BATCH = 100

Send = Callable[[UsageEvent, bytes, "list[Argument] | None"], Awaitable[None]]
"""Settles one event, given as it is, as JSON, and with the call's arguments. Raises SpoolSendFailed."""


class Spool:
    """Append-only files in one folder. Many events share one fsync; disk work runs in a thread of its own."""

    def __init__(self, folder: Path, gauge: Gauge, logger: Logger) -> None:
        self._folder = folder
        self._gauge = gauge
        self._logger = logger
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="gateway-spool")
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._file: int | None = None
        self._path: Path | None = None
        self._closed_files: list[tuple[Path, int]] = []
        self._replaying = asyncio.Lock()

    async def open(self) -> None:
        """Makes the folder and adopts what dead processes left."""
        self._folder.mkdir(parents=True, exist_ok=True)
        await self._run(self._adopt)

    async def append(self, event: bytes, settle: Sequence[Argument]) -> None:
        """Returns when the event and the arguments of its settlement are on disk. Raises OSError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        texts = [part.decode("utf-8") if isinstance(part, bytes) else part for part in settle]
        self._waiting.append((orjson.dumps({"event": orjson.Fragment(event), "settle": texts}), future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_waiting(), name="gateway-spool")
        await future

    async def replay(self, send: Send) -> bool:
        """Sends every spooled event; a file goes when all of it is acknowledged. Returns whether nothing is left."""
        async with self._replaying:
            await self._run(self._adopt)
            await self._run(self._rotate)
            while self._closed_files:
                path, descriptor = self._closed_files[0]
                if not await self._replay_file(path, send):
                    return False
                self._closed_files.pop(0)
                path.unlink()
                os.close(descriptor)
            return True

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer
        await self._run(self._rotate)
        for _, descriptor in self._closed_files:
            os.close(descriptor)
        self._closed_files.clear()
        self._executor.shutdown(wait=False)

    async def _run(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            lines = b"".join(event + b"\n" for event, _ in batch)
            error: OSError | None = None
            try:
                await asyncio.get_running_loop().run_in_executor(self._executor, self._write, lines)
            except OSError as raised:
                error = raised
                self._logger.error("spool_write_failed", error=repr(raised), events=len(batch))
            else:
                self._gauge.inc(len(batch))
            for _, future in batch:
                if not future.done():
                    if error is None:
                        future.set_result(None)
                    else:
                        future.set_exception(error)
        self._writer = None

    def _write(self, lines: bytes) -> None:
        if self._file is None:
            self._path, self._file = self._create()
        size = os.fstat(self._file).st_size
        try:
            view = memoryview(lines)
            while view:
                view = view[os.write(self._file, view) :]
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, size)  # half a line would spoil the next one
            raise

    def _create(self) -> tuple[Path, int]:
        while True:
            path = self._folder / f"{os.getpid()}-{uuid.uuid4().hex}{_SUFFIX}"
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                break
            os.close(descriptor)  # another process took the empty file for a dead one's before it was locked
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return path, descriptor

    def _rotate(self) -> None:
        if self._file is not None and self._path is not None:
            self._closed_files.append((self._path, self._file))
            self._file = self._path = None

    def _adopt(self) -> None:
        known = {path for path, _ in self._closed_files} | {self._path}
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if path in known:
                continue
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            if os.fstat(descriptor).st_nlink == 0:  # its owner finished it between our open and our lock
                os.close(descriptor)
                continue
            self._closed_files.append((path, descriptor))
            self._gauge.inc(path.read_bytes().count(b"\n"))
            self._logger.info("spool_adopted", file=path.name)

    async def _replay_file(self, path: Path, send: Send) -> bool:
        lines = (await asyncio.to_thread(path.read_bytes)).split(b"\n")
        torn = lines.pop()
        if torn:
            self._logger.warning("spool_torn_line", file=path.name)
        for start in range(0, len(lines), _REPLAY_BATCH):
            sends = [self._send_line(line, path, send) for line in lines[start : start + _REPLAY_BATCH]]
            if not all(await asyncio.gather(*sends)):
                return False
        self._gauge.dec(len(lines))
        return True

    async def _send_line(self, line: bytes, path: Path, send: Send) -> bool:
        try:
            event, event_json, settle = _read_line(line)
        except (ValueError, KeyError, TypeError):
            self._logger.error("spool_line_rejected", file=path.name, line=line[:500])
            await asyncio.to_thread(_reject, path.with_suffix(".rejected"), line)
            return True
        try:
            await send(event, event_json, settle)
        except SpoolSendFailed:
            return False
        return True


def _read_line(line: bytes) -> tuple[UsageEvent, bytes, list[Argument] | None]:
    row = orjson.loads(line)
    if "settle" not in row:
        return UsageEvent.from_json(line), line, None
    event_json = orjson.dumps(row["event"])
    return UsageEvent.from_json(event_json), event_json, row["settle"]


def _reject(path: Path, line: bytes) -> None:
    with path.open("ab") as rejected:
        rejected.write(line + b"\n")


class SpoolSendFailed(Exception):
    """Redis did not take the event; it stays on disk."""
