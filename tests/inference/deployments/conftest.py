"""Deployments whose versions answer as the test says, and whose counts are written when the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from omni.contracts.principal import Principal
from omni.foundation.db.sessions import Database
from omni.inference.deployments.answering import DeploymentAnswering
from omni.inference.deployments.counting import Counters
from omni.inference.deployments.feedback_ids import PredictionIds
from omni.inference.deployments.reporting import Reporting
from omni.inference.deployments.schemas import Deployment, DeploymentPredictRequest, DeploymentRequest
from omni.inference.deployments.service import DeploymentService
from omni.inference.registry.contracts import NewVersion
from omni.inference.registry.registering import register
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.experiments.service import ExperimentService
from omni.kit.clock import ManualClock, unix_micros
from omni.kit.errors import OmniError
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import DeploymentMetrics

Answer = Callable[[int], dict[str, Any]]


@dataclass
class Scripted:
    """Answers for a version by a function, and keeps who was asked."""

    answer: Answer = lambda number: {"outputs": {"y": [float(number)]}}
    asked: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, call: Call, model_id: UUID, number: int, body: object) -> dict[str, Any]:
        self.asked.append(number)
        await self.gate.wait()
        answer = self.answer(number)
        call.usage.predictions += 1
        return {"model": "m", "version": number, **answer}


@dataclass
class World:
    """A tenant with a model of four versions, and one backend."""

    database: Database
    pool: EnginePool
    clock: ManualClock
    versions: Scripted
    tenant_id: UUID = field(default_factory=uuid7)
    ids: PredictionIds = field(default_factory=lambda: PredictionIds(b"secret"))

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = DeploymentMetrics(self.registry)
        self.service = DeploymentService(self.database, self.clock)
        self.counters, self.answering = self.backend()
        self.reporting = Reporting(self.database, self.pool, ExperimentService(self.pool), self.clock)

    def backend(self) -> tuple[Counters, DeploymentAnswering]:
        """Another backend on the same database."""
        counters = Counters(self.database, self.clock, self.metrics, write_seconds=3_600)
        return counters, DeploymentAnswering(self.database, self.versions, counters, self.pool, self.ids)

    def call(self) -> Call:
        deadline = unix_micros() + 60_000_000
        return Call(Principal(uuid7(), self.tenant_id, uuid7(), "test", None, deadline))

    async def deploy(self, **fields: Any) -> Deployment:
        body = {"name": "live", "model": "m", "versions": [{"version": 1}], **fields}
        return await self.service.create(self.tenant_id, DeploymentRequest.model_validate(body))

    async def ask(
        self, user: str | None = None, answering: DeploymentAnswering | None = None, *, shadow: bool = True
    ) -> dict[str, Any]:
        """The answer, once what follows it is done, too; an error's code in its place."""
        request = DeploymentPredictRequest(user=user, inputs={"x": [1]})
        try:
            answer, later = await (answering or self.answering).predict(self.call(), "live", request)
        except OmniError as error:
            return {"error": error.code}
        if shadow:
            await later()
        return answer

    async def ask_all(self, users: range, answering: DeploymentAnswering | None = None) -> list[dict[str, Any]]:
        return [await self.ask(f"user-{number}", answering) for number in users]

    async def get(self) -> Deployment:
        return await self.service.get(self.tenant_id, "live")


@pytest.fixture
async def world(database: Database, engine_pool: EnginePool) -> World:
    made = World(database, engine_pool, ManualClock(datetime(2026, 11, 29, 12, 0, tzinfo=UTC)), Scripted())
    made.versions.gate.set()
    async with database.write(made.tenant_id) as session:
        for number in range(1, 5):
            new = NewVersion("m", "", "onnx", f"models/{number}", "0" * 64, 1, {"inputs": []}, job_id=uuid7())
            assert (await register(session, new))[1] == number
    return made
