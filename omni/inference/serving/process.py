"""One model's process, from the backend's side."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from omni.inference.serving import frames, tensors
from omni.inference.serving.frames import BrokenFrame
from omni.kit.errors import NotConfigured

MOST_OUTPUT_BYTES = 32 * 1024 * 1024
START_SECONDS = 30.0
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
"""Without the second the runtime keeps a database at home and reports to its maker."""

_ENDED_BY: Mapping[int | None, str] = {-signal.SIGPROF: "cpu", -signal.SIGKILL: "killed"}
"""SIGKILL is what the kernel ends processes with when the machine has no memory left."""


class ProcessEnded(Exception):
    """The process is no more; the argument says why: `cpu`, `time`, `crash`, `killed` from outside, or
    `closed` by ourselves."""


class ModelFailed(Exception):
    """The model did not answer, its process lives. `kind` is `memory`, `output` or `run`; the text is the runtime's."""

    def __init__(self, kind: str, text: str, cpu_nanos: int) -> None:
        super().__init__(text)
        self.kind, self.text, self.cpu_nanos = kind, text, cpu_nanos


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output as the runtime tells it: type `tensor(float)` …, sides that are numbers, names or None."""

    name: str
    type: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a model turned out to be."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    cpu_nanos: int


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run came to."""

    outputs: dict[str, np.ndarray]
    cpu_nanos: int


class ModelProcess(Protocol):
    """A process that holds one model."""

    memory_bytes: int
    """The most that it had so far."""

    async def load(self, data: bytes, cpu_seconds: float, seconds: float) -> Loaded:
        """Gives it its model. Raises ModelFailed and ProcessEnded; ends the process after `seconds` by the clock."""
        ...

    async def run(self, inputs: Mapping[str, np.ndarray], cpu_seconds: float, seconds: float) -> Ran:
        """One run. Raises ModelFailed and ProcessEnded; ends the process after `seconds` by the clock."""
        ...

    async def close(self) -> None:
        """Ends it."""
        ...


class Spawn(Protocol):
    """Starts processes."""

    async def __call__(self) -> ModelProcess: ...


class ChildProcess:
    """A child of ours, reached by pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.memory_bytes = 0
        self.guarantees: dict[str, bool] = {}

    @classmethod
    async def start(cls, memory_bytes: int) -> ChildProcess:
        """A confined process with the runtime, and no model yet. Raises ProcessEnded, and NotConfigured
        `sandbox_missing` where it cannot be confined.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "omni.inference.serving.child", json.dumps({"memory_bytes": memory_bytes}),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            cwd="/", start_new_session=True,
            env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **ENVIRONMENT},
        )  # fmt: skip
        child = cls(process)
        header, _ = await child._answer(START_SECONDS)
        child.guarantees = dict(header.get("guarantees", {}))
        if not child.guarantees.get("filtered") or not child.guarantees.get("no_new_privileges"):
            await child.close()
            raise NotConfigured(
                "sandbox_missing",
                "This server cannot confine uploaded models: its kernel takes no filter of system calls. Models are "
                "served on Linux with seccomp, on x86-64 and 64-bit Arm.",
                internal=str(child.guarantees),
            )
        return child

    async def load(self, data: bytes, cpu_seconds: float, seconds: float) -> Loaded:
        header, _ = await self._ask({"do": "load", "cpu_seconds": cpu_seconds}, [data], seconds)
        return Loaded(_ports(header["inputs"]), _ports(header["outputs"]), header["cpu_nanos"])

    async def run(self, inputs: Mapping[str, np.ndarray], cpu_seconds: float, seconds: float) -> Ran:
        heads, parts = tensors.describe(inputs)
        request = {"do": "run", "cpu_seconds": cpu_seconds, "inputs": heads, "most_bytes": MOST_OUTPUT_BYTES}
        header, payload = await self._ask(request, parts, seconds)
        try:
            return Ran(tensors.restore(header["outputs"], payload), header["cpu_nanos"])
        except BrokenFrame:
            await self.close()
            raise ProcessEnded("crash") from None

    async def close(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _ask(
        self, request: Mapping[str, Any], payload: Sequence[bytes], seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(frames.pack(request, payload))
        except (ConnectionError, RuntimeError):
            raise await self._ended() from None
        header, data = await self._answer(seconds)
        if "failed" in header:
            raise ModelFailed(str(header["failed"]), str(header.get("message", "")), header["cpu_nanos"])
        return header, data

    async def _answer(self, seconds: float) -> tuple[dict[str, Any], bytes]:
        """The next frame, whatever it says. A process that is silent for so long, or talks nonsense, is ended; so is
        one whose caller does not wait any longer, for its answer would be taken for the next one's."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                header, data = await frames.read_async(self._process.stdout)
            self.memory_bytes = int(header["memory_bytes"])
            header["cpu_nanos"] = max(0, int(header.get("cpu_nanos", 0)))
        except TimeoutError:
            await self.close()
            raise ProcessEnded("time") from None
        except (asyncio.IncompleteReadError, ConnectionError, BrokenFrame, KeyError, TypeError, ValueError):
            raise await self._ended() from None
        except asyncio.CancelledError:
            await asyncio.shield(self.close())
            raise
        return header, data

    async def _ended(self) -> ProcessEnded:
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._process.wait()
        code = self._process.returncode
        await self.close()
        return ProcessEnded(_ENDED_BY.get(code, "crash"))


def _ports(found: Sequence[Mapping[str, Any]]) -> tuple[Port, ...]:
    return tuple(
        Port(
            str(each["name"]),
            str(each["type"]),
            tuple(side if isinstance(side, int | str) else None for side in each["shape"]),
        )
        for each in found
    )
