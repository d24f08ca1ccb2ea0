"""The requests for one version of a model: a queue, and at most one process that works on it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from omni.inference.serving import batching
from omni.inference.serving.process import ModelFailed, ModelProcess, ProcessEnded, Ran
from omni.inference.serving.settings import ServingSettings
from omni.telemetry.inference_metrics import ServingMetrics


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What the pool has to know of a version."""

    tenant_id: UUID
    name: str
    """Of the version, unique within the tenant; another name whenever the artifact is another."""
    size_bytes: int
    fetch: Callable[[], Awaitable[bytes]]
    """The artifact, checked against its digest."""
    joinable: bool
    """Whether a row's answer does not depend on the rows beside it."""

    @property
    def key(self) -> tuple[UUID, str]:
        return self.tenant_id, self.name


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request gets."""

    outputs: dict[str, np.ndarray]
    cpu_nanos: int
    """Its share of the run's, by rows."""
    joined: int
    """Requests that the run answered, this one included."""


@dataclass(slots=True)
class Waiting:
    """A request in the queue."""

    inputs: Mapping[str, np.ndarray]
    rows: int
    ends_at: float
    """By the monotonic clock."""
    came_at: float = field(default_factory=time.monotonic)
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def is_over(self) -> bool:
        return self.answer.done()

    def settle(self, outcome: Answer | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


class Lane:
    """Works through the queue of one version."""

    def __init__(
        self, model: ServedModel, settings: ServingSettings, metrics: ServingMetrics,
        open_process: Callable[[Lane], Awaitable[ModelProcess]],
    ) -> None:  # fmt: skip
        """`open_process` gives a process that holds the model, once there is room. What it raises, all who wait get."""
        self.model = model
        self.process: ModelProcess | None = None
        self.rested_since = time.monotonic()
        self.has_died = False
        """Whether its last process ended by itself."""
        self._settings = settings
        self._metrics = metrics
        self._open = open_process
        self._queue: deque[Waiting] = deque()
        self._joinable = model.joinable
        self._together = 1
        self._came = asyncio.Event()
        self._working: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Requests that no run has begun for."""
        return sum(not each.is_over for each in self._queue.copy())

    @property
    def oldest(self) -> float | None:
        """When the first of them came, by the monotonic clock."""
        return next((each.came_at for each in self._queue.copy() if not each.is_over), None)

    @property
    def is_at_work(self) -> bool:
        return self._working is not None

    @property
    def memory_bytes(self) -> int:
        process = self.process
        return 0 if process is None else process.memory_bytes

    def put(self, request: Waiting) -> None:
        """Queues a request."""
        self._queue.append(request)
        self._came.set()
        if self._working is None:
            self._working = asyncio.create_task(self._work())

    async def close(self, reason: str) -> None:
        """Ends the process, and with it what it works on."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        await self.drop_process(reason)

    async def drop_process(self, reason: str) -> None:
        """Ends the process alone; `reason` for the metrics."""
        process, self.process = self.process, None
        if process is not None:
            self._metrics.ends.add(reason)
            await process.close()

    async def _work(self) -> None:
        """Until nobody waits any more."""
        taken: list[Waiting] = []
        try:
            while self._queue:
                taken = await self._take()
                if taken:
                    await self._serve(taken)
        finally:
            for request in (*taken, *self._queue):
                request.settle(ProcessEnded("closed"))
            self._queue.clear()
            self.rested_since = time.monotonic()
            self._working = None

    async def _take(self) -> list[Waiting]:
        """The next request and those that can be joined with it. Where several came together last time, it waits a
        moment for as many; a request that comes alone never waits."""
        if self._joinable and self._together > 1:
            until = time.monotonic() + self._settings.join_seconds
            while len(self._queue) < min(self._together, self._settings.most_joined) and time.monotonic() < until:
                self._came.clear()
                try:
                    async with asyncio.timeout(until - time.monotonic()):
                        await self._came.wait()
                except TimeoutError:
                    break
        taken: list[Waiting] = []
        while self._queue and len(taken) < (self._settings.most_joined if self._joinable else 1):
            if not self._queue[0].is_over:
                if taken and not batching.fit_together(taken[0].inputs, self._queue[0].inputs):
                    break
                taken.append(self._queue[0])
            self._queue.popleft()
        self._together = len(taken)
        return taken

    async def _serve(self, taken: list[Waiting]) -> None:
        try:
            if self.process is None:
                self.process = await self._open(self)
            now = time.monotonic()
            for request in taken:
                self._metrics.wait.add(now - request.came_at)
            if len(taken) > 1 and await self._answered_together(taken):
                return
            for request in taken:
                if not request.is_over:
                    await self._answer_alone(request)
        except Exception as error:  # noqa: BLE001 whoever waits for it gets it
            for request in taken:
                request.settle(error)

    async def _answered_together(self, taken: list[Waiting]) -> bool:
        """False when each has to be asked alone: one of them broke the run for all, or rows were not kept apart."""
        joined = batching.join([request.inputs for request in taken])
        try:
            ran = await self._run(joined, max(request.ends_at for request in taken))
        except (ProcessEnded, ModelFailed):
            return False
        rows = [request.rows for request in taken]
        answers = batching.split(ran.outputs, rows)
        if answers is None:
            self._joinable = False
            return False
        self._metrics.joined.add(len(taken))
        for request, outputs in zip(taken, answers, strict=True):
            request.settle(Answer(outputs, ran.cpu_nanos * request.rows // max(1, sum(rows)), len(taken)))
        return True

    async def _answer_alone(self, request: Waiting) -> None:
        try:
            ran = await self._run(request.inputs, request.ends_at)
        except (ProcessEnded, ModelFailed) as error:
            request.settle(error)
        else:
            self._metrics.joined.add(1)
            request.settle(Answer(ran.outputs, ran.cpu_nanos, 1))

    async def _run(self, inputs: Mapping[str, np.ndarray], ends_at: float) -> Ran:
        if self.process is None:
            self.process = await self._open(self)
        seconds = min(self._settings.run_seconds, ends_at - time.monotonic())
        if seconds <= 0:
            raise ProcessEnded("time")
        began = time.monotonic()
        try:
            ran = await self.process.run(inputs, self._settings.cpu_seconds, seconds)
        except ModelFailed:
            self._metrics.run_failed.add(time.monotonic() - began)
            raise
        except ProcessEnded as error:
            self._metrics.run_ended.add(time.monotonic() - began)
            self.has_died = True
            await self.drop_process(error.args[0])
            raise
        self._metrics.run_answered.add(time.monotonic() - began)
        return ran
