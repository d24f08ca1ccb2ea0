"""The compute job `automl`: a search in slices, then a version of a model."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omni.contracts.principal import Principal
from omni.contracts.usage import TRAINING_MS
from omni.foundation.objects import ObjectStore
from omni.inference.automl.checks import check_columns, read_input, require_lightgbm
from omni.inference.automl.child import ARTIFACT, RESULT
from omni.inference.automl.leftovers import forget, kept_name
from omni.inference.automl.schemas import AutomlRequest
from omni.inference.automl.trainer import Outcome, TrainingSlice, train
from omni.inference.compute.work import SLICE_SECONDS, ComputeTask
from omni.inference.datasets.service import DatasetService
from omni.inference.jobs.runner import Done, More
from omni.inference.jobs.schemas import JobError, Level
from omni.inference.registry.contracts import NewVersion, Register
from omni.kit.errors import Conflict, NotFound
from omni.telemetry.inference_metrics import TrainingMetrics

SEARCH_SHARE = 0.75
"""Of the budget; the rest is for the ensemble and the last fits."""
SPARE_SECONDS = 3.0
"""Of a slice: to fetch and to keep what lies in the object store."""
MOST_DEATHS = 3
_GONE = JobError(code="dataset_gone", message="The dataset was deleted before the model was trained.")
_DIED = JobError(
    code="training_failed",
    message="The training process died several times: it needs too much memory. Send fewer columns or rows.",
)


class AutomlWork:
    """A ComputeWork. Progress keeps what was tried; the object store what took long to compute."""

    def __init__(
        self, datasets: DatasetService, objects: ObjectStore, register: Register, metrics: TrainingMetrics,
        slice_seconds: float = SLICE_SECONDS,
    ) -> None:  # fmt: skip
        self._datasets = datasets
        self._objects = objects
        self._register = register
        self._metrics = metrics
        self._slice_seconds = slice_seconds

    async def bound(self, who: Principal, given: Mapping[str, Any]) -> dict[str, int]:
        """The time budget. Raises InvalidInput, NotFound `dataset_not_found`, NotConfigured
        `engine_not_installed`."""
        require_lightgbm()
        request = read_input(AutomlRequest, given)
        check_columns(request, await self._datasets.get(who.tenant_id, request.dataset_id))
        return {TRAINING_MS: request.time_budget_seconds * 1_000}

    async def work(self, task: ComputeTask) -> Done | More:
        """Searches on, or ends."""
        progress = dict(task.job.progress)
        progress.setdefault("trials", [])
        progress.setdefault("kept", [])
        if await task.is_cancelled():
            return await self._ended(task, Done("cancelled", progress))
        request = read_input(AutomlRequest, task.job.input)
        try:
            data = await self._datasets.parquet(task.call.principal.tenant_id, request.dataset_id)
        except NotFound:
            return await self._ended(task, Done("failed", progress, error=_GONE))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            await self._fetch(task, folder, data, progress["kept"])
            outcome = await self._slice(task, request, folder, progress)
            if outcome.end == "done":
                return await self._finish(task, request, folder, progress)
            if outcome.end == "more":
                progress["kept"] = await self._keep(task, folder, progress["kept"])
                return More(progress)
        return await self._other_end(task, outcome, progress)

    async def _slice(
        self, task: ComputeTask, request: AutomlRequest, folder: Path, progress: dict[str, Any]
    ) -> Outcome:
        """One training process; progress and usage afterwards say what it did."""

        async def log(level: str, message: str) -> None:
            checked: Level = "warning" if level == "warning" else "info"
            await task.log(checked, message)

        used = float(progress.get("seconds", 0.0))
        over = progress.get("phase") == "finishing"
        left = 0.0 if over else max(0.0, request.time_budget_seconds * SEARCH_SHARE - used)
        with self._metrics.processes.track_inprogress():
            outcome = await train(
                TrainingSlice(
                    request.model_dump(mode="json"), folder / "data.parquet", folder / "kept", progress["trials"],
                    max(1.0, min(self._slice_seconds, task.seconds_left) - SPARE_SECONDS), left,
                ),
                task.is_cancelled,
                log,
            )  # fmt: skip
        self._metrics.duration.observe(outcome.seconds, outcome.end or "died")
        self._metrics.trials.add(count=len(outcome.trials))
        progress |= outcome.said
        progress["trials"] = [*progress["trials"], *outcome.trials]
        progress["seconds"] = round(used + outcome.seconds, 3)
        task.call.usage.training_ms += min(round(outcome.seconds * 1_000), task.most.get(TRAINING_MS, 0))
        return outcome

    async def _other_end(self, task: ComputeTask, outcome: Outcome, progress: dict[str, Any]) -> Done | More:
        if outcome.end == "cancelled":
            return await self._ended(task, Done("cancelled", progress))
        if outcome.refused is not None:
            code, message = outcome.refused
            return await self._ended(task, Done("failed", progress, error=JobError(code=code, message=message)))
        progress["deaths"] = progress.get("deaths", 0) + 1
        if progress["deaths"] >= MOST_DEATHS:
            return await self._ended(task, Done("failed", progress, error=_DIED))
        await task.log("warning", "The training process died; the next slice goes on from what was tried.")
        return More(progress)

    async def _finish(self, task: ComputeTask, request: AutomlRequest, folder: Path, progress: dict[str, Any]) -> Done:
        """Stores and registers the model. Done again after a crash it finds what is there."""
        tenant_id, job_id = task.call.principal.tenant_id, task.job.id
        artifact = await asyncio.to_thread((folder / "kept" / ARTIFACT).read_bytes)
        result = json.loads(await asyncio.to_thread((folder / "kept" / RESULT).read_text))
        name, source = f"models/automl/{job_id.hex}", await asyncio.to_thread(_sha256, folder / "data.parquet")
        await self._objects.put(tenant_id, name, artifact)
        new = NewVersion(
            model_name=request.model_name, task=result["task"], format="automl", object_name=name,
            sha256=hashlib.sha256(artifact).hexdigest(), size_bytes=len(artifact), signature=result["signature"],
            metrics=result["metrics"], card=result["card"], job_id=job_id,
            lineage={
                "dataset_id": str(request.dataset_id), "job_id": str(job_id), "source_sha256": source,
                "seed": request.seed,
            },
        )  # fmt: skip
        try:
            async with task.database.write(tenant_id) as session:
                model_id, number = await self._register(session, new)
        except Conflict:  # the model is of another task: nobody will ever ask for the file
            await self._objects.delete(tenant_id, name)
            raise
        await task.log("info", f"Version {number} of {request.model_name!r} is registered.")
        shown = {name: result[name] for name in ("task", "why_task", "metric", "metrics", "leaderboard", "members")}
        made = {"model_id": str(model_id), "model": request.model_name, "version": number, **shown,
                "warnings": result["card"]["warnings"]}  # fmt: skip
        progress["phase"] = "done"
        return await self._ended(task, Done("succeeded", progress, made))

    async def _ended(self, task: ComputeTask, done: Done) -> Done:
        """Forgets what only the next slice would have needed."""
        await forget(self._objects, task.call.principal.tenant_id, task.job.id, done.progress.get("kept", ()), ())
        return Done(done.state, {**done.progress, "kept": []}, done.result, done.error)

    async def _fetch(self, task: ComputeTask, folder: Path, data: bytes, kept: list[str]) -> None:
        (folder / "kept").mkdir()
        await asyncio.to_thread((folder / "data.parquet").write_bytes, data)
        for name in kept:
            try:
                content = await self._objects.get(task.call.principal.tenant_id, kept_name(task.job.id, name))
            except NotFound:
                continue  # it is computed again
            await asyncio.to_thread((folder / "kept" / name).write_bytes, content)

    async def _keep(self, task: ComputeTask, folder: Path, known: list[str]) -> list[str]:
        """Stores what is new; the names of all."""
        found = sorted(path.name for path in (folder / "kept").iterdir() if _is_kept(path.name))
        for name in found:
            if name not in known:
                await self._objects.put(
                    task.call.principal.tenant_id, kept_name(task.job.id, name), folder / "kept" / name
                )
        return sorted({*known, *found})


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_kept(name: str) -> bool:
    return name.startswith(("outside-", "member-")) and not name.endswith(".part")
