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
from typing import Generic, TypeVar

from omni.inference.runtime.call import Call, deadline_exceeded
from omni.kit.errors import Unavailable

Answer = TypeVar("Answer")
BUSY_RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[Answer]):
    """What a job came to: an answer or an error, and the CPU time either took."""

    answers: tuple[Answer, ...]
    error: BaseException | None
    cpu_nanos: int
    wait_nanos: int

    def answer(self) -> Answer:
        if self.error is not None:
            raise self.error
        return self.answers[0]


class EnginePool:
    """Runs blocking engine work on `threads` threads, with at most `queue_limit` jobs waiting for one."""

    def __init__(self, threads: int, queue_limit: int) -> None:
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="engine")
        self._limit = threads + queue_limit
        self._lock = threading.Lock()
        self._unfinished = 0

    async def run(self, call: Call, work: Callable[[], Answer]) -> Answer:
        """The answer of `work`; its CPU time is added to the call's usage, also when it raises.

        Raises Unavailable `engine_busy` when the queue is full (unless the call was already worked for: nothing is
        refused half-way) and DeadlineExceeded when the deadline passes first. A job that runs by then goes on to its
        next `call.seconds_left()` and keeps its place until it ends.
        """
        seconds_left = call.seconds_left()
        job = self._submit(call, work)
        try:
            async with asyncio.timeout(seconds_left):
                outcome = await asyncio.wrap_future(job)
        except TimeoutError:
            raise deadline_exceeded() from None
        call.usage.compute_nanos += outcome.cpu_nanos
        call.usage.wait_nanos = max(call.usage.wait_nanos, outcome.wait_nanos)
        return outcome.answer()

    async def map(self, call: Call, works: Sequence[Callable[[], Answer]]) -> list[Answer]:
        """The answers of all `works`, in order, as many at a time as there are threads. Raises what `run` raises."""
        answers: dict[int, Answer] = {}
        waiting = iter(enumerate(works))
        lanes = [
            asyncio.ensure_future(self._lane(call, waiting, answers)) for _ in range(min(self.threads, len(works)))
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
        self, call: Call, waiting: Iterator[tuple[int, Callable[[], Answer]]], answers: dict[int, Answer]
    ) -> None:
        for index, work in waiting:
            answers[index] = await self.run(call, work)

    def _submit(self, call: Call, work: Callable[[], Answer]) -> Future[_Outcome[Answer]]:
        with self._lock:
            if self._unfinished >= self._limit and not call.usage.compute_nanos:
                raise Unavailable(
                    "engine_busy",
                    "All engines are busy and their queue is full. Repeat the request later.",
                    retry_after_seconds=BUSY_RETRY_SECONDS,
                )
            self._unfinished += 1
        job = self._executor.submit(_measured, call, work, time.monotonic_ns())
        job.add_done_callback(lambda _: self._finished())
        return job

    def _finished(self) -> None:
        with self._lock:
            self._unfinished -= 1


def _measured(call: Call, work: Callable[[], Answer], submitted_nanos: int) -> _Outcome[Answer]:
    waited = time.monotonic_ns() - submitted_nanos
    started = time.thread_time_ns()
    try:
        call.seconds_left()
        return _Outcome((work(),), None, _since(started), waited)
    except BaseException as raised:  # noqa: BLE001 the edge of the thread: raised again on the event loop
        return _Outcome((), raised, _since(started), waited)


def _since(started: int) -> int:
    return max(1, time.thread_time_ns() - started)
