"""A loop that goes on whatever happens in one of its rounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from omni.telemetry.metrics import WorkerMetrics

LONGEST_PAUSE_SECONDS = 10.0

log = structlog.stdlib.get_logger("omni.worker")

Round = Callable[[], Awaitable[bool]]
"""One round; True = there is more to do at once."""


class Loop:
    """Runs rounds until it is told to stop; after a failed one it waits longer and longer, and says so."""

    def __init__(self, name: str, work: Round, pause_seconds: float, metrics: WorkerMetrics) -> None:
        self._name = name
        self._work = work
        self._pause_seconds = pause_seconds
        self._failures = metrics.loop_failures.labels(name)
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Ends the present pause."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            pause = self._pause_seconds
            try:
                if await self._work():
                    pause = 0.0
                failures = 0
            except Exception as error:  # noqa: BLE001 - the edge of a loop: the next round tries again
                failures += 1
                self._failures.inc()
                pause = min(self._pause_seconds * 2**failures, LONGEST_PAUSE_SECONDS)
                log.warning("round_failed", loop=self._name, reason=error, again_in_seconds=pause)
            if pause:
                await self._sleep(pause, stop)

    async def _sleep(self, seconds: float, stop: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._wake.wait())]
        with suppress(TimeoutError):
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        self._wake.clear()
