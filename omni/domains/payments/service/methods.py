"""Saving, showing and forgetting the methods that a tenant is charged by."""

from __future__ import annotations

from uuid import UUID

from omni.domains.payments import repository
from omni.domains.payments.contracts import NewCustomer, SetupSession, StoredMethod
from omni.domains.payments.service.charges import ensure_customer
from omni.domains.payments.service.providers import Providers
from omni.foundation.db.sessions import Database, ReadSession
from omni.kit.clock import Clock
from omni.kit.errors import Conflict, NotFound
from omni.kit.ids import uuid7


async def list_methods(session: ReadSession) -> list[StoredMethod]:
    """Oldest first."""
    return await repository.all_methods(session)


async def start_setup(
    database: Database, providers: Providers, provider: str, tenant: NewCustomer, return_url: str
) -> SetupSession:
    """A page of the provider's on which the tenant saves a method."""
    chosen = providers.get(provider)
    customer = await ensure_customer(database, providers, provider, tenant)
    return await chosen.start_setup(customer, return_url, uuid7().hex)


async def finish_setup(
    database: Database, providers: Providers, provider: str, tenant_id: UUID, session_id: str, clock: Clock
) -> StoredMethod:
    """Keeps what the tenant saved on that page. Raises Conflict `setup_not_finished`, also for a page of another's."""
    saved = await providers.get(provider).finish_setup(session_id)
    async with database.write(tenant_id) as session:
        customer = await repository.customer_of(session, provider)
        if saved is None or saved.customer != customer:
            raise Conflict("setup_not_finished", "No method was saved there yet. Finish on the provider's page first.")
        return await repository.keep_method(session, provider, saved, clock.now())


async def remove_method(database: Database, providers: Providers, tenant_id: UUID, method_id: UUID) -> None:
    """Forgets a method here and at the provider. Raises NotFound `payment_method_not_found`."""
    async with database.read(tenant_id) as session:
        found = {each.method_id: each for each in await repository.all_methods(session)}.get(method_id)
    if found is None:
        raise NotFound("payment_method_not_found", "There is no such payment method.")
    await providers.get(found.provider).remove_method(found.saved.method)
    async with database.write(tenant_id) as session:
        await repository.delete_method(session, method_id)
