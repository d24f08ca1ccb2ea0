"""The processes of all tenants' models: how many there are, who has one, who has to give it back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from uuid import UUID

import numpy as np

from omni.inference.runtime.call import Call, deadline_exceeded
from omni.inference.serving.lane import Answer, Lane, ServedModel, Waiting
from omni.inference.serving.process import ChildProcess, Loaded, ModelFailed, ModelProcess, ProcessEnded, Spawn
from omni.inference.serving.settings import ServingSettings
from omni.kit.errors import Unavailable
from omni.telemetry.inference_metrics import ServingMetrics
from omni.telemetry.local_traces import current_trace

BUSY_RETRY_SECONDS = 2
RUNTIME_BYTES = 96 * 1024 * 1024
"""What a process takes before its model, about: until it has told us."""
MODEL_COPIES = 3
"""A model that is loaded takes about so many times its file."""
TRIALS_AT_ONCE = 2


class ServingPool:
    """Runs versions of models, each in a process of its own that belongs to one tenant."""

    def __init__(self, settings: ServingSettings, metrics: ServingMetrics, spawn: Spawn | None = None) -> None:
        self.settings = settings
        self.metrics = metrics
        self._spawn: Spawn = spawn if spawn is not None else self._start_child
        self._lanes: dict[tuple[UUID, str], Lane] = {}
        self._holding: dict[tuple[UUID, str], Lane] = {}
        """Lanes that have a process, or one that is being started; the order says who came first."""
        self._changed = asyncio.Condition()
        self._trials = asyncio.Semaphore(TRIALS_AT_ONCE)
        self._reaper: asyncio.Task[None] | None = None
        self._watch(metrics)

    async def run(self, call: Call, model: ServedModel, inputs: Mapping[str, np.ndarray], rows: int) -> Answer:
        """The model's outputs; the CPU time is added to the call's usage.

        Raises ModelFailed, ProcessEnded `cpu`, `crash` or `killed` when this request ended the process, Unavailable
        `serving_queue_full` or `serving_busy`, DeadlineExceeded.
        """
        seconds_left, came, start_nanos = call.seconds_left(), time.monotonic_ns(), time.time_ns()
        lane = self._lane(model)
        request = Waiting(inputs, rows, time.monotonic() + seconds_left)
        lane.put(request)
        try:
            async with asyncio.timeout(seconds_left):
                answer = await request.answer
        except TimeoutError:
            raise deadline_exceeded() from None
        except ProcessEnded as error:
            if error.args[0] == "time":
                raise deadline_exceeded() from None
            if error.args[0] == "closed":
                self.metrics.refused.add("deleted")
                raise _busy() from None
            raise
        except Unavailable as error:
            if error.code == "serving_busy":
                self.metrics.refused.add("no_room")
            raise
        except ModelFailed as error:
            call.usage.compute_nanos += max(1, error.cpu_nanos)
            raise
        finally:
            request.answer.cancel()
        call.usage.compute_nanos += max(1, answer.cpu_nanos)
        waited = time.monotonic_ns() - came - answer.cpu_nanos
        trace = current_trace()
        if trace is not None:
            trace.step(
                "engine serving",
                "internal",
                start_nanos,
                {"omni.engine": "serving", "omni.engine.joined": answer.joined},
            )
        call.usage.wait_nanos = max(call.usage.wait_nanos, waited)
        return answer

    @asynccontextmanager
    async def trial(self, call: Call, data: bytes) -> AsyncIterator[tuple[ModelProcess, Loaded]]:
        """A process that holds `data` as long as the block lasts, for whoever wants to see whether it runs.

        Raises ModelFailed, ProcessEnded, and Unavailable `serving_busy` when others are tried already.
        """
        if self._trials.locked():
            self.metrics.refused.add("trials")
            raise _busy()
        async with self._trials:
            with self._starting("trial"):
                process, loaded = await self._loaded(data, self.seconds(call))
            call.usage.compute_nanos += max(1, loaded.cpu_nanos)
            reason = "tried"
            try:
                yield process, loaded
            except ProcessEnded as error:
                reason = error.args[0]
                raise
            finally:
                self.metrics.ends.add(reason)
                await process.close()

    async def forget(self, tenant_id: UUID, name: str) -> None:
        """Ends the process of a version that is gone."""
        lane = self._lanes.pop((tenant_id, name), None)
        if lane is not None:
            await lane.close("deleted")
            await self._release(lane)

    async def close(self) -> None:
        """Ends everything."""
        if self._reaper is not None:
            self._reaper.cancel()
            await asyncio.gather(self._reaper, return_exceptions=True)
            self._reaper = None
        lanes = [*self._lanes.values()]
        self._lanes.clear()
        self._holding.clear()
        await asyncio.gather(*(lane.close("stopped") for lane in lanes))

    def open_processes(self) -> Counter[UUID]:
        """How many processes each tenant has."""
        return Counter(tenant_id for tenant_id, _ in self._holding)

    async def rest(self, now: float) -> None:
        """Ends processes that have rested for long at `now`, by the monotonic clock."""
        for lane in [*self._lanes.values()]:
            if not lane.is_at_work and now - lane.rested_since >= self.settings.idle_seconds:
                self._lanes.pop(lane.model.key, None)
                await lane.drop_process("idle")
                await self._release(lane)

    def _lane(self, model: ServedModel) -> Lane:
        waiting = sum(lane.waiting for (tenant_id, _), lane in self._lanes.items() if tenant_id == model.tenant_id)
        if waiting >= self.settings.queue_limit:
            self.metrics.refused.add("queue_full")
            raise Unavailable(
                "serving_queue_full",
                "Your models have as many requests waiting as they may. Repeat the request later, or send more rows at "
                "once.",
                retry_after_seconds=BUSY_RETRY_SECONDS,
            )
        lane = self._lanes.get(model.key)
        if lane is None:
            lane = self._lanes[model.key] = Lane(model, self.settings, self.metrics, self._open)
        if self._reaper is None:
            self._reaper = asyncio.create_task(self._reap())
        return lane

    async def _open(self, lane: Lane) -> ModelProcess:
        """A process that holds the lane's model. A lane that has lost its process still has its place."""
        await self._take_place(lane)
        try:
            with self._starting("restart" if lane.has_died else "cold"):
                process, _ = await self._loaded(await lane.model.fetch(), self.settings.run_seconds)
        except BaseException:
            await self._release(lane)
            raise
        lane.has_died = False
        return process

    async def _loaded(self, data: bytes, seconds: float) -> tuple[ModelProcess, Loaded]:
        process = await self._spawn()
        try:
            return process, await process.load(data, self.settings.cpu_seconds, seconds)
        except BaseException:
            await process.close()
            raise

    @contextmanager
    def _starting(self, reason: str) -> Iterator[None]:
        began, outcome = time.monotonic(), "failed"
        try:
            yield
            outcome = "ready"
        finally:
            self.metrics.starts.observe(time.monotonic() - began, reason, outcome)

    async def _take_place(self, lane: Lane) -> None:
        """Waits until the lane may have a process. Raises Unavailable `serving_busy`."""
        try:
            async with asyncio.timeout(self.settings.room_seconds), self._changed:
                while not await self._has_room(lane):
                    with suppress(TimeoutError):  # a lane that comes to rest says nothing: look again now and then
                        await asyncio.wait_for(self._changed.wait(), 0.05)
                self._holding[lane.model.key] = lane
        except TimeoutError:
            raise _busy() from None

    async def _has_room(self, lane: Lane) -> bool:
        """Ends the processes of others that rest until there is; False when those that work leave none."""
        self._holding.pop(lane.model.key, None)
        tenant = lane.model.tenant_id
        while self.open_processes()[tenant] >= self.settings.processes_per_tenant:
            if not await self._end_resting(tenant):
                return False
        while len(self._holding) >= self.settings.processes or not self._fits(lane):
            if not await self._end_resting(None):
                return not self._holding
        return True

    def _fits(self, lane: Lane) -> bool:
        held = sum(_expected_bytes(each) for each in self._holding.values())
        return held + _expected_bytes(lane) <= self.settings.memory_bytes

    async def _end_resting(self, tenant_id: UUID | None) -> bool:
        """Ends the process that has rested longest, of this tenant or of any; False when all are at work."""
        resting = [
            lane for (owner, _), lane in self._holding.items()
            if not lane.is_at_work and (tenant_id is None or owner == tenant_id)
        ]  # fmt: skip
        if not resting:
            return False
        lane = min(resting, key=lambda each: each.rested_since)
        self._holding.pop(lane.model.key, None)
        await lane.drop_process("evicted")
        return True

    async def _release(self, lane: Lane) -> None:
        async with self._changed:
            if self._holding.get(lane.model.key) is lane:
                del self._holding[lane.model.key]
            self._changed.notify_all()

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(max(1.0, self.settings.idle_seconds / 10))
            await self.rest(time.monotonic())

    def _watch(self, metrics: ServingMetrics) -> None:
        """Gauges are read from the thread that answers scrapes: they look at copies."""

        def lanes(status: str) -> int:
            return sum(_status(lane) == status for lane in [*self._holding.values()])

        def oldest() -> float:
            came = [came_at for lane in [*self._lanes.values()] if (came_at := lane.oldest) is not None]
            return time.monotonic() - min(came) if came else 0.0

        for status in ("starting", "working", "resting"):
            metrics.processes.labels(status).set_function(partial(lanes, status))
        metrics.limit.set(self.settings.processes)
        metrics.memory.set_function(lambda: sum(lane.memory_bytes for lane in [*self._holding.values()]))
        metrics.memory_limit.set(self.settings.memory_bytes)
        metrics.waiting.set_function(lambda: sum(lane.waiting for lane in [*self._lanes.values()]))
        metrics.oldest.set_function(oldest)

    async def _start_child(self) -> ModelProcess:
        return await ChildProcess.start(self.settings.process_memory_bytes)

    def seconds(self, call: Call) -> float:
        """How long one run may take by the clock."""
        return min(self.settings.run_seconds, call.seconds_left())


def _status(lane: Lane) -> str:
    if lane.process is None:
        return "starting" if lane.is_at_work else "lost"
    return "working" if lane.is_at_work else "resting"


def _expected_bytes(lane: Lane) -> int:
    return max(lane.memory_bytes, RUNTIME_BYTES + MODEL_COPIES * lane.model.size_bytes)


def _busy() -> Unavailable:
    return Unavailable(
        "serving_busy",
        "All processes for models are at work. Repeat the request later.",
        retry_after_seconds=BUSY_RETRY_SECONDS,
    )
