"""`omni serve console`: the control-plane API and the pages for people."""

from __future__ import annotations

import asyncio

import uvloop

from omni import __version__
from omni.apps.database import database_address, pool_settings
from omni.apps.health import Check
from omni.apps.operations import create_operations
from omni.apps.payments import payment_providers
from omni.apps.serving import begin, until_stopped
from omni.apps.settings import Settings
from omni.apps.status_page import status_page
from omni.apps.system import open_system_database
from omni.apps.tracing import create_tracing
from omni.apps.web import serve_app
from omni.domains.payments.facade import StoredDeposits
from omni.domains.payments.providers.http import TIMEOUT
from omni.foundation.crypto.passwords import Passwords
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import Role
from omni.foundation.db.sessions import Database
from omni.foundation.http.app import AppSettings, create_app
from omni.foundation.http_client import create_http_client
from omni.kit.clock import SystemClock
from omni.portal.control_plane import ControlPlaneDeps, control_plane_routers
from omni.portal.docs import routes as docs
from omni.portal.ui.sessions import BrowserSessions
from omni.telemetry.metrics import DatabaseMetrics, HttpMetrics

MAX_BODY_BYTES = 1024 * 1024


def main() -> None:
    """Runs until SIGTERM."""
    settings = Settings()
    uvloop.run(until_stopped(lambda stop: _run(settings, stop)))


async def _run(settings: Settings, stop: asyncio.Event) -> None:
    registry = begin("console", settings)
    address = database_address(settings)
    db_metrics = DatabaseMetrics(registry)
    database = Database(create_engine(address.url(Role.APP), "omni-console", pool_settings(settings), db_metrics))
    system = open_system_database(address, "console", PoolSettings(size=1, overflow=2), db_metrics)
    checks: dict[str, Check] = {"database": database.ping}
    tracing = create_tracing("console", settings, registry)
    clock, http = SystemClock(), create_http_client(TIMEOUT)
    providers = payment_providers(settings, http, StoredDeposits(database, system.session), clock)
    passwords = Passwords()
    deps = ControlPlaneDeps(
        database, system, address.master_key, passwords, clock, status_page(settings, http), providers
    )
    operations = create_operations(settings, BrowserSessions(database, passwords, clock, settings.console_url), clock)

    app = create_app(
        AppSettings("Omni console", __version__, MAX_BODY_BYTES, trust_request_id=False),
        [*control_plane_routers(deps), docs.router(), *operations.routers],
        checks,
        tracing,
        HttpMetrics(registry),
    )
    address_of_app = (settings.console_host, settings.console_port)
    reading = asyncio.create_task(operations.run())
    await serve_app(app, address_of_app, checks, settings, registry, stop)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await operations.close()
    await http.aclose()
    await database.close()
    await system.close()
    tracing.close()
