"""Runs the training process for one slice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEMORY_BYTES = 8 * 1024**3
FILE_BYTES = 512 * 1024**2
CPU_SECONDS_PER_SECOND = 8
"""Of CPU time: as many threads may work at once."""
LOOK_SECONDS = 1.0
START_SECONDS = 30
"""How much longer than its slice a process may take before it is ended from outside."""
_LINE_BYTES = 4 * 1024 * 1024
Log = Callable[[str, str], Awaitable[None]]


@dataclass(slots=True)
class Outcome:
    """What came of a slice. `end` is what the process said last: `done`, `more`, `refused`, "" when it died, or
    `cancelled` when it was stopped."""

    end: str = ""
    refused: tuple[str, str] | None = None
    trials: list[dict[str, Any]] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    """From when it had loaded what it works with."""


@dataclass(frozen=True, slots=True)
class TrainingSlice:
    """What the process is asked for."""

    given: dict[str, Any]
    """As AutomlRequest."""
    data: Path
    folder: Path
    trials: list[dict[str, Any]]
    seconds: float
    """How long it may work."""
    search_seconds: float
    """How long it may still search, in this and later slices."""


async def train(work: TrainingSlice, is_cancelled: Callable[[], Awaitable[bool]], log: Log) -> Outcome:
    """Starts the process, listens, and ends it when somebody asks for the end or the time is over. It gets no
    environment but the path of its modules and one thread for linear algebra."""
    request = {
        "given": work.given, "data": str(work.data), "folder": str(work.folder), "trials": work.trials,
        "seconds": work.seconds, "search_seconds": work.search_seconds, "memory_bytes": MEMORY_BYTES,
        "cpu_seconds": int((work.seconds + START_SECONDS) * CPU_SECONDS_PER_SECOND), "file_bytes": FILE_BYTES,
    }  # fmt: skip
    (work.folder / "request.json").write_text(json.dumps(request))
    environment = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system", "HOME": str(work.folder),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omni.inference.automl.child", str(work.folder / "request.json"),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=environment, start_new_session=True, limit=_LINE_BYTES,
    )  # fmt: skip
    outcome = Outcome()
    listening = asyncio.ensure_future(_listen(process, outcome, log))
    watching = asyncio.ensure_future(_watch(is_cancelled))
    try:
        await asyncio.wait(
            {listening, watching}, timeout=work.seconds + START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if watching.done() and not listening.done():
            watching.result()
            outcome.end = "cancelled"
    finally:
        _kill(process)
        watching.cancel()
        await asyncio.gather(listening, watching, return_exceptions=True)
        await process.wait()
    if not listening.cancelled():
        listening.result()
    return outcome


async def _listen(process: asyncio.subprocess.Process, outcome: Outcome, log: Log) -> None:
    """Reads lines until the process ends; a line that was cut short by its end is dropped."""
    assert process.stdout is not None
    began: float | None = None
    while line := await process.stdout.readline():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if began is not None:
            outcome.seconds = time.monotonic() - began
        match found:
            case {"begun": _}:
                began = time.monotonic()
            case {"trial": trial}:
                outcome.trials.append(trial)
            case {"say": said}:
                outcome.said |= said
            case {"log": [level, message]}:
                await log(level, message)
            case {"refused": [code, message]}:
                outcome.end, outcome.refused = "refused", (code, message)
            case {"more": _} | {"done": _}:
                outcome.end = "more" if "more" in found else "done"
    if began is not None:
        outcome.seconds = time.monotonic() - began


async def _watch(is_cancelled: Callable[[], Awaitable[bool]]) -> None:
    """Returns when somebody asks for the end."""
    while not await is_cancelled():  # noqa: ASYNC110 the request for the end is a row of the database
        await asyncio.sleep(LOOK_SECONDS)


def _kill(process: asyncio.subprocess.Process) -> None:
    """Ends the process and its threads, when it still runs."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
