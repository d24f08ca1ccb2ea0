"""The bounded pool in which engines work, off the event loop.

As many threads as cores, so that engines never fight for them; a queue with a limit, so that waiting stays short; a
job whose request ran out of time or went away while it waited is never started.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from omni.inference.runtime.call import Call, deadline_exceeded
from omni.kit.errors import Unavailable
from omni.telemetry.finished import error_type
from omni.telemetry.local_traces import current_trace
from omni.telemetry.metrics import EngineMetrics

Answer = TypeVar("Answer")
BUSY_RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[Answer]):
    """What a job came to: an answer or an error, and the CPU time either took."""

    answers: tuple[Answer, ...]
    error: BaseException | None
    cpu_nanos: int
    wait_nanos: int
    seconds: float
    """How long it was at work."""

    def answer(self) -> Answer:
        if self.error is not None:
            raise self.error
        return self.answers[0]


class EnginePool:
    """Runs blocking engine work on `threads` threads, with at most `queue_limit` jobs waiting for one."""

    def __init__(self, threads: int, queue_limit: int, metrics: EngineMetrics) -> None:
        self.threads = threads
        self._metrics = metrics
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="engine")
        self._limit = threads + queue_limit
        self._lock = threading.Lock()
        self._unfinished = 0
        self._tickets = count()
        self._waiting: dict[int, float] = {}
        """When jobs came that no thread has begun, by the monotonic clock, in order."""
        metrics.limit.set(self._limit)
        metrics.oldest.set_function(self._oldest_seconds)
        metrics.jobs.set_function(lambda: self._unfinished)

    @property
    def has_room(self) -> bool:
        """Whether a thread waits for work."""
        return self._unfinished < self.threads

    async def run(self, call: Call, engine: str, work: Callable[[], Answer]) -> Answer:
        """The answer of `work`, a job of `engine` in metrics; its CPU time is added to the call's usage, also when it
        raises.

        Raises Unavailable `engine_busy` when the queue is full (unless the call was already worked for: nothing is
        refused half-way) and DeadlineExceeded when the deadline passes first. A job that runs by then goes on to its
        next `call.seconds_left()` and keeps its place until it ends.
        """
        seconds_left, start_nanos = call.seconds_left(), time.time_ns()
        job = self._submit(call, engine, work)
        try:
            async with asyncio.timeout(seconds_left):
                outcome = await asyncio.wrap_future(job)
        except TimeoutError:
            _note(engine, start_nanos, "timeout")
            raise deadline_exceeded() from None
        _note(engine, start_nanos, error_type(outcome.error) if outcome.error is not None else "", outcome.wait_nanos)
        call.usage.compute_nanos += outcome.cpu_nanos
        call.usage.wait_nanos = max(call.usage.wait_nanos, outcome.wait_nanos)
        return outcome.answer()

    async def map(self, call: Call, engine: str, works: Sequence[Callable[[], Answer]]) -> list[Answer]:
        """The answers of all `works`, in order, as many at a time as there are threads. Raises what `run` raises."""
        answers: dict[int, Answer] = {}
        waiting = iter(enumerate(works))
        lanes = [
            asyncio.ensure_future(self._lane(call, engine, waiting, answers))
            for _ in range(min(self.threads, len(works)))
        ]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
        return [answers[index] for index in range(len(works))]

    def close(self) -> None:
        """Drops what waits and waits for what runs."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def _lane(
        self, call: Call, engine: str, waiting: Iterator[tuple[int, Callable[[], Answer]]], answers: dict[int, Answer]
    ) -> None:
        for index, work in waiting:
            answers[index] = await self.run(call, engine, work)

    def _submit(self, call: Call, engine: str, work: Callable[[], Answer]) -> Future[_Outcome[Answer]]:
        with self._lock:
            if self._unfinished >= self._limit and not call.usage.compute_nanos:
                self._metrics.refused.inc()
                raise Unavailable(
                    "engine_busy",
                    "All engines are busy and their queue is full. Repeat the request later.",
                    retry_after_seconds=BUSY_RETRY_SECONDS,
                )
            self._unfinished += 1
            ticket = next(self._tickets)
            self._waiting[ticket] = time.monotonic()
        job = self._executor.submit(self._work, ticket, call, work, time.monotonic_ns())
        job.add_done_callback(lambda done: self._finished(engine, ticket, done))
        return job

    def _work(self, ticket: int, call: Call, work: Callable[[], Answer], submitted_nanos: int) -> _Outcome[Answer]:
        self._waiting.pop(ticket, None)
        return _measured(call, work, submitted_nanos)

    def _oldest_seconds(self) -> float:
        came_at = next(iter([*self._waiting.values()]), None)
        return 0.0 if came_at is None else time.monotonic() - came_at

    def _finished(self, engine: str, ticket: int, done: Future[_Outcome[Answer]]) -> None:
        self._waiting.pop(ticket, None)
        with self._lock:
            self._unfinished -= 1
        if not done.cancelled() and done.exception() is None:
            outcome = done.result()
            self._metrics.duration.labels(engine).observe(outcome.seconds)
            self._metrics.wait.observe(outcome.wait_nanos / 1e9)


def _note(engine: str, start_nanos: int, error: str, wait_nanos: int = 0) -> None:
    """Adds the job to the spans of its request."""
    trace = current_trace()
    if trace is not None:
        attributes: dict[str, str | int] = {"omni.engine": engine, "omni.engine.wait_ms": wait_nanos // 1_000_000}
        trace.step(f"engine {engine}", "internal", start_nanos, attributes, error=error)


def _measured(call: Call, work: Callable[[], Answer], submitted_nanos: int) -> _Outcome[Answer]:
    waited = time.monotonic_ns() - submitted_nanos
    began, started = time.monotonic(), time.thread_time_ns()
    answers: tuple[Answer, ...] = ()
    error: BaseException | None = None
    try:
        call.seconds_left()
        answers = (work(),)
    except BaseException as raised:  # noqa: BLE001 the edge of the thread: raised again on the event loop
        error = raised
    return _Outcome(answers, error, _since(started), waited, time.monotonic() - began)


def _since(started: int) -> int:
    return max(1, time.thread_time_ns() - started)
