"""Works through a batch: every request once, in any order; what is done is not done again."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import orjson

from omni.inference.batches import repository
from omni.inference.batches.lines import MOST_BYTES, Line, LineError, derived_id, read_lines, request_id
from omni.inference.batches.repository import Answered
from omni.inference.calling import Calls, Reply
from omni.inference.files.repository import NewFile
from omni.inference.files.service import FileService
from omni.inference.jobs.repository import ClaimedJob
from omni.inference.jobs.runner import Done, LeaseLost, More, Slice
from omni.inference.jobs.schemas import JobError, State
from omni.kit.errors import NotFound, Unavailable

CONCURRENCY = 8
MOST_TRIES = 5
LONGEST_WAIT_SECONDS = 20.0
"""A line that is to wait longer for its next try, for a new month say, is answered with why."""
OVERLOAD_WAIT_SECONDS = 4.0
"""Room comes and goes within seconds."""
OUTPUT_LIFE = timedelta(days=30)
_WATCH_SECONDS = 2.0
_TRIED_AGAIN = frozenset((408, 409, 429, 500, 502, 503, 504))

Why = Literal["done", "slice", "later", "cancelled", "expired"]


class BatchWorker:
    """The handler of jobs of the kind `batch`."""

    def __init__(self, files: FileService, calls: Calls) -> None:
        self._files = files
        self._calls = calls

    async def __call__(self, work: Slice) -> Done | More:
        claimed, job = work.claimed, work.claimed.job
        progress = dict(job.progress)
        try:
            data = await self._files.content(claimed.tenant_id, job.input["input_file_id"], MOST_BYTES)
        except NotFound:
            gone = JobError(code="input_file_gone", message="The batch's file was deleted before it was done.")
            return Done("failed", progress, error=gone)
        lines, errors = await asyncio.to_thread(read_lines, data, job.input["endpoint"])
        if errors:
            return _refused(progress, errors)
        if "in_progress_at" not in progress:
            progress |= {"total": len(lines), "in_progress_at": int(work.clock.now().timestamp())}
            await work.log("info", f"{len(lines)} requests to {job.input['endpoint']}.")
        why = await _Lines(work, self._calls, lines, progress).run()
        if why in ("slice", "later"):
            return More(progress, later=why == "later")
        return await self._finish(work, why, lines, progress)

    async def _finish(self, work: Slice, why: Why, lines: list[Line], progress: dict[str, Any]) -> Done:
        """Puts the answers into files, and ends the job."""
        claimed, now = work.claimed, work.clock.now()
        progress["finalizing_at"] = int(now.timestamp())
        await work.report(progress)
        made: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as folder:
            good, bad = Path(folder) / "output.jsonl", Path(folder) / "error.jsonl"
            await self._write(work, good, bad, lines if why == "expired" else [])
            expires_at = now + _output_life(claimed.job.input)
            for path, name in ((good, "output_file_id"), (bad, "error_file_id")):
                if size_bytes := await asyncio.to_thread(os.path.getsize, path):
                    made[name] = await self._put(claimed, path, size_bytes, expires_at)
        state: State = "succeeded" if why == "done" else "cancelled" if why == "cancelled" else "expired"
        await work.log("info", f"{state.capitalize()}: {progress['completed']} answers, {progress['failed']} failed.")
        return Done(state, progress, made)

    async def _put(self, claimed: ClaimedJob, path: Path, size_bytes: int, expires_at: datetime) -> str:
        file_id, name = derived_id(claimed.job.id, path.name), f"batch_{claimed.job.id.hex}_{path.name}"
        new = NewFile(file_id, claimed.project_id, name, "batch_output", size_bytes, expires_at)
        return (await self._files.put_output(claimed.tenant_id, new, path)).id

    async def _write(self, work: Slice, good: Path, bad: Path, unanswered: list[Line]) -> None:
        claimed = work.claimed
        answered: set[int] = set()
        with good.open("wb") as output, bad.open("wb") as errors:
            async with work.database.read(claimed.tenant_id) as session:
                async for each in repository.answers(session, claimed.job.id):
                    answered.add(each.line)
                    (output if each.status < 400 else errors).write(each.answer.encode() + b"\n")
            for line in unanswered:
                if line.number not in answered:
                    errors.write(_expired(claimed.job.id, line) + b"\n")


class _Lines:
    """The requests of one slice."""

    def __init__(self, work: Slice, calls: Calls, lines: list[Line], progress: dict[str, Any]) -> None:
        self._work = work
        self._calls = calls
        self._lines = lines
        self._progress = progress
        self._tries: dict[int, int] = {}
        self._why: Why = "done"
        self._stop = asyncio.Event()

    async def run(self) -> Why:
        """Makes requests until all are answered, or something ends it; keeps the progress true."""
        claimed = self._work.claimed
        async with self._work.database.read(claimed.tenant_id) as session:
            answered, self._tries = await repository.known(session, claimed.job.id)
            good, bad = await repository.counts(session, claimed.job.id)
        self._progress |= {"completed": good, "failed": bad}
        await self._look()
        todo = iter([line for line in self._lines if line.number not in answered])
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(self._take(todo))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await self._work.report(self._progress)
        return self._why

    async def _watch(self) -> None:
        """Says how far it is, and ends it when somebody or the time wants that."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                await self._work.report(self._progress)
                await self._look()
            except LeaseLost:
                return  # the runner ends the work
            except Unavailable:
                continue

    async def _look(self) -> None:
        if await self._work.is_cancelled():
            self._end("cancelled")
        elif self._work.clock.now() >= self._work.claimed.job.expires_at:
            self._end("expired")

    def _end(self, why: Why) -> None:
        if not self._stop.is_set():
            self._why = why
            self._stop.set()

    async def _take(self, todo: Iterator[Line]) -> None:
        while not self._stop.is_set():
            if self._work.seconds_left <= 0:
                self._end("slice")
                return
            line = next(todo, None)
            if line is None:
                return
            try:
                await self._answer(line)
            except Unavailable:
                self._end("later")
                return

    async def _answer(self, line: Line) -> None:
        """Asks until there is an answer that stays, as long as nothing ends it."""
        claimed = self._work.claimed
        while True:
            tries = self._tries.get(line.number, 0)
            asked = request_id(claimed.job.id, line.number)
            reply = await self._calls.send(claimed.job.input["endpoint"], line.body, claimed.key_digest, asked)
            wait = _wait_seconds(reply, tries)
            if wait is None:
                await self._keep(line, reply, asked)
                return
            async with self._work.database.write(claimed.tenant_id) as session:
                self._tries[line.number] = await repository.try_again(session, claimed.job.id, line.number)
            if wait > self._work.seconds_left:
                self._end("slice")
                return
            try:
                async with asyncio.timeout(wait):
                    await self._stop.wait()
                return
            except TimeoutError:
                continue

    async def _keep(self, line: Line, reply: Reply, asked: UUID) -> None:
        claimed, good = self._work.claimed, reply.status < 400
        answered = Answered(line.number, reply.status, _output(line, reply, asked).decode())
        async with self._work.database.write(claimed.tenant_id) as session:
            await repository.put(session, claimed.job.id, answered)
        self._progress["completed" if good else "failed"] += 1


def _wait_seconds(reply: Reply, tries: int) -> float | None:
    """How long to wait before asking again; None = the answer stays. What gives way to others waits until the batch
    expires.
    """
    if reply.is_overload:
        return min(float(2**tries), OVERLOAD_WAIT_SECONDS)
    if reply.status not in _TRIED_AGAIN or tries + 1 >= MOST_TRIES:
        return None
    wait = float(2**tries) if reply.retry_after_seconds is None else float(max(1, reply.retry_after_seconds))
    return wait if wait <= LONGEST_WAIT_SECONDS else None


def _output(line: Line, reply: Reply, asked: UUID) -> bytes:
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        body = reply.body.decode("utf-8", "replace")
    response = {"status_code": reply.status, "request_id": str(asked), "body": body}
    row = {"id": f"batch_req_{asked.hex}", "custom_id": line.custom_id, "response": response, "error": None}
    return orjson.dumps(row)


def _expired(job_id: UUID, line: Line) -> bytes:
    error = {"code": "batch_expired", "message": "The batch's time was over before this request was made."}
    name = f"batch_req_{request_id(job_id, line.number).hex}"
    return orjson.dumps({"id": name, "custom_id": line.custom_id, "response": None, "error": error})


def _refused(progress: dict[str, Any], errors: list[LineError]) -> Done:
    first = errors[0]
    where = "" if first.number is None else f" Line {first.number}:"
    shown = [{"code": e.code, "message": e.message, "param": e.param, "line": e.number} for e in errors]
    error = JobError(code="invalid_batch_file", message=f"The file is no batch.{where} {first.message}")
    return Done("failed", progress, {"errors": shown}, error)


def _output_life(given: dict[str, Any]) -> timedelta:
    expiry = given.get("output_expires_after")
    return OUTPUT_LIFE if expiry is None else timedelta(seconds=expiry["seconds"])
