"""A tenant with files, and a worker whose requests are answered by the test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from prometheus_client import CollectorRegistry

from omni.contracts.quotes import Terms
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.objects import ObjectStore
from omni.inference.calling import Reply
from omni.inference.job_work import job_runner
from omni.inference.jobs.runner import JobRunner
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import JobMetrics
from tests.inference.backend import Backend

EMBEDDINGS = "/v1/embeddings"
GOOD = b'{"object":"list"}'
Answer = Callable[[dict[str, Any], UUID], Reply]


class MovingClock:
    """The real time, and what the test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class ScriptedCalls:
    """Answers requests by a function, and keeps what was asked."""

    answer: Answer = lambda _body, _request_id: Reply(200, GOOD, None)
    asked: list[tuple[str, str, UUID]] = field(default_factory=list)
    """Path, input and request id of each request."""

    async def send(
        self, path: str, body: dict[str, Any], key_digest: str, request_id: UUID, terms: Terms | None = None
    ) -> Reply:
        assert (key_digest, terms) == (KEY_DIGEST, None)
        self.asked.append((path, body["input"], request_id))
        return self.answer(body, request_id)


KEY_DIGEST = "ab" * 32


@dataclass
class World:
    """A tenant, and the worker that works for it."""

    tenant: Backend
    calls: ScriptedCalls
    runner: JobRunner
    clock: MovingClock
    metrics: CollectorRegistry

    async def upload(self, data: bytes, purpose: str = "batch") -> str:
        response = await self.tenant.send(
            "POST", "/v1/files", files={"file": ("requests.jsonl", data)}, data={"purpose": purpose}
        )
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    async def batch(self, data: bytes, **fields: Any) -> str:
        """The id of a new batch."""
        body = {"input_file_id": await self.upload(data), "endpoint": EMBEDDINGS, "completion_window": "24h", **fields}
        response = await self.tenant.post("/v1/batches", body)
        assert response.status_code == 200, response.text
        assert response.json()["status"] == "validating"
        return str(response.json()["id"])

    async def get(self, path: str) -> Any:
        response = await self.tenant.send("GET", path)
        assert response.status_code == 200, response.text
        return response.json()

    async def lines(self, file_id: str) -> list[dict[str, Any]]:
        """A file of JSON lines."""
        response = await self.tenant.send("GET", f"/v1/files/{file_id}/content")
        assert response.status_code == 200, response.text
        return [orjson.loads(line) for line in response.content.splitlines()]

    async def work(self) -> None:
        """Until nothing is left to do."""
        while await self.runner.run_next():
            pass


@pytest.fixture
def world(stored: Backend, database: Database, system_database: SystemDatabase, objects: ObjectStore) -> World:
    calls, clock = ScriptedCalls(), MovingClock()
    tenant = dataclasses.replace(stored, tenant_id=uuid7(), key_digest=KEY_DIGEST)
    registry = CollectorRegistry()
    runner = job_runner(database, system_database.session, objects, calls, clock, JobMetrics(registry))
    return World(tenant, calls, runner, clock, registry)


def requests(*texts: str) -> bytes:
    """A batch's file: an embedding of each text."""
    rows = [
        {"custom_id": f"row-{n}", "method": "POST", "url": EMBEDDINGS, "body": {"model": "m", "input": text}}
        for n, text in enumerate(texts)
    ]
    return b"\n".join(orjson.dumps(row) for row in rows)
