"""Every AI operation under schemathesis: all checks, good and bad data, sequences of calls (bar S11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from schemathesis.python.asgi import shutdown_lifespans

from omni.apps.backend import backend_routers
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.foundation.http.app import AppSettings, create_app
from omni.foundation.objects import ObjectStore
from omni.inference.app import build_pool
from omni.inference.calling import Reply
from omni.inference.settings import InferenceSettings
from omni.kit.clock import SystemClock
from omni.telemetry.inference_metrics import InferenceMetrics
from omni.telemetry.metrics import EngineMetrics, HttpMetrics
from omni.telemetry.traces import Tracing
from tests.inference.fuzz.campaign import campaign
from tests.inference.fuzz.front import Front

SEED = 20_110
UNANSWERED = ["POST /v1/jobs/{job_id}/retry"]
"""Nobody works on jobs here, so none ends that could be tried again."""
LARGEST_BODY_BYTES = 33 * 1024 * 1024


class Writer:
    """A chat model that copies the first source."""

    async def ask(self, path: str, body: dict[str, Any], key_digest: str, request_id: UUID, seconds: float) -> Reply:
        source = body["messages"][0]["content"].rpartition("[1] ")[2].splitlines()[-1]
        return Reply(200, orjson.dumps({"choices": [{"message": {"content": f"{source} [1]"}}]}), None)


@pytest.fixture(scope="module")
def front(
    inference_settings: InferenceSettings, database_address: DatabaseAddress, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    """The whole backend on a real database and a folder of files."""
    database = Database(create_engine(database_address.url(Role.APP), "fuzz", PoolSettings()))
    objects = ObjectStore(f"file://{tmp_path_factory.mktemp('fuzz-objects')}")
    pool = build_pool(inference_settings, EngineMetrics(CollectorRegistry()))
    app: FastAPI = create_app(
        AppSettings("Omni API", "0", LARGEST_BODY_BYTES, trust_request_id=True, api_keys=True),
        backend_routers(
            inference_settings, database, pool, objects, SystemClock(), InferenceMetrics(CollectorRegistry()), Writer()
        ),
        {},
        Tracing("fuzz", "0", None),
        HttpMetrics(CollectorRegistry()),
    )
    app.router.on_shutdown.append(database.close)
    yield Front(app, inference_settings.principal_secret)
    shutdown_lifespans()
    pool.close()


@pytest.mark.timeout(600)
def test_a_few_cases_of_every_operation(front: Front) -> None:
    findings = campaign(front, examples=6, scenarios=25, seed=SEED, boundaries=False)
    print(findings.report())
    assert not findings.errors
    assert not findings.failures
    assert findings.never_answered() == UNANSWERED
    assert findings.cases > 500


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_thousand_cases(front: Front) -> None:
    findings = campaign(front, examples=80, scenarios=400, seed=SEED + 1, boundaries=True)
    print(findings.report())
    assert not findings.errors
    assert not findings.failures
    assert findings.cases >= 10_000
