"""Deposits on chains: where they are kept, and looking at them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from omni.domains.payments import repository
from omni.domains.payments.contracts import Deposit, PaymentEvent
from omni.domains.payments.rules import Watched, reduce
from omni.domains.payments.service.charges import record
from omni.domains.payments.service.webhooks import OpenSystemSession
from omni.foundation.db.sessions import Database
from omni.kit.clock import Clock
from omni.kit.errors import NotFound

CRYPTO = "crypto"
WATCHED_PERIOD = timedelta(days=30)
"""What is sent to an address later than that is found by hand."""


class Watcher(Protocol):
    """A provider whose payments are looked at, since nobody tells of them."""

    async def watch(self, watched: list[Watched]) -> list[PaymentEvent]: ...


class StoredDeposits:
    """`Deposits` in the database; look-ups go across tenants, since a chain knows none."""

    def __init__(self, database: Database, open_system_session: OpenSystemSession) -> None:
        self._database = database
        self._open_system_session = open_system_session

    async def find(self, payment_id: UUID) -> Deposit | None:
        async with self._open_system_session() as session:
            return await repository.deposit_of(session, payment_id)

    async def at(self, address: str) -> Deposit | None:
        async with self._open_system_session() as session:
            return await repository.deposit_at(session, address)

    async def next_index(self) -> int:
        async with self._database.shared() as session:
            return await repository.next_deposit_index(session)

    async def add(self, deposit: Deposit) -> Deposit:
        """Raises NotFound `payment_not_found`."""
        async with self._open_system_session() as system:
            owner = await repository.owner_of_payment(system, CRYPTO, deposit.payment_id, "")
        if owner is None:
            raise NotFound("payment_not_found", "There is no such payment.")
        async with self._database.write(owner) as session:
            await repository.insert_deposit(session, deposit)
        return await self.find(deposit.payment_id) or deposit

    async def since(self, moment: datetime) -> list[Deposit]:
        async with self._open_system_session() as session:
            return [deposit for _, deposit in await repository.deposits_since(session, moment)]


async def watch_deposits(
    database: Database, open_system_session: OpenSystemSession, watcher: Watcher, clock: Clock
) -> int:
    """Looks at the deposits of the last days and books what is new; returns how many events that were."""
    async with open_system_session() as system:
        deposits = await repository.deposits_since(system, clock.now() - WATCHED_PERIOD)
    booked = 0
    for owner, deposit in deposits:
        async with database.read(owner) as session:
            state = reduce(await repository.events_of(session, deposit.payment_id))
        for event in await watcher.watch([Watched(deposit, state)]):
            async with database.write(owner) as writing:
                await record(writing, event, deposit.payment_id)
            booked += 1
    return booked
