"""Taking in what providers tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

from omni.domains.payments import repository
from omni.domains.payments.contracts import EventKind, PaymentEvent
from omni.domains.payments.service.charges import REFRESH, record
from omni.domains.payments.service.providers import Providers
from omni.foundation.db.sessions import Database, SystemSession, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.clock import Clock

READ_AGAIN = frozenset({"paypal"})
"""Providers whose signature is too weak to book by: what they tell of a payment makes us ask them."""

OpenSystemSession = Callable[[], AbstractAsyncContextManager[SystemSession]]


@dataclass(frozen=True, slots=True)
class Intake:
    """What webhooks are taken in with."""

    database: Database
    open_system_session: OpenSystemSession
    """For the one look-up across tenants: whose payment an event is about."""
    providers: Providers
    clock: Clock


async def take(intake: Intake, provider: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Verifies a webhook and books its events, each once, with all that follows from it in one transaction.

    What is about no payment or customer of ours is left alone: the provider's account may serve others too. Raises
    InvalidInput for what is not signed, NotConfigured.
    """
    chosen = intake.providers.get(provider)
    for event in await chosen.parse_webhook(body, headers, intake.clock.now()):
        owner = await _owner(intake, provider, event)
        if owner is None:
            continue
        saved = await chosen.get_method(event.subject) if event.kind == EventKind.METHOD_SAVED else None
        async with intake.database.shared() as shared:
            if not await repository.first_webhook(shared, provider, event):
                continue
            session = await shared.enter_tenant(owner)
            if saved is not None:
                await repository.keep_method(session, provider, saved, intake.clock.now())
            else:
                await _book(session, provider, event)


async def _owner(intake: Intake, provider: str, event: PaymentEvent) -> UUID | None:
    async with intake.open_system_session() as system:
        if event.kind == EventKind.METHOD_SAVED:
            return await repository.owner_of_customer(system, provider, event.customer)
        return await repository.owner_of_payment(system, provider, event.payment_id, event.provider_payment_id)


async def _book(session: WriteSession, provider: str, event: PaymentEvent) -> None:
    payment_id = await _payment_id(session, provider, event)
    if payment_id is None:
        return
    if provider in READ_AGAIN and event.kind.value.startswith("payment."):
        await enqueue(session, REFRESH, tenant_id=session.tenant_id, payment_id=payment_id)
        return
    await record(session, event, payment_id)


async def _payment_id(session: WriteSession, provider: str, event: PaymentEvent) -> UUID | None:
    if event.payment_id is not None and await repository.find_payment(session, event.payment_id):
        return event.payment_id
    return await repository.payment_at(session, provider, event.provider_payment_id)
