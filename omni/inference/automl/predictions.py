"""The compute job `predictions`: the rows of a dataset through a model, a slice at a time, into one file."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from omni.contracts.principal import Principal
from omni.contracts.usage import PREDICTIONS
from omni.foundation.objects import ObjectStore
from omni.inference.automl.checks import read_input
from omni.inference.automl.leftovers import forget, part_name
from omni.inference.automl.runner import is_forecasting
from omni.inference.automl.schemas import MAX_EXPLAINED_ROWS, PredictionsRequest
from omni.inference.compute.work import ComputeTask
from omni.inference.datasets.schemas import Dataset
from omni.inference.datasets.service import DatasetService
from omni.inference.files.repository import NewFile
from omni.inference.files.service import FileService
from omni.inference.jobs.runner import Done, More
from omni.inference.jobs.schemas import JobError, State
from omni.inference.registry.contracts import Runner, StoredVersion
from omni.inference.runtime.lazy import LazyEngine
from omni.kit.errors import InvalidInput, NotFound
from omni.kit.ids import derived_uuid7, uuid7_time

if TYPE_CHECKING:
    from omni.inference.automl.rows import TableRows

Lookup = Callable[[UUID, str, str | None], Awaitable[tuple[StoredVersion, Runner]]]
"""Tenant, model, version or alias (None = the one served) → the version and who serves it. Raises NotFound."""
ROWS_AT_ONCE = 2_000
PART_EXPLAINED = MAX_EXPLAINED_ROWS
OUTPUT_LIFE = timedelta(days=30)
SPARE_SECONDS = 5.0
_GONE = JobError(code="dataset_gone", message="The dataset was deleted before all of its rows were predicted.")


class PredictionsWork:
    """A ComputeWork. The answers of each part are an object whose name the job and the part's first row determine."""

    def __init__(
        self, datasets: DatasetService, objects: ObjectStore, files: FileService, lookup: Lookup,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> None:  # fmt: skip
        self._datasets = datasets
        self._objects = objects
        self._files = files
        self._lookup = lookup
        self._rows_at_once = rows_at_once
        self._engine: LazyEngine[type[TableRows]] = LazyEngine(
            "omni.inference.automl.rows", lambda module: module.TableRows
        )

    async def bound(self, who: Principal, given: Mapping[str, Any]) -> dict[str, int]:
        """The dataset's rows. Raises InvalidInput, and NotFound for the dataset and the model."""
        request = read_input(PredictionsRequest, given)
        dataset = await self._datasets.get(who.tenant_id, request.dataset_id)
        version, _ = await self._lookup(who.tenant_id, request.model, request.version)
        _check(request, dataset, version)
        return {PREDICTIONS: dataset.rows}

    async def work(self, task: ComputeTask) -> Done | More:
        """Predicts on, part by part."""
        progress: dict[str, Any] = {"rows_done": 0, "parts": [], "warnings": {}, **task.job.progress}
        request, tenant_id = read_input(PredictionsRequest, task.job.input), task.call.principal.tenant_id
        # The version of the first slice serves all: an alias may move meanwhile.
        version, runner = await self._lookup(tenant_id, request.model, progress.get("version") or request.version)
        progress["version"] = str(version.number)
        try:
            dataset = await self._datasets.get(tenant_id, request.dataset_id)
            data = await self._datasets.parquet(tenant_id, request.dataset_id)
        except NotFound:
            return await self._finish(task, request, progress, "failed", _GONE)
        progress["rows"] = dataset.rows
        inputs = [each["name"] for each in version.signature["inputs"]]
        table = await asyncio.to_thread(lambda: self._engine.get()(data, inputs, request.keep))
        size = min(self._rows_at_once, PART_EXPLAINED) if request.explain else self._rows_at_once
        while progress["rows_done"] < dataset.rows:
            if await task.is_cancelled():
                return await self._finish(task, request, progress, "cancelled")
            if task.seconds_left < SPARE_SECONDS and progress["parts"] != task.job.progress.get("parts", []):
                return More(progress)
            await self._part(task, request, progress, (version, runner), table, size)
        return await self._finish(task, request, progress, "succeeded")

    async def _part(
        self, task: ComputeTask, request: PredictionsRequest, progress: dict[str, Any],
        served: tuple[StoredVersion, Runner], table: TableRows, size: int,
    ) -> None:  # fmt: skip
        """The next rows: answered, and stored as an object that replaces itself when it is made again."""
        start, (version, runner) = progress["rows_done"], served
        rows = await asyncio.to_thread(table.inputs, start, size)
        body = {"rows": rows, **({"explain": True} if request.explain else {})}
        try:
            answer = await runner.predict(task.call, version, body)
        except InvalidInput as error:
            error.message = f"Among the rows from {start} on: {error.message}"
            raise
        made = await asyncio.to_thread(table.written, start, answer, request.format)
        if start == 0:
            progress["header"] = table.header(answer, request.format)
        await self._objects.put(task.call.principal.tenant_id, part_name(task.job.id, start), made)
        for warning in answer.get("warnings", ()):
            key = f"{warning['code']}: {warning['feature']}"
            progress["warnings"] = {**progress["warnings"], key: progress["warnings"].get(key, 0) + warning["rows"]}
        progress["parts"] = [*progress["parts"], start]
        progress["rows_done"] = start + len(rows)

    async def _finish(
        self, task: ComputeTask, request: PredictionsRequest, progress: dict[str, Any], state: State,
        error: JobError | None = None,
    ) -> Done:  # fmt: skip
        """One file of all parts, also of a job that ended early: what is done is charged. Then the parts stay, for one
        who tries the job again."""
        result: dict[str, Any] = {"rows": progress["rows_done"], "version": int(progress["version"])}
        if progress["parts"]:
            result["output_file_id"] = await self._file(task, request, progress)
        for what, rows in sorted(progress["warnings"].items()):
            await task.log("warning", f"{what}, in {rows} rows.")
        await task.log("info", f"{state.capitalize()}: {progress['rows_done']} rows predicted.")
        if state == "succeeded":
            await forget(self._objects, task.call.principal.tenant_id, task.job.id, (), progress["parts"])
            progress["parts"] = []
        return Done(state, progress, result, error)

    async def _file(self, task: ComputeTask, request: PredictionsRequest, progress: dict[str, Any]) -> str:
        tenant_id, job_id = task.call.principal.tenant_id, task.job.id
        name = f"predictions_{job_id.hex}.{request.format}"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            with path.open("wb") as file:
                file.write(progress.get("header", "").encode())
                for start in progress["parts"]:
                    file.write(await self._objects.get(tenant_id, part_name(task.job.id, start)))
            new = NewFile(
                derived_uuid7(job_id.int >> 80, job_id.bytes + name.encode()), task.call.principal.project_id, name,
                "predictions", await asyncio.to_thread(os.path.getsize, path), uuid7_time(job_id) + OUTPUT_LIFE,
            )  # fmt: skip
            return (await self._files.put_output(tenant_id, new, path)).id


def _check(request: PredictionsRequest, dataset: Dataset, version: StoredVersion) -> None:
    """Raises InvalidInput `column_unknown`, `no_features` or `batch_unsupported`."""
    columns = {column.name for column in dataset.columns}
    for name in request.keep:
        if name not in columns:
            raise InvalidInput("column_unknown", f"The dataset has no column {name!r}.", param="keep")
    if is_forecasting(version):
        raise InvalidInput(
            "batch_unsupported", "A forecast has no rows to predict: ask the model itself for its next steps.",
            param="model",
        )  # fmt: skip
    inputs = [str(each["name"]) for each in version.signature.get("inputs", ())]
    if not columns & set(inputs):
        raise InvalidInput(
            "no_features", f"The dataset has no feature of the model: {', '.join(inputs[:20])}.", param="dataset_id"
        )
