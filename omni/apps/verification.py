"""Every integrity check, for `omni verify`, the tour and the tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import redis.asyncio

from omni.apps.system import open_system_database
from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import UsageAccount
from omni.domains.budgets import facade as budgets
from omni.domains.ledger import facade as ledger
from omni.domains.metering import facade as metering
from omni.domains.metering.contracts import Difference
from omni.domains.payments import facade as payments
from omni.domains.payments.facade import Mismatch, Providers
from omni.domains.sla import facade as sla
from omni.domains.tenants import facade as tenants
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database, ReadSession, SystemSession
from omni.kit.clock import SystemClock

if TYPE_CHECKING:
    from omni.apps.worker.services import Services
    from omni.foundation.db.system_session import SystemDatabase

DRAIN_SECONDS = 45.0
BOOKING_SECONDS = 10.0
"""What a payment provider has told is booked by a task of its own: until then payments and books differ."""
PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Verification:
    """What the checks found."""

    tenants: int
    waiting_events: int
    """Usage events still in Redis after waiting for the drain: not lost, but not in PostgreSQL yet."""
    differences: tuple[Difference, ...]


async def verify_all(address: DatabaseAddress, redis_url: str) -> Verification:
    """Events against rollups, rollups at their prices against invoices, invoices and payments against the books."""
    async with _opened(address, redis_url) as books:
        waiting = await _wait_for_drain(books.drain)
        async with books.system.session() as session:
            differences = await _across_tenants(session)
        tenants_seen = await all_tenants(books.system)
        differences += await in_tenants(books.database, tenants_seen, check_books, BOOKING_SECONDS)
        return Verification(len(tenants_seen), waiting, tuple(differences))


@dataclass(frozen=True, slots=True)
class BillingVerification:
    """Live usage of tenants beside what bills it."""

    accounts: tuple[tuple[UUID, UsageAccount], ...]
    """By tenant id."""
    waiting_events: int
    """Usage events still in Redis after waiting for the drain."""
    differences: tuple[Difference, ...]

    @property
    def unique_events(self) -> int:
        """Raw events of what is sold; one that two meters count is an event of each."""
        return sum(
            meter.events.events for _, account in self.accounts for meter in account.meters if meter.state == "sold"
        )

    @property
    def billed_events(self) -> int:
        """Events in lines of invoices, drafts and upcoming invoices."""
        return sum(
            counted.events
            for _, account in self.accounts
            for meter in account.meters
            for counted in (meter.invoices, meter.upcoming)
        )

    @property
    def agrees(self) -> bool:
        return not self.differences and not self.waiting_events and self.billed_events == self.unique_events


async def verify_billing(
    address: DatabaseAddress, redis_url: str, tenant_id: UUID | None = None
) -> BillingVerification:
    """Raw events = rollups = invoice lines = books, of every tenant or of one."""
    async with _opened(address, redis_url) as books:
        waiting = await _wait_for_drain(books.drain)
        async with books.system.session() as session:
            differences = await _across_tenants(session)
        if tenant_id is not None:
            differences = [each for each in differences if each.tenant_id == tenant_id]
        accounts: dict[UUID, UsageAccount] = {}

        async def check(read: ReadSession) -> list[Difference]:
            account = accounts[read.tenant_id] = await billing.usage_account(read, SystemClock().now())
            return [*account.differences, *await billing.verify_tenant(read), *await sla.verify_tenant(read)]

        looked_at = [tenant_id] if tenant_id is not None else await all_tenants(books.system)
        differences += await in_tenants(books.database, looked_at, check, BOOKING_SECONDS)
        return BillingVerification(tuple(accounts.items()), waiting, tuple(differences))


@dataclass(frozen=True, slots=True)
class _Books:
    """What a verification reads."""

    database: Database
    system: SystemDatabase
    drain: metering.Drain


@asynccontextmanager
async def _opened(address: DatabaseAddress, redis_url: str) -> AsyncIterator[_Books]:
    pool = PoolSettings(size=1, statement_timeout_seconds=600)
    database = Database(create_engine(address.url(Role.APP), "omni-verify", pool))
    system = open_system_database(address, "verify", pool)
    client = redis.asyncio.Redis.from_url(redis_url, socket_timeout=5)
    try:
        yield _Books(database, system, metering.Drain(client, system.session, "verify"))
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


async def reconcile(
    services: Services,
    providers: Providers,
    period: tuple[datetime, datetime],
    booking_seconds: float = BOOKING_SECONDS,
) -> Reconciled:
    """Usage ↔ invoices ↔ ledger ↔ payments ↔ providers, for invoices of periods that end in `period` and payments
    made since it began. Raises what the providers do."""
    async with services.system.session() as session:
        differences = await _across_tenants(session)
    tenants_seen = await all_tenants(services.system)

    async def check(read: ReadSession) -> list[Difference]:
        return [*await billing.verify_tenant(read, period), *await budgets.verify_wallet(read)]

    differences += await in_tenants(services.database, tenants_seen, check, booking_seconds)
    intake = payments.Intake(services.database, services.system.session, providers, SystemClock())
    mismatches = [
        mismatch for name in providers.names() for mismatch in await payments.reconcile(intake, name, period[0])
    ]
    return Reconciled(len(tenants_seen), tuple(differences), tuple(mismatches))


async def _across_tenants(session: SystemSession) -> list[Difference]:
    """Events against rollups, the books against themselves, and the numbers of invoices."""
    return [*await metering.verify(session), *await ledger.verify(session), *await billing.verify_numbers(session)]


async def check_books(read: ReadSession) -> list[Difference]:
    """A tenant's invoices against usage and books, its payments against the books, its wallet, its credits."""
    return [
        *await billing.verify_tenant(read),
        *await budgets.verify_wallet(read),
        *await sla.verify_tenant(read),
    ]


async def in_tenants(
    database: Database,
    tenant_ids: Sequence[UUID],
    check: Callable[[ReadSession], Awaitable[list[Difference]]],
    booking_seconds: float,
) -> list[Difference]:
    """What differs in each tenant, and still does once what was being booked has had its time."""

    async def look(tenant_id: UUID) -> list[Difference]:
        async with database.snapshot(tenant_id) as read:
            return await check(read)

    found = {tenant_id: await look(tenant_id) for tenant_id in tenant_ids}
    deadline = time.monotonic() + booking_seconds
    while (differing := [each for each in found if found[each]]) and time.monotonic() < deadline:
        await asyncio.sleep(PAUSE_SECONDS)
        for tenant_id in differing:
            found[tenant_id] = await look(tenant_id)
    return [difference for each in found.values() for difference in each]


async def _wait_for_drain(drain: metering.Drain) -> int:
    """Entries left after giving the worker a while."""
    waiting = await drain.backlog()
    for _ in range(int(DRAIN_SECONDS * 10)):
        if not waiting:
            return 0
        await asyncio.sleep(0.1)
        waiting = await drain.backlog()
    return waiting


async def all_tenants(system: SystemDatabase) -> list[UUID]:
    """Their ids."""
    found: list[UUID] = []
    while page := await tenants.list_tenants(system, found[-1] if found else None):
        found += [tenant.tenant_id for tenant in page]
    return found
