"""Processes that a test holds in its hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from omni.contracts.principal import Principal
from omni.inference.runtime.call import Call
from omni.inference.serving.lane import ServedModel
from omni.inference.serving.process import Loaded, ModelProcess, ProcessEnded, Ran
from omni.kit.clock import unix_micros
from omni.kit.ids import uuid7

MIB = 1024 * 1024
NANOS = 1_000_000


@dataclass
class FakeProcess:
    """Answers `y = x + 1` once its gate is open; `poison` among the values ends it."""

    world: World
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    memory_bytes: int = 100 * MIB
    runs: list[int] = field(default_factory=list)
    """Rows of each run."""
    model: bytes = b""
    is_closed: bool = False
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while a run waits at the gate, or has passed it."""

    async def load(self, data: bytes, cpu_seconds: float, seconds: float) -> Loaded:
        self.model = data
        return Loaded((), (), NANOS)

    async def run(self, inputs: Mapping[str, np.ndarray], cpu_seconds: float, seconds: float) -> Ran:
        array = inputs["x"]
        self.runs.append(array.shape[0])
        self.busy.set()
        await self.gate.wait()
        if self.world.poison is not None and (array == self.world.poison).any():
            raise ProcessEnded("crash")
        return Ran({"y": array + 1}, NANOS * array.shape[0])

    async def close(self) -> None:
        self.is_closed = True


@dataclass
class World:
    """Starts fake processes, and knows them all."""

    started: list[FakeProcess] = field(default_factory=list)
    open: bool = True
    """Whether the gates of new ones are open."""
    poison: float | None = None

    async def __call__(self) -> ModelProcess:
        process = FakeProcess(self)
        if self.open:
            process.gate.set()
        self.started.append(process)
        return process

    def alive(self) -> list[FakeProcess]:
        return [process for process in self.started if not process.is_closed]


def a_call(tenant_id: UUID | None = None, seconds: float = 60.0) -> Call:
    deadline = unix_micros() + int(seconds * 1_000_000)
    return Call(Principal(uuid7(), tenant_id or uuid7(), uuid7(), "test", None, deadline))


def a_model(tenant_id: UUID, name: str, *, joinable: bool = True, size_bytes: int = 1) -> ServedModel:
    async def fetch() -> bytes:
        return name.encode()

    return ServedModel(tenant_id, name, size_bytes, fetch, joinable)


def rows(*values: float) -> dict[str, np.ndarray]:
    """An input x of one column."""
    return {"x": np.array(values, np.float32).reshape(-1, 1)}
