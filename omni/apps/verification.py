"""Every integrity check, for `omni verify`, the tour and the tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import redis.asyncio

from omni.apps.system import open_system_database
from omni.domains.billing import facade as billing
from omni.domains.budgets import facade as budgets
from omni.domains.ledger import facade as ledger
from omni.domains.metering import facade as metering
from omni.domains.metering.contracts import Difference
from omni.domains.payments import facade as payments
from omni.domains.payments.facade import Mismatch, Providers
from omni.domains.tenants import facade as tenants
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database, SystemSession
from omni.kit.clock import SystemClock

if TYPE_CHECKING:
    from omni.apps.worker.services import Services
    from omni.foundation.db.system_session import SystemDatabase

DRAIN_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Verification:
    """What the checks found."""

    tenants: int
    waiting_events: int
    """Usage events still in Redis after waiting for the drain: not lost, but not in PostgreSQL yet."""
    differences: tuple[Difference, ...]


async def verify_all(address: DatabaseAddress, redis_url: str) -> Verification:
    """Events against rollups, and raw events at the book's prices against each tenant's draft invoice."""
    database = Database(create_engine(address.url(Role.APP), "omni-verify", PoolSettings(size=1)))
    pool = PoolSettings(size=1, statement_timeout_seconds=600)
    system = open_system_database(address, "verify", pool)
    client = redis.asyncio.Redis.from_url(redis_url, socket_timeout=5)
    try:
        waiting = await _wait_for_drain(metering.Drain(client, system.session, "verify"))
        async with system.session() as session:
            differences = await _across_tenants(session)
        count = 0
        for tenant_id in await _all_tenants(system):
            count += 1
            async with database.read(tenant_id) as read:
                differences += await billing.verify_draft(read, SystemClock().now())
                differences += await billing.verify_tenant(read)
                differences += await budgets.verify_wallet(read)
        return Verification(count, waiting, tuple(differences))
    finally:
        await client.aclose()
        await database.close()
        await system.close()


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What comparing usage, invoices, books and payment providers found."""

    tenants: int
    differences: tuple[Difference, ...]
    mismatches: tuple[Mismatch, ...]


async def reconcile(services: Services, providers: Providers, period: tuple[datetime, datetime]) -> Reconciled:
    """Usage ↔ invoices ↔ ledger ↔ payments ↔ providers, for invoices of periods that end in `period` and payments
    made since it began. Raises what the providers do."""
    async with services.system.session() as session:
        differences = await _across_tenants(session)
    tenants_seen = await _all_tenants(services.system)
    for tenant_id in tenants_seen:
        async with services.database.read(tenant_id) as read:
            differences += await billing.verify_tenant(read, period)
            differences += await budgets.verify_wallet(read)
    intake = payments.Intake(services.database, services.system.session, providers, SystemClock())
    mismatches = [
        mismatch for name in providers.names() for mismatch in await payments.reconcile(intake, name, period[0])
    ]
    return Reconciled(len(tenants_seen), tuple(differences), tuple(mismatches))


async def _across_tenants(session: SystemSession) -> list[Difference]:
    """Events against rollups, the books against themselves, and the numbers of invoices."""
    return [*await metering.verify(session), *await ledger.verify(session), *await billing.verify_numbers(session)]


async def _wait_for_drain(drain: metering.Drain) -> int:
    """Entries left after giving the worker a while."""
    waiting = await drain.backlog()
    for _ in range(int(DRAIN_SECONDS * 10)):
        if not waiting:
            return 0
        await asyncio.sleep(0.1)
        waiting = await drain.backlog()
    return waiting


async def _all_tenants(system: SystemDatabase) -> list[UUID]:
    found: list[UUID] = []
    while page := await tenants.list_tenants(system, found[-1] if found else None):
        found += [tenant.tenant_id for tenant in page]
    return found
