"""Deposits in the database: opened by the charge, watched by the worker, booked once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from omni.domains.payments import facade
from omni.domains.payments.contracts import Deposit, NewCustomer, Payment, PaymentStatus
from omni.domains.payments.providers.crypto.adapter import Crypto, CryptoSettings
from omni.domains.payments.providers.crypto.deposits import Asset
from omni.domains.payments.service import charges
from omni.kit.errors import NotFound
from omni.kit.ids import uuid7
from omni.testing.control_plane import ControlPlane
from tests.domains.payments.evm import CHAIN_ID, TOKEN_INIT, Chain
from tests.domains.payments.test_crypto import XPUB
from tests.domains.payments.test_payments import drained
from tests.domains.people import People


async def test_an_invoice_paid_on_the_chain_is_booked_once(plane: ControlPlane, people: People) -> None:
    owner, chain = await people.owner(), Chain()
    coin = chain.deploy(TOKEN_INIT)
    chain.mine(3)
    open_system, database, clock = plane.system_database.session, plane.database, plane.clock
    deposits = facade.StoredDeposits(database, open_system)
    assets = (Asset("EURC", 6, "EUR", coin),)
    async with httpx2.AsyncClient(transport=chain) as http:
        settings = CryptoSettings("http://node.example", CHAIN_ID, XPUB, assets, confirmations=3)
        crypto = Crypto(http, settings, deposits, clock)
        providers = facade.Providers({"crypto": crypto})
        payment = Payment(uuid7(), uuid7(), "crypto", 6377, "EUR", "EURC", "", clock.now())
        async with database.write(owner.tenant_id) as session:
            await facade.request_payment(session, payment)
        assert charges.CHARGE in {message.task for message in await drained(plane)}
        tenant = NewCustomer(owner.tenant_id, "Acme", owner.email)
        for _ in range(2):
            made = await charges.make_charge(database, providers, tenant, payment.payment_id, clock)
        deposit = await deposits.find(payment.payment_id)
        assert deposit is not None
        assert (deposit.address, deposit.units) == (made.provider_payment_id, 63_770_000)
        assert await deposits.at(deposit.address) == deposit
        assert deposit in await deposits.since(clock.now() - timedelta(hours=1))
        assert await facade.watch_deposits(database, open_system, crypto, clock) == 0
        chain.send_token(coin, deposit.address, deposit.units)
        chain.mine(3)
        clock.advance(timedelta(minutes=1))
        assert await facade.watch_deposits(database, open_system, crypto, clock) == 1
        assert await facade.watch_deposits(database, open_system, crypto, clock) == 0
    async with database.read(owner.tenant_id) as session:
        booked = await facade.get_payment(session, payment.payment_id)
    assert (booked.status, booked.received_minor, booked.action_url) == (PaymentStatus.SUCCEEDED, 6377, "")


async def test_a_payment_has_one_deposit_and_an_index_is_given_once(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    deposits = facade.StoredDeposits(plane.database, plane.system_database.session)
    indices = [await deposits.next_index() for _ in range(3)]
    assert len(set(indices)) == 3
    now = plane.clock.now()
    payment = Payment(uuid7(), uuid7(), "crypto", 100, "EUR", "ETH", "", now)
    async with plane.database.write(owner.tenant_id) as session:
        await facade.request_payment(session, payment)
    await drained(plane)
    huge = 2**256 - 1
    first = Deposit(payment.payment_id, indices[0], "0x" + "11" * 20, "ETH", huge, 100, "EUR", now, now)
    assert await deposits.add(first) == first
    assert await deposits.add(replace(first, index=indices[1], address="0x" + "22" * 20)) == first
    with pytest.raises(NotFound):
        await deposits.add(replace(first, payment_id=uuid7()))
