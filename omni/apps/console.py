"""`omni serve console`: the control-plane API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvloop
from fastapi import APIRouter, FastAPI

from omni import __version__
from omni.apps.database import database_address, pool_settings
from omni.apps.health import HealthMonitor
from omni.apps.serving import begin, serve_metrics, until_stopped
from omni.apps.settings import Settings
from omni.apps.system import open_system_database
from omni.apps.web import WebServer
from omni.domains.billing import routes as billing
from omni.domains.identity import routes as identity
from omni.domains.identity.guard import UserGuard
from omni.domains.keys import routes as keys
from omni.domains.metering import routes as metering
from omni.domains.plans import routes as plans
from omni.domains.pricing import routes as pricing
from omni.domains.tenants import routes as tenants
from omni.domains.tenants.guard import TenantGuard
from omni.domains.tenants.routes.deps import TenantsDeps
from omni.foundation.crypto.passwords import Passwords
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import Role
from omni.foundation.db.sessions import Database
from omni.foundation.http.app import AppSettings, create_app
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock, SystemClock
from omni.telemetry.metrics import HttpMetrics
from omni.telemetry.traces import Tracing

if TYPE_CHECKING:
    from omni.foundation.db.system_session import SystemDatabase

MAX_BODY_BYTES = 1024 * 1024


def main() -> None:
    """Runs until SIGTERM."""
    settings = Settings()
    uvloop.run(until_stopped(lambda stop: _run(settings, stop)))


def console_routers(
    database: Database, system: SystemDatabase, master_key: MasterKey, passwords: Passwords, clock: Clock
) -> list[APIRouter]:
    """Every router of the control plane."""
    unit_of_work = UnitOfWork(master_key)
    users, access = UserGuard(database, clock), TenantGuard(database, clock)
    return [
        identity.router(identity.IdentityDeps(database, unit_of_work, passwords, master_key, clock)),
        tenants.router(
            TenantsDeps(
                database,
                system,
                unit_of_work,
                passwords,
                master_key,
                users.current_user,
                users.operator,
                clock,
            )
        ),
        plans.router(plans.PlansDeps(database, unit_of_work, users.operator, clock)),
        keys.router(keys.KeysDeps(database, unit_of_work, access, clock)),
        metering.router(metering.MeteringDeps(database, access, clock)),
        pricing.router(pricing.PricingDeps(database, unit_of_work, users.operator, clock)),
        billing.router(billing.BillingDeps(database, access, clock)),
    ]


async def _run(settings: Settings, stop: asyncio.Event) -> None:
    registry = begin("console", settings)
    address = database_address(settings)
    database = Database(create_engine(address.url(Role.APP), "omni-console", pool_settings(settings)))
    system = open_system_database(address, "console", PoolSettings(size=1, overflow=2))
    tracing = Tracing("console", __version__, settings.otlp_endpoint, settings.trace_sample_ratio)
    monitor = HealthMonitor({"database": database.ping})
    routers = console_routers(database, system, address.master_key, Passwords(), SystemClock())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield

    app = create_app(
        AppSettings("Omni console", __version__, MAX_BODY_BYTES, trust_request_id=False),
        routers,
        {"database": database.ping},
        tracing,
        HttpMetrics(registry),
        lifespan,
    )
    server = WebServer(app, settings.console_host, settings.console_port, settings.drain_seconds)
    await server.start()
    await monitor.check_now()
    metrics = serve_metrics(settings.metrics_host, settings.metrics_port, registry, monitor.health)
    checking = asyncio.create_task(monitor.run())
    await stop.wait()
    monitor.stopping()
    await server.stop()
    checking.cancel()
    await database.close()
    await system.close()
    tracing.close()
    metrics.shutdown()
