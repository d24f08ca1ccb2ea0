"""A tenant with datasets, compute jobs that are worked on here, and a registry that only remembers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from prometheus_client import CollectorRegistry

from omni.contracts.principal import PRINCIPAL_HEADER, Principal
from omni.contracts.usage import PREDICTIONS, TRAINING_MS
from omni.foundation.db.sessions import Database, WriteSession
from omni.foundation.objects import ObjectStore
from omni.inference.automl.runner import AutomlRunner
from omni.inference.automl.work import AutomlWork
from omni.inference.compute.work import ComputeTask, ComputeWork
from omni.inference.datasets.service import DatasetService
from omni.inference.files.service import FileService
from omni.inference.jobs import repository
from omni.inference.jobs.repository import NewJob
from omni.inference.jobs.runner import Done, More
from omni.inference.jobs.schemas import Job
from omni.inference.registry.contracts import NewVersion, StoredVersion
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.kit.clock import unix_micros
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import TrainingMetrics
from tests.inference.backend import SECRET, Backend

__all__ = ["PRINCIPAL_HEADER"]


@dataclass
class Registry:
    """Remembers versions; the same job's is the same version."""

    versions: list[NewVersion] = field(default_factory=list)

    async def register(self, session: WriteSession, new: NewVersion) -> tuple[UUID, int]:
        for number, known in enumerate(self.versions, 1):
            if known.job_id == new.job_id:
                return UUID(int=1), number
        self.versions.append(new)
        return UUID(int=1), len(self.versions)

    def stored(self, tenant_id: UUID, number: int = 1) -> StoredVersion:
        new = self.versions[number - 1]
        return StoredVersion(
            tenant_id, UUID(int=1), number, new.format, new.object_name, new.sha256, new.size_bytes, new.signature
        )


@dataclass
class World:
    """A tenant and all that works for it."""

    tenant: Backend
    database: Database
    objects: ObjectStore
    pool: EnginePool
    registry: Registry
    datasets: DatasetService
    files: FileService
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.training = TrainingMetrics(self.metrics)

    @property
    def runner(self) -> AutomlRunner:
        return AutomlRunner(self.objects, self.pool)

    def call(self, seconds: float = 120) -> Call:
        return Call(Principal.verify(self.tenant.principal(seconds), SECRET, unix_micros()))

    def automl(self, slice_seconds: float = 30.0) -> AutomlWork:
        return AutomlWork(self.datasets, self.objects, self.registry.register, self.training, slice_seconds)

    async def dataset(self, data: bytes, name: str = "table.csv") -> str:
        """The id of a new dataset."""
        upload = await self.tenant.send("POST", "/v1/files", files={"file": (name, data)}, data={"purpose": "dataset"})
        made = await self.tenant.post("/v1/datasets", {"file_id": upload.json()["id"], "name": name})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def job(self, kind: str, given: Mapping[str, Any]) -> Job:
        who = self.call().principal
        new = NewJob(
            kind, orjson.loads(orjson.dumps(given)), who.project_id, None, "", None,
            datetime.now(UTC) + timedelta(hours=1),
        )  # fmt: skip
        async with self.database.write(self.tenant.tenant_id) as session:
            return (await repository.add(session, new))[0]

    def task(self, job: Job, most: Mapping[str, int] | None = None) -> ComputeTask:
        return ComputeTask(self.call(), job, self.database, most or {TRAINING_MS: 3_600_000, PREDICTIONS: 10**9})

    async def work(self, work: ComputeWork, job: Job, most_slices: int = 40) -> tuple[Done, list[ComputeTask]]:
        """Slices until the job is done, with the progress of each passed on through JSON as the database does."""
        tasks = []
        for _ in range(most_slices):
            tasks.append(self.task(job))
            outcome = await work.work(tasks[-1])
            if isinstance(outcome, Done):
                return outcome, tasks
            assert isinstance(outcome, More)
            job = job.model_copy(update={"progress": orjson.loads(orjson.dumps(dict(outcome.progress)))})
        raise AssertionError("the job does not end")

    async def log(self, job: Job) -> list[str]:
        async with self.database.read(self.tenant.tenant_id) as session:
            return [line.message for line in await repository.log_page(session, job.id, 1_000, None)]


@pytest.fixture
def world(stored: Backend, database: Database, objects: ObjectStore, engine_pool: EnginePool) -> World:
    tenant = dataclasses.replace(stored, tenant_id=uuid7())
    files = FileService(database, objects)
    datasets = DatasetService(database, objects, files, engine_pool)
    return World(tenant, database, objects, engine_pool, Registry(), datasets, files)
