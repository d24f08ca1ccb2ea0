"""One supervised process: started, waited for until it is ready, started again with growing pauses when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from omni.apps.embedded.launch import Command, StartupError
from omni.apps.supervisor.logs import ProcessLog

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
LONGEST_LINE = 1024 * 1024

log = structlog.stdlib.get_logger("omni.supervisor")


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run and how to tell that it is up."""

    name: str
    command: Callable[[], Command]
    wait_until_ready: Callable[[float], Awaitable[None]]
    """Takes the seconds it may wait; raises TimeoutError."""
    prepare: Callable[[], None] = lambda: None
    """Clears what an earlier run left behind; called before each start."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 30.0
    ready_seconds: float = 60.0


class SupervisedProcess:
    """Keeps one process running until it is told to stop."""

    def __init__(self, spec: ProcessSpec, output: ProcessLog, on_change: Callable[[], None]) -> None:
        self.spec = spec
        self.pid: int | None = None
        self.restarts = 0
        self._output = output
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Returns once it is ready. Raises StartupError when it ends or is not ready in time."""
        await self._spawn()
        ready = asyncio.ensure_future(self._until_ready())
        ended = asyncio.ensure_future(self._wait())
        try:
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise StartupError(f"{self.spec.name} ended with code {ended.result()}: {self._last_words()}")
            try:
                ready.result()
            except TimeoutError as error:
                raise StartupError(f"{self.spec.name} did not get ready: {error}. {self._last_words()}") from error
        finally:
            ready.cancel()
            ended.cancel()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Asks it to end, waits, and kills it when it does not."""
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(self.spec.stop_signal)
            try:
                await asyncio.wait_for(process.wait(), self.spec.stop_seconds)
            except TimeoutError:
                log.error("process_killed", process_name=self.spec.name, after_seconds=self.spec.stop_seconds)
                process.kill()
                await process.wait()
        self.pid = None
        self._output.close()

    async def _spawn(self) -> None:
        await asyncio.to_thread(self.spec.prepare)
        command = self.spec.command()
        self._process = await asyncio.create_subprocess_exec(
            *command.arguments,
            env={**os.environ, **command.environment},
            stdin=asyncio.subprocess.PIPE if command.stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C reaches the supervisor alone, which stops the rest in order
            limit=LONGEST_LINE,
        )
        if command.stdin and self._process.stdin:
            self._process.stdin.write(command.stdin)
            self._process.stdin.close()
        self.pid = self._process.pid
        asyncio.create_task(self._copy_output(self._process))  # noqa: RUF006 - ends with the process it reads
        self._on_change()

    async def _copy_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line over the limit: asyncio has dropped it
                continue
            if not line:
                return
            with suppress(ValueError):  # the log is closed once the process has been stopped
                self._output.write(line)

    async def _until_ready(self) -> None:
        await self.spec.wait_until_ready(self.spec.ready_seconds)

    async def _wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    async def _keep(self) -> None:
        pause, started = FIRST_PAUSE_SECONDS, time.monotonic()
        while not self._stopping:
            code = await self._wait()
            if time.monotonic() - started > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            log.warning("process_died", process_name=self.spec.name, code=code, restart_in_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            started = time.monotonic()
            self.restarts += 1
            try:
                await self._spawn()
            except (StartupError, OSError) as error:
                log.error("process_not_started", process_name=self.spec.name, reason=str(error))

    def _last_words(self) -> str:
        return self._output.last_line or "its log says no more"
