"""What the worker reads of PostgreSQL, Redis and the business for its metrics, and the comparing of the books."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from omni.apps.verification import BOOKING_SECONDS, all_tenants, check_books, in_tenants
from omni.apps.worker.services import Services
from omni.contracts import redis_names
from omni.domains.billing import facade as billing
from omni.domains.metering import facade as metering
from omni.domains.payments import facade as payments
from omni.foundation.db.figures import database_figures
from omni.foundation.outbox.relay import waiting_messages
from omni.foundation.tasks.celery_app import JOBS_QUEUE, QUEUE
from omni.inference.job_work import job_queues
from omni.kit.clock import Clock, month_start
from omni.telemetry.metrics import Figures, PlatformMetrics, WorkerMetrics

PAYMENTS_SINCE = timedelta(days=30)
PAUSES_PER_READING = 20
"""Figures of the business are sums over a month of all tenants: reading them takes a twentieth of the time at most."""
PAUSE_BETWEEN_TENANTS_SECONDS = 0.02
"""So that comparing never crowds out what tenants wait for."""

log = structlog.stdlib.get_logger("omni.worker")


class Inspector:
    """Keeps the platform's figures fresh."""

    def __init__(self, services: Services, platform: PlatformMetrics, worker: WorkerMetrics, clock: Clock) -> None:
        self._services = services
        self._platform = platform
        self._worker = worker
        self._clock = clock
        self._business_due = 0.0

    async def read_round(self) -> bool:
        """One reading of everything. Raises what the database or Redis do."""
        now = self._clock.now()
        await self._read_redis()
        async with self._services.system.session() as session:
            database = await database_figures(session)
            waiting, dead = await waiting_messages(session)
            queues = await job_queues(session, now)
        self._worker.outbox_messages.set(waiting)
        self._worker.dead_messages.set(dead)
        self._platform.put({f"omni_postgres_{name}": _one(value) for name, value in database.items()})
        self._platform.put(
            {
                "omni_jobs_waiting": {(kind,): each.waiting for kind, each in queues.items()},
                "omni_jobs_working": {(kind,): each.working for kind, each in queues.items()},
                "omni_jobs_oldest_seconds": {(kind,): each.oldest_seconds for kind, each in queues.items()},
            }
        )
        started = time.monotonic()
        if started >= self._business_due:
            await self._read_business(now)
            ended = time.monotonic()
            self._business_due = ended + PAUSES_PER_READING * (ended - started)
        self._platform.put({"omni_platform_read_timestamp_seconds": _one(now.timestamp())})
        return False

    async def _read_business(self, now: datetime) -> None:
        async with self._services.system.session() as session:
            active = await metering.active_tenants(session, now)
            used = await metering.used_this_month(session, now)
            invoices = await billing.invoice_counts(session)
            overdue = await billing.overdue_invoices(session, now)
            revenue = await billing.revenue(session, month_start(now))
            paid = await payments.payment_counts(session, now - PAYMENTS_SINCE)
            webhooks = await payments.webhook_counts(session, now - PAYMENTS_SINCE)
        self._platform.put(
            {
                "omni_active_tenants": _one(active),
                "omni_usage_quantity": _by_meter(used),
                "omni_spend_nanos": _one(used.get("spend_nanos", 0)),
                "omni_provider_cost_nanos": _one(used.get("cost_nanos", 0)),
                "omni_invoices": invoices,
                "omni_invoices_overdue": _one(overdue),
                "omni_revenue_minor": revenue,
                "omni_payments": paid,
                "omni_payment_webhooks": webhooks,
            }
        )

    async def compare_round(self) -> bool:
        """Compares every tenant's invoices, payments, wallet and books."""
        differences = 0
        for tenant_id in await all_tenants(self._services.system):
            found = await self._compare(tenant_id)
            differences += found
            self._platform.verified.labels("different" if found else "ok").inc()
            await asyncio.sleep(PAUSE_BETWEEN_TENANTS_SECONDS)
        self._platform.differences.set(differences)
        self._platform.verified_at.set(self._clock.now().timestamp())
        return False

    async def _compare(self, tenant_id: UUID) -> int:
        found = await in_tenants(self._services.database, [tenant_id], check_books, BOOKING_SECONDS)
        for difference in found:
            log.error("books_differ", tenant_id=str(tenant_id), difference=str(difference))
        return len(found)

    async def _read_redis(self) -> None:
        client = self._services.redis
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.info()
            pipeline.llen(QUEUE)
            pipeline.llen(JOBS_QUEUE)
            for number in range(redis_names.PARTITIONS):
                pipeline.zcard(redis_names.holds_index(number))
            info, queued, jobs, *holds = await pipeline.execute()
        self._worker.queued_tasks.set(queued + jobs)
        self._worker.open_holds.set(sum(holds))
        self._platform.put(_redis_figures(info))


def _redis_figures(info: dict[str, Any]) -> dict[str, Figures]:
    good = info.get("rdb_last_bgsave_status") == "ok" and info.get("aof_last_write_status", "ok") == "ok"
    return {
        "omni_redis_memory_bytes": _one(info["used_memory"]),
        "omni_redis_memory_limit_bytes": _one(info.get("maxmemory", 0)),
        "omni_redis_clients": _one(info["connected_clients"]),
        "omni_redis_persistence_ok": _one(good),
        "omni_redis_commands": _one(info["total_commands_processed"]),
        "omni_redis_evicted_keys": _one(info["evicted_keys"]),
        "omni_redis_keyspace_hits": _one(info["keyspace_hits"]),
        "omni_redis_keyspace_misses": _one(info["keyspace_misses"]),
    }


def _one(value: Any) -> Figures:
    return {(): float(value)}


def _by_meter(used: dict[str, int]) -> Figures:
    return {(meter,): quantity for meter, quantity in used.items() if not meter.endswith("_nanos")}
