"""T13: a cent that is planted in usage, invoices, books or at the payment provider is found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from sqlalchemy import text

from omni.apps.verification import Reconciled, reconcile
from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import Invoice, LegalEntity
from omni.domains.billing.service import subscribing
from omni.domains.ledger import facade as ledger
from omni.domains.ledger.contracts import Account, Transaction
from omni.domains.metering import facade as metering
from omni.domains.payments.facade import Providers
from omni.testing.control_plane import ControlPlane
from omni.testing.usage import usage_event
from tests.domains.billing.sales import CALLS, FEE, publish
from tests.domains.billing.test_paying import newest, save_method, settle
from tests.domains.people import People, Person

CENT = 10**7


async def found(
    plane: ControlPlane, owner: Person, period: tuple[datetime, datetime], booking_seconds: float = 0
) -> Reconciled:
    """What is wrong with this tenant, and at the provider."""
    services = cast(Any, SimpleNamespace(system=plane.system_database, database=plane.database))
    told = await reconcile(services, Providers({"stripe": plane.payments}), period, booking_seconds)
    return Reconciled(1, tuple(each for each in told.differences if each.tenant_id == owner.tenant_id), told.mismatches)


async def in_usage(plane: ControlPlane, owner: Person, invoice: Invoice) -> None:
    async with plane.system_database.session() as session:
        at = invoice.period_start + timedelta(seconds=1)
        await metering.record(session, [usage_event(owner.tenant_id, at, requests=1)])


async def in_the_invoice(plane: ControlPlane, owner: Person, invoice: Invoice) -> None:
    async with plane.database.write(owner.tenant_id) as session:
        more = "update invoices set net_minor = net_minor + 1, gross_minor = gross_minor + 1 where id = :id"
        await session.execute(text(more), {"id": invoice.invoice_id})


async def in_the_books(plane: ControlPlane, owner: Person, invoice: Invoice) -> None:
    async with plane.database.write(owner.tenant_id) as session:
        entries = ledger.entries((Account.RECEIVABLE, CENT), (Account.REVENUE, -CENT))
        await ledger.post(session, Transaction("EUR", "planted", uuid4().hex, plane.clock.now(), entries))


async def at_the_provider(plane: ControlPlane, owner: Person, invoice: Invoice) -> None:
    plane.payments.overstate(invoice.invoice_id, 1)


Plant = Callable[[ControlPlane, Person, Invoice], Awaitable[None]]


@pytest.mark.parametrize("plant", [in_usage, in_the_invoice, in_the_books, at_the_provider])
async def test_a_planted_cent_is_found(plane: ControlPlane, people: People, seller: LegalEntity, plant: Plant) -> None:
    await publish(plane, "pro", FEE, CALLS, anchor="anniversary")
    owner = await people.owner()
    begun = plane.clock.now() - timedelta(days=40)
    async with plane.system_database.session() as system:
        await metering.ensure_partitions(system, datetime.now(UTC))
        events = [usage_event(owner.tenant_id, begun + timedelta(days=day), requests=100) for day in range(1, 20)]
        await metering.record(system, events)
    await save_method(plane, owner)
    async with plane.database.write(owner.tenant_id) as session:
        await subscribing.start(session, "pro", begun)
        await billing.bill_tenant(session, plane.clock.now())
    await settle(plane)
    invoice = await newest(plane, owner)
    assert (invoice.status, invoice.net_minor) == ("paid", 1900 + 3000)
    period = (begun, plane.clock.now())
    clean = await found(plane, owner, period)
    assert (clean.differences, clean.mismatches) == ((), ())
    await plant(plane, owner, invoice)
    planted = await found(plane, owner, period)
    assert planted.differences or planted.mismatches


async def test_what_is_booked_meanwhile_is_no_difference(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE, anchor="anniversary")
    owner = await people.owner()
    begun = plane.clock.now() - timedelta(hours=2)
    await save_method(plane, owner)
    async with plane.database.write(owner.tenant_id) as session:
        await subscribing.start(session, "pro", begun)
        await billing.bill_tenant(session, plane.clock.now())
    while "payments.charge" not in [message.task for message in await plane.run_tasks()]:
        pass
    period = (begun, plane.clock.now())
    at_once = await found(plane, owner, period)
    assert [each.check for each in at_once.differences] == ["payments = ledger"]
    told, _ = await asyncio.gather(found(plane, owner, period, booking_seconds=20), settle(plane))
    assert told.differences == ()
