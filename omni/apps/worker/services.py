"""What the worker's parts are built from: connections, and the list of tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta

import httpx2
import redis.asyncio
import structlog

from omni.apps.database import database_address
from omni.apps.mail import create_mailer
from omni.apps.payments import crypto_provider, payment_providers
from omni.apps.settings import Settings
from omni.apps.status_page import status_page
from omni.apps.system import open_system_database
from omni.apps.worker.sweeping import sweep_task
from omni.apps.worker.vector_storage import vector_storage_task
from omni.domains.billing import facade as billing
from omni.domains.identity import tasks as identity_tasks
from omni.domains.metering import facade as metering
from omni.domains.payments import facade as payments
from omni.domains.payments.facade import Intake, Providers, StoredDeposits, Watcher
from omni.domains.payments.providers.http import TIMEOUT
from omni.domains.sla import facade as sla
from omni.domains.sla.contracts import StatusPage
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import Role
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.http.old_answers import forget_old_answers
from omni.foundation.http_client import create_http_client
from omni.foundation.mail import Mailer
from omni.foundation.objects import ObjectStore
from omni.foundation.outbound import OutboundPost
from omni.foundation.outbox.messages import forget_processed
from omni.foundation.outbox.relay import Message, bury
from omni.foundation.outbox.schedule import Schedule
from omni.foundation.redis_client import create_redis
from omni.foundation.tasks.runtime import Bury
from omni.foundation.tasks.task import Delivery, Task
from omni.inference.calling import GatewayCalls
from omni.inference.job_work import forget_old_jobs, job_runner
from omni.inference.jobs.runner import TASK_SECONDS
from omni.inference.jobs.tasks import NOTIFY, RUN
from omni.inference.jobs.webhooks import JobWebhooks
from omni.kit.clock import SystemClock
from omni.portal.control_plane_tasks import TaskDeps, control_plane_tasks
from omni.telemetry.metrics import DatabaseMetrics, TaskMetrics

log = structlog.stdlib.get_logger("omni.worker")

HOUSEKEEPING = "worker.housekeeping"
PARTITIONS = "metering.ensure_partitions"
BILLING_RUN = "billing.run"
RECONCILE_PAYMENTS = "payments.reconcile"
WATCH_DEPOSITS = "payments.watch_deposits"
SLA_RUN = "sla.run"
RECOVER_JOBS = "worker.recover_jobs"
FORGET_JOBS = "worker.forget_jobs"
SWEEP_OBJECTS = "worker.sweep_objects"
METER_VECTORS = "retrieval.meter_vectors"
RECONCILED_PERIOD = timedelta(days=3)
"""Longer than a provider goes on sending a webhook that failed, and than PayPal's search is behind."""
SCHEDULES = (
    Schedule("housekeeping", HOUSEKEEPING, timedelta(hours=1)),
    Schedule("usage-partitions", PARTITIONS, timedelta(hours=6)),
    Schedule("billing-run", BILLING_RUN, timedelta(minutes=1)),
    Schedule("reconcile-payments", RECONCILE_PAYMENTS, timedelta(hours=1)),
    Schedule("watch-deposits", WATCH_DEPOSITS, timedelta(minutes=1)),
    Schedule("sla-months", SLA_RUN, timedelta(hours=1)),
    Schedule("recover-jobs", RECOVER_JOBS, timedelta(seconds=15)),
    Schedule("job-webhooks", NOTIFY, timedelta(seconds=30)),
    Schedule("forget-jobs", FORGET_JOBS, timedelta(hours=1)),
    Schedule("sweep-objects", SWEEP_OBJECTS, timedelta(hours=1)),
    Schedule("meter-vectors", METER_VECTORS, timedelta(minutes=15)),
    Schedule("forget-ended-logins", identity_tasks.FORGET_ENDED, identity_tasks.FORGET_ENDED_EVERY),
)


@dataclass(frozen=True, slots=True)
class Services:
    """Connections of one process."""

    database: Database
    system: SystemDatabase
    redis: redis.asyncio.Redis
    mailer: Mailer
    master_key: MasterKey
    http: httpx2.AsyncClient
    listen_dsn: str
    """For the one plain connection that waits for notifications."""


@asynccontextmanager
async def open_services(
    settings: Settings, process: str, pool: PoolSettings, metrics: DatabaseMetrics | None = None
) -> AsyncIterator[Services]:
    """Opens them lazily: nothing is connected before it is used."""
    address = database_address(settings)
    services = Services(
        Database(create_engine(address.url(Role.APP), f"omni-{process}", pool, metrics)),
        open_system_database(address, process, pool, metrics),
        create_redis(settings.redis_address()),
        create_mailer(settings),
        address.master_key,
        create_http_client(TIMEOUT),
        address.url(Role.SYSTEM).set(drivername="postgresql").render_as_string(hide_password=False),
    )
    try:
        yield services
    finally:
        await services.http.aclose()
        await services.redis.aclose()
        await services.database.close()
        await services.system.close()


def all_tasks(settings: Settings, services: Services, metrics: TaskMetrics) -> list[Task]:
    """Every task that the platform knows."""
    clock = SystemClock()
    deposits = StoredDeposits(services.database, services.system.session)
    providers = payment_providers(settings, services.http, deposits, clock)
    watcher = crypto_provider(settings, services.http, deposits, clock)
    deps = TaskDeps(
        services.database,
        services.redis,
        services.mailer,
        services.master_key,
        settings.console_url,
        clock,
        providers,
    )
    own = _own_tasks(services, providers, watcher, status_page(settings, services.http))
    return [*control_plane_tasks(deps), *own, *_inference_tasks(settings, services, clock, metrics)]


@asynccontextmanager
async def open_tasks(settings: Settings, metrics: TaskMetrics) -> AsyncIterator[tuple[Sequence[Task], Bury]]:
    """The tasks with connections of their own, for a child of the task worker."""
    async with open_services(settings, "tasks", PoolSettings(size=1, overflow=2)) as services:

        async def bury_message(message: Message, error: str, attempts: int) -> None:
            async with services.system.session() as session:
                await bury(session, message, error, attempts)

        yield all_tasks(settings, services, metrics), bury_message


def _own_tasks(services: Services, providers: Providers, watcher: Watcher | None, page: StatusPage) -> list[Task]:
    clock = SystemClock()

    async def housekeeping(_delivery: Delivery) -> None:
        async with services.database.shared() as session:
            await forget_old_answers(session, clock.now())
        async with services.system.session() as session:
            await forget_processed(session, clock.now())
            await metering.forget_keys(session, clock.now())

    async def partitions(_delivery: Delivery) -> None:
        async with services.system.session() as session:
            await metering.ensure_partitions(session, clock.now())

    async def billing_run(_delivery: Delivery) -> None:
        await billing.find_due(services.database, services.system.session, clock.now())

    async def count_meter(delivery: Delivery) -> None:
        await metering.count_meter(services.system.session, str(delivery.args["code"]))

    async def reconcile_payments(_delivery: Delivery) -> None:
        intake = Intake(services.database, services.system.session, providers, clock)
        for name in providers.names():
            for mismatch in await payments.reconcile(intake, name, clock.now() - RECONCILED_PERIOD):
                log.error("payment_mismatch", **asdict(mismatch))

    async def watch_deposits(_delivery: Delivery) -> None:
        if watcher is not None:
            await payments.watch_deposits(services.database, services.system.session, watcher, clock)

    async def sla_run(_delivery: Delivery) -> None:
        await sla.MonthlyRun(services.database, services.system.session, page, clock.now()).run()

    return [
        Task(HOUSEKEEPING, housekeeping),
        Task(PARTITIONS, partitions),
        Task(BILLING_RUN, billing_run),
        Task(metering.COUNT_METER, count_meter),
        Task(RECONCILE_PAYMENTS, reconcile_payments),
        Task(WATCH_DEPOSITS, watch_deposits),
        Task(SLA_RUN, sla_run),
        vector_storage_task(METER_VECTORS, services.system, clock),
    ]


def _inference_tasks(settings: Settings, services: Services, clock: SystemClock, metrics: TaskMetrics) -> list[Task]:
    objects = ObjectStore(settings.objects())
    calls = GatewayCalls(
        services.http, settings.gateway_url or settings.public_url, services.master_key.derive("principal"), clock
    )
    outbound, key = OutboundPost(), services.master_key.derive("job-webhooks")
    webhooks = JobWebhooks(services.database, services.system.session, outbound, key, clock)
    runner = job_runner(services.database, services.system.session, objects, calls, clock, metrics.jobs)

    async def run(_delivery: Delivery) -> None:
        await runner.run_next()

    async def recover(_delivery: Delivery) -> None:
        await runner.recover()

    async def notify(_delivery: Delivery) -> None:
        while await webhooks.deliver_due():
            pass

    async def forget(_delivery: Delivery) -> None:
        await forget_old_jobs(services.database, services.system.session, objects, clock.now())

    return [
        Task(RUN, run, TASK_SECONDS),
        Task(RECOVER_JOBS, recover),
        Task(FORGET_JOBS, forget),
        Task(NOTIFY, notify),
        sweep_task(SWEEP_OBJECTS, services.database, services.system, objects, clock, metrics),
    ]
