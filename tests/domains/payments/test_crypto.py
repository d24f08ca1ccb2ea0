"""Crypto: addresses by published vectors; deposits on a real EVM: confirmations, too little or much, reorganisation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from coincurve import PublicKey

from omni.domains.payments.contracts import Charge, Deposit, PaymentStatus, ProviderPayment, Refund
from omni.domains.payments.providers.crypto.adapter import Crypto, CryptoSettings
from omni.domains.payments.providers.crypto.addresses import (
    DepositAddresses,
    checked_address,
    checksum_address,
    keccak_256,
)
from omni.domains.payments.providers.crypto.deposits import Asset, units_for
from omni.domains.payments.rules import PaymentState, Watched, apply, reduce
from omni.kit.clock import ManualClock
from omni.kit.errors import InvalidInput, Unavailable, Unprocessable, UpstreamFailed
from omni.kit.ids import uuid7
from omni.testing.payments import InMemoryDeposits
from tests.domains.payments.evm import CHAIN_ID, TOKEN_INIT, Chain, feed_init

XPUB = "xpub6DyUKdwoLWmUJ4Tn9Bbsdtx7B5Ws18mEN19e5HT52ikE53FiUheSQXrZUNPovqfyKmw4579A1Mm3GXXKM39N64uooBfJ4tNAzFsEbodRTx4"
PRIVATE_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
FIRST, SECOND = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
"""m/44'/60'/0'/0 of the mnemonic "test test … junk", and its first accounts as Hardhat and Foundry print them."""
PRICE = 2_500 * 10**8


# --- addresses ---


def test_the_hash_is_keccak_and_not_sha3() -> None:
    assert keccak_256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@pytest.mark.parametrize(
    "address",
    [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_the_checksums_of_eip_55(address: str) -> None:
    assert checked_address(address) == address
    assert checked_address(address.lower()) == address


@pytest.mark.parametrize(
    "address",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
        "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0x" + "0" * 40,
        "vitalik.eth",
        "",
    ],
)
def test_an_address_that_nobody_can_be_paid_at(address: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked_address(address)
    assert refused.value.code == "unpayable_address"


def test_the_addresses_are_those_of_the_wallet() -> None:
    addresses = DepositAddresses(XPUB)
    assert [addresses.address(0), addresses.address(1)] == [FIRST, SECOND]
    assert len({addresses.address(index) for index in range(50)}) == 50
    for index in (-1, 2**31):
        with pytest.raises(ValueError, match="there is no address"):
            addresses.address(index)


def test_the_public_derivation_of_bip_32() -> None:
    """Test vector 2 of the BIP: chain m has the child m/0 with this key."""
    root = (
        "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDM"
        "Sgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB"
    )
    child = PublicKey(bytes.fromhex("02fc9e5af0ac8d9b3cecfe2a888e2117ba3d089d8585886c9c826b6b22a98d12ea"))
    wanted = checksum_address(keccak_256(child.format(compressed=False)[1:])[12:])
    assert DepositAddresses(root).address(0) == wanted


def test_a_private_key_is_refused() -> None:
    with pytest.raises(ValueError, match="private key, with which one can spend") as refused:
        DepositAddresses(
            "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
        )
    assert "xprv9" not in str(refused.value)
    for text in ("", "xpub", XPUB[:-1] + "1", XPUB + "1", XPUB[:-1] + "0", "xpub" + "z" * 107, "0x1234"):
        with pytest.raises(ValueError, match="no extended public key"):
            DepositAddresses(text)


# --- quantities ---

ETHER = Asset("ETH", 18, "EUR", feed="0x" + "22" * 20)
COIN = Asset("EURC", 6, "EUR", contract="0x" + "33" * 20)


def test_a_stablecoin_is_its_currency_and_ether_has_a_price() -> None:
    assert units_for(6377, "EUR", COIN, None) == 63_770_000
    assert units_for(6377, "EUR", ETHER, PRICE) == 25_508_000_000_000_000
    assert units_for(1, "EUR", ETHER, 3 * 10**8) == 3_333_333_333_333_334  # rounded up
    with pytest.raises(ValueError, match="not in USD"):
        units_for(1, "USD", COIN, None)
    with pytest.raises(ValueError, match="no price"):
        units_for(1, "EUR", ETHER, 0)


# --- on the chain ---


class Desk:
    """The provider on a chain, and what is known of each payment."""

    def __init__(self, crypto: Crypto, chain: Chain, deposits: InMemoryDeposits, clock: ManualClock, coin: str) -> None:
        self.crypto, self.chain, self.deposits, self.clock, self.coin = crypto, chain, deposits, clock, coin
        self.state = PaymentState()
        self.kinds: list[str] = []

    async def open(self, asset: str, amount_minor: int = 6377) -> Deposit:
        charge = Charge(uuid7(), uuid7(), amount_minor, "EUR", "tenant", asset)
        await self.crypto.charge(charge)
        deposit = await self.deposits.find(charge.payment_id)
        assert deposit is not None
        return deposit

    def pay(self, deposit: Deposit, units: int) -> None:
        if deposit.asset == "ETH":
            self.chain.send(deposit.address, units)
        else:
            self.chain.send_token(self.coin, deposit.address, units)

    async def look(self, deposit: Deposit) -> PaymentState:
        """As the worker does: watch, and apply what is new."""
        self.clock.advance(timedelta(seconds=15))
        for event in await self.crypto.watch([Watched(deposit, self.state)]):
            self.kinds.append(f"{event.kind} {event.code}".strip())
            self.state = apply(self.state, event)
        return self.state


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    chain = Chain()
    coin, feed = chain.deploy(TOKEN_INIT), chain.deploy(feed_init(PRICE))
    chain.mine(3)
    assets = (replace(ETHER, feed=feed), replace(COIN, contract=coin))
    settings = CryptoSettings("http://node.example", CHAIN_ID, XPUB, assets, confirmations=3)
    clock, deposits = ManualClock(datetime.now(UTC)), InMemoryDeposits()
    async with httpx2.AsyncClient(transport=chain) as http:
        yield Desk(Crypto(http, settings, deposits, clock), chain, deposits, clock, coin)


async def test_each_payment_has_an_address_of_its_own(desk: Desk) -> None:
    charge = Charge(uuid7(), uuid7(), 6377, "EUR", "tenant", "EURC")
    first = await desk.crypto.charge(charge)
    assert first.status == PaymentStatus.REQUIRES_ACTION
    assert first.provider_payment_id == FIRST
    assert first.action_url == f"ethereum:{desk.coin}@{CHAIN_ID}/transfer?address={FIRST}&uint256=63770000"
    assert await desk.crypto.charge(charge) == first
    other = await desk.crypto.charge(replace(charge, payment_id=uuid7(), method="ETH"))
    assert other.action_url == f"ethereum:{SECOND}@{CHAIN_ID}?value=25508000000000000"
    assert await desk.crypto.get_payment(SECOND) == other


@pytest.mark.parametrize("asset", ["ETH", "EURC"])
async def test_a_payment_counts_once_it_is_deep_enough(desk: Desk, asset: str) -> None:
    deposit = await desk.open(asset)
    assert (await desk.look(deposit)).payment is None
    desk.pay(deposit, deposit.units)
    assert (await desk.look(deposit)).status == PaymentStatus.PENDING
    desk.chain.mine(1)
    assert (await desk.look(deposit)).received_minor == 0
    desk.chain.mine(1)
    state = await desk.look(deposit)
    assert (state.status, state.received_minor) == (PaymentStatus.SUCCEEDED, 6377)
    assert await desk.look(deposit) == state
    assert desk.kinds == ["payment.pending unconfirmed", "payment.succeeded"]
    assert (await desk.crypto.get_payment(deposit.address)).status == PaymentStatus.SUCCEEDED
    listed = [each async for each in desk.crypto.list_payments(deposit.created_at - timedelta(days=1))]
    assert listed == [
        ProviderPayment(
            deposit.address, deposit.payment_id, PaymentStatus.SUCCEEDED, 6377, "EUR", 0, deposit.created_at
        )
    ]


@pytest.mark.parametrize("asset", ["ETH", "EURC"])
async def test_too_little_waits_for_the_rest(desk: Desk, asset: str) -> None:
    deposit = await desk.open(asset)
    part = deposit.units // 2
    desk.pay(deposit, part)
    desk.chain.mine(3)
    state = await desk.look(deposit)
    assert (state.status, state.received_minor) == (PaymentStatus.REQUIRES_ACTION, 0)
    assert state.payment is not None
    assert (state.payment.code, state.payment.amount_minor) == ("underpaid", 3188)
    desk.pay(deposit, deposit.units - part)
    desk.chain.mine(3)
    assert (await desk.look(deposit)).received_minor == 6377


async def test_too_much_is_known_to_the_cent(desk: Desk) -> None:
    deposit = await desk.open("EURC")
    desk.pay(deposit, deposit.units)
    desk.chain.mine(3)
    assert (await desk.look(deposit)).received_minor == 6377
    desk.pay(deposit, 1_230_000)
    desk.chain.mine(3)
    state = await desk.look(deposit)
    assert (state.status, state.received_minor) == (PaymentStatus.SUCCEEDED, 6500)
    assert desk.kinds[-1] == "payment.succeeded overpaid"


async def test_a_reorganisation_takes_back_what_was_not_deep_enough(desk: Desk) -> None:
    deposit = await desk.open("ETH")
    fork = desk.chain.fork()
    desk.pay(deposit, deposit.units)
    desk.chain.mine(1)
    assert (await desk.look(deposit)).status == PaymentStatus.PENDING
    desk.chain.reorganise(fork, 4)
    state = await desk.look(deposit)
    assert (state.status, state.received_minor) == (PaymentStatus.REQUIRES_ACTION, 0)
    desk.pay(deposit, deposit.units)
    desk.chain.mine(3)
    assert (await desk.look(deposit)).received_minor == 6377


async def test_a_deeper_reorganisation_is_a_dispute_until_the_money_is_back(desk: Desk) -> None:
    deposit = await desk.open("ETH")
    fork = desk.chain.fork()
    desk.pay(deposit, deposit.units)
    desk.chain.mine(3)
    assert (await desk.look(deposit)).kept_minor == 6377
    desk.chain.reorganise(fork, 8)
    state = await desk.look(deposit)
    assert (state.status, state.kept_minor) == (PaymentStatus.SUCCEEDED, 0)
    assert await desk.look(deposit) == state
    desk.pay(deposit, deposit.units)
    desk.chain.mine(3)
    assert (await desk.look(deposit)).kept_minor == 6377
    assert desk.kinds == ["payment.succeeded", "dispute.opened reorganised", "dispute.won reorganised"]


async def test_what_was_swept_stays_paid(desk: Desk) -> None:
    deposit = await desk.open("ETH")
    desk.pay(deposit, deposit.units)
    desk.chain.mine(3)
    paid = await desk.look(deposit)
    desk.chain.sweep(PRIVATE_KEY)
    desk.chain.mine(5)
    assert await desk.look(deposit) == paid
    assert (await desk.crypto.get_payment(deposit.address)).code == "swept"


async def test_the_same_look_gives_the_same_events(desk: Desk) -> None:
    deposit = await desk.open("ETH")
    desk.pay(deposit, deposit.units)
    desk.chain.mine(3)
    looks = [await desk.crypto.watch([Watched(deposit, PaymentState())]) for _ in range(2)]
    assert looks[0] == looks[1]
    assert reduce(looks[0] + looks[1]).received_minor == 6377


# --- what goes wrong ---


async def test_an_asset_that_was_taken_out_of_the_settings_stops_nothing(desk: Desk) -> None:
    deposit = await desk.open("EURC")
    gone = replace(deposit, asset="OLD")
    await desk.deposits.add(replace(gone, payment_id=uuid7(), address=SECOND))
    desk.pay(deposit, deposit.units)
    desk.chain.mine(3)
    events = await desk.crypto.watch([Watched(gone, PaymentState()), Watched(deposit, PaymentState())])
    assert [event.amount_minor for event in events] == [6377]
    assert len([each async for each in desk.crypto.list_payments(deposit.created_at - timedelta(days=1))]) == 1
    with pytest.raises(UpstreamFailed):
        await desk.crypto.get_payment(SECOND)


@pytest.mark.parametrize(("method", "currency"), [("BTC", "EUR"), (None, "EUR"), ("ETH", "USD")])
async def test_what_is_not_taken(desk: Desk, method: str | None, currency: str) -> None:
    with pytest.raises(InvalidInput, match=f"An invoice in {currency} is paid in"):
        await desk.crypto.charge(Charge(uuid7(), uuid7(), 6377, currency, "tenant", method))


async def test_nothing_cannot_be_paid(desk: Desk) -> None:
    with pytest.raises(InvalidInput) as refused:
        await desk.crypto.charge(Charge(uuid7(), uuid7(), 0, "EUR", "tenant", "ETH"))
    assert refused.value.code == "unpayable_amount"


async def test_an_old_price_is_not_used(desk: Desk) -> None:
    desk.clock.advance(timedelta(hours=3))
    with pytest.raises(UpstreamFailed) as refused:
        await desk.open("ETH")
    assert "price feed of ETH" in str(refused.value.internal)
    assert (await desk.open("EURC")).units == 63_770_000


async def test_a_node_of_another_chain_is_refused(desk: Desk) -> None:
    desk.chain.chain_id = 1
    with pytest.raises(UpstreamFailed) as refused:
        await desk.open("EURC")
    assert "the node is on chain 1" in str(refused.value.internal)


async def test_a_node_that_is_away_or_does_not_know(desk: Desk) -> None:
    deposit = await desk.open("EURC")
    desk.chain.away = True
    with pytest.raises(Unavailable):
        await desk.look(deposit)
    desk.chain.away = False
    with pytest.raises(UpstreamFailed):
        await desk.crypto.get_payment("0x" + "44" * 20)
    broken = replace(COIN, contract="0x" + "55" * 20)
    settings = CryptoSettings("http://node.example", CHAIN_ID, XPUB, (broken,))
    async with httpx2.AsyncClient(transport=desk.chain) as http:
        crypto = Crypto(http, settings, desk.deposits, desk.clock)
        with pytest.raises(UpstreamFailed) as refused:
            await crypto.charge(Charge(uuid7(), uuid7(), 6377, "EUR", "tenant", "EURC"))
    assert "otherwise than its interface" in str(refused.value.internal)


async def test_nothing_leaves_from_here(desk: Desk) -> None:
    with pytest.raises(Unprocessable) as refused:
        await desk.crypto.refund(Refund(uuid7(), uuid7(), FIRST, 1, "EUR"))
    assert refused.value.code == "payment_operation_not_supported"
    for call in (
        desk.crypto.start_setup("tenant", "https://x.example", "k"),
        desk.crypto.finish_setup("x"),
        desk.crypto.get_method("x"),
        desk.crypto.remove_method("x"),
    ):
        with pytest.raises(Unprocessable):
            await call
    with pytest.raises(InvalidInput):
        await desk.crypto.parse_webhook(b"{}", {}, datetime.now(UTC))
