"""`omni serve backend`: the AI endpoints, behind the gateway."""

from __future__ import annotations

import asyncio
import tempfile

import httpx2
import uvloop
from fastapi import APIRouter, Request

from omni import __version__
from omni.apps.database import database_address, pool_settings
from omni.apps.health import Check
from omni.apps.serving import begin, until_stopped
from omni.apps.settings import Settings
from omni.apps.tracing import create_tracing
from omni.apps.web import serve_app
from omni.contracts.endpoints import ENDPOINTS
from omni.contracts.principal import Principal
from omni.domains.metering import routes as metering
from omni.foundation.db.engine import create_engine
from omni.foundation.db.roles import Role
from omni.foundation.db.sessions import Database
from omni.foundation.http.app import AppSettings, create_app
from omni.foundation.http_client import create_http_client
from omni.foundation.objects import ObjectStore
from omni.inference.app import build_pool, build_routers
from omni.inference.caller import caller
from omni.inference.calling import REQUEST_SECONDS, Asks, GatewayCalls
from omni.inference.runtime.pool import EnginePool
from omni.inference.serving.settings import MIB, ServingSettings
from omni.inference.settings import InferenceSettings
from omni.kit.clock import Clock, SystemClock
from omni.telemetry.inference_metrics import InferenceMetrics
from omni.telemetry.metrics import DatabaseMetrics, EngineMetrics, HttpMetrics

MULTIPART_OVERHEAD_BYTES = 64 * 1024


def main() -> None:
    """Runs until SIGTERM."""
    settings = Settings()
    uvloop.run(until_stopped(lambda stop: _run(settings, stop)))


async def _run(settings: Settings, stop: asyncio.Event) -> None:
    registry = begin("backend", settings)
    settings.uploads_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    tempfile.tempdir = str(settings.uploads_folder.absolute())
    address = database_address(settings)
    database = Database(
        create_engine(address.url(Role.APP), "omni-backend", pool_settings(settings), DatabaseMetrics(registry))
    )
    checks: dict[str, Check] = {"database": database.ping}
    tracing = create_tracing("backend", settings, registry)
    inference = InferenceSettings(
        model_cache=settings.models_folder,
        principal_secret=address.master_key.derive("principal"),
        restore_secret=address.master_key.derive("pii-restore"),
        state_secret=address.master_key.derive("series-state"),
        webhook_secret=address.master_key.derive("job-webhooks"),
        engine_threads=settings.engine_threads,
        serving=ServingSettings(
            processes=settings.model_processes,
            processes_per_tenant=settings.model_processes_per_tenant,
            memory_bytes=settings.model_memory_mib * MIB,
            process_memory_bytes=settings.model_process_memory_mib * MIB,
        ),
    )
    http = create_http_client(httpx2.Timeout(REQUEST_SECONDS))
    asks = GatewayCalls(http, settings.gateway_url or settings.public_url, inference.principal_secret, SystemClock())
    pool, objects = build_pool(inference, EngineMetrics(registry)), ObjectStore(settings.objects())

    app = create_app(
        AppSettings(
            "Omni API",
            __version__,
            max(endpoint.max_body_bytes for endpoint in ENDPOINTS) + MULTIPART_OVERHEAD_BYTES,
            trust_request_id=True,
            api_keys=True,
        ),
        backend_routers(inference, database, pool, objects, SystemClock(), InferenceMetrics(registry), asks),
        checks,
        tracing,
        HttpMetrics(registry),
    )
    address_of_app = (settings.backend_host, settings.backend_port)
    await serve_app(app, address_of_app, checks, settings, registry, stop)
    pool.close()
    await http.aclose()
    await database.close()
    tracing.close()


def backend_routers(
    inference: InferenceSettings,
    database: Database,
    pool: EnginePool,
    objects: ObjectStore,
    clock: Clock,
    metrics: InferenceMetrics,
    asks: Asks | None = None,
) -> list[APIRouter]:
    """The AI endpoints, and those at which usage is reported."""
    who = caller(inference.principal_secret)

    def principal(request: Request) -> Principal:
        return who(request).principal

    events = metering.ingest_router(metering.IngestDeps(database, principal, clock))
    return [*build_routers(inference, database, pool, objects, clock, metrics, asks), events]
