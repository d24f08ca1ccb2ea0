"""Readiness of a process: its checks run on its own loop, the answer is read from any thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import orjson

from omni.kit.errors import OmniError

Check = Callable[[], Awaitable[None]]
"""Raises what is wrong."""

INTERVAL_SECONDS = 1.0
STALE_SECONDS = 10.0
CHECK_SECONDS = 3.0


class HealthMonitor:
    """Runs the checks once a second. No news for ten seconds means that the loop hangs: not ready."""

    def __init__(self, checks: dict[str, Check]) -> None:
        self._checks = checks
        self._findings: dict[str, str] = dict.fromkeys(checks, "not checked yet")
        self._checked_at = time.monotonic()
        self._stopping = False

    def health(self) -> tuple[bool, bytes]:
        """Whether everything is well, and the findings as JSON."""
        findings = dict(self._findings)
        if time.monotonic() - self._checked_at > STALE_SECONDS:
            findings["loop"] = "has not run its checks for a while"
        if self._stopping:
            findings["stopping"] = "is stopping"
        ready = all(finding == "ok" for finding in findings.values())
        return ready, orjson.dumps({"status": "ok" if ready else "not_ready", "checks": findings})

    def dependencies(self) -> dict[str, bool]:
        """By name, whether its last check went well."""
        return {name: finding == "ok" for name, finding in dict(self._findings).items()}

    def stopping(self) -> None:
        """From here on the process says that it is not ready."""
        self._stopping = True

    async def run(self) -> None:
        """Checks until cancelled."""
        while True:
            await self.check_now()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def check_now(self) -> None:
        for name, check in self._checks.items():
            self._findings[name] = await self._finding(check)
        self._checked_at = time.monotonic()

    async def _finding(self, check: Check) -> str:
        try:
            await asyncio.wait_for(check(), CHECK_SECONDS)
        except OmniError as error:
            return error.message
        except TimeoutError:
            return "does not answer"
        except Exception as error:  # noqa: BLE001 - the edge: whatever a check meets, the next round must come
            return f"cannot be reached: {error}"
        return "ok"
