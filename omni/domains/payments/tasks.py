"""Jobs of the payments domain."""

from __future__ import annotations

from omni.domains.payments.contracts import NewCustomer
from omni.domains.payments.service import charges
from omni.domains.payments.service.providers import Providers
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import Database
from omni.foundation.tasks.task import Delivery, Task
from omni.kit.clock import Clock


def tasks(database: Database, providers: Providers, clock: Clock) -> list[Task]:
    """`payments.charge(tenant_id, payment_id)`, `payments.refresh(…)`, `payments.refund(tenant_id, refund_id)`."""

    async def charge(delivery: Delivery) -> None:
        tenant_id = delivery.uuid("tenant_id")
        async with database.read(tenant_id) as session:
            tenant = await tenants.get_tenant(session)
            emails = await tenants.owner_emails(session)
        customer = NewCustomer(tenant_id, tenant.name, emails[0] if emails else "")
        await charges.make_charge(database, providers, customer, delivery.uuid("payment_id"), clock)

    async def refresh(delivery: Delivery) -> None:
        tenant_id, payment_id = delivery.uuid("tenant_id"), delivery.uuid("payment_id")
        await charges.look_again(database, providers, tenant_id, payment_id, clock)

    async def refund(delivery: Delivery) -> None:
        tenant_id, refund_id = delivery.uuid("tenant_id"), delivery.uuid("refund_id")
        await charges.make_refund(database, providers, tenant_id, refund_id, clock)

    return [Task(charges.CHARGE, charge), Task(charges.REFRESH, refresh), Task(charges.REFUND, refund)]
