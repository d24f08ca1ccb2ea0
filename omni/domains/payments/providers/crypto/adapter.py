"""The port, on a chain of the EVM: the payer sends to an address of the invoice's own; a watcher reads its balance.

Balances are read instead of transfers: they also hold what contracts send, and what was read at a confirmed block
cannot be counted twice. The address has no key on this server, so what it holds can only grow until the operator
sweeps it, which shows as a transaction from it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2

from omni.domains.payments.contracts import (
    Charge,
    Deposit,
    Deposits,
    EventKind,
    NewCustomer,
    PaymentEvent,
    PaymentResult,
    PaymentStatus,
    ProviderPayment,
    Refund,
    RefundResult,
    SavedMethod,
    SetupSession,
)
from omni.domains.payments.providers.crypto.addresses import DepositAddresses
from omni.domains.payments.providers.crypto.deposits import (
    Arrival,
    Asset,
    arrival,
    minor_of,
    payment_uri,
    units_for,
)
from omni.domains.payments.providers.crypto.rpc import Node
from omni.domains.payments.providers.http import failed
from omni.domains.payments.rules import Watched
from omni.kit.clock import Clock
from omni.kit.errors import InvalidInput, Unprocessable

_STATUSES = {
    Arrival.NOTHING: PaymentStatus.REQUIRES_ACTION,
    Arrival.UNCONFIRMED: PaymentStatus.PENDING,
    Arrival.UNDERPAID: PaymentStatus.REQUIRES_ACTION,
    Arrival.PAID: PaymentStatus.SUCCEEDED,
    Arrival.OVERPAID: PaymentStatus.SUCCEEDED,
}
_KINDS = {
    PaymentStatus.REQUIRES_ACTION: EventKind.PAYMENT_REQUIRES_ACTION,
    PaymentStatus.PENDING: EventKind.PAYMENT_PENDING,
    PaymentStatus.SUCCEEDED: EventKind.PAYMENT_SUCCEEDED,
}


@dataclass(frozen=True, slots=True)
class CryptoSettings:
    """A chain, an account to receive on, and what may be paid with."""

    rpc_url: str
    chain_id: int
    xpub: str
    assets: tuple[Asset, ...]
    confirmations: int = 12
    quote_minutes: int = 30
    feed_hours: int = 2
    """A price that is older is not used."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the chain showed."""

    arrival: Arrival
    confirmed: int
    head: int


class Crypto:
    """`PaymentProvider` over a node. `Charge.method` names the asset."""

    name = "crypto"

    def __init__(self, http: httpx2.AsyncClient, settings: CryptoSettings, deposits: Deposits, clock: Clock) -> None:
        self._node = Node(http, settings.rpc_url, settings.chain_id)
        self._settings = settings
        self._addresses = DepositAddresses(settings.xpub)
        self._assets = {asset.symbol: asset for asset in settings.assets}
        self._deposits = deposits
        self._clock = clock

    async def create_customer(self, customer: NewCustomer) -> str:
        """The chain knows no customers."""
        return str(customer.tenant_id)

    async def start_setup(self, customer: str, return_url: str, idempotency_key: str) -> SetupSession:
        """Raises Unprocessable: nothing can be taken from a wallet while its owner is away."""
        raise _not_supported(f"saving a method ({customer}, {return_url}, {idempotency_key})")

    async def finish_setup(self, session_id: str) -> SavedMethod | None:
        raise _not_supported(f"saving a method ({session_id})")

    async def get_method(self, method: str) -> SavedMethod:
        raise _not_supported(f"saved methods ({method})")

    async def remove_method(self, method: str) -> None:
        raise _not_supported(f"saved methods ({method})")

    async def charge(self, charge: Charge) -> PaymentResult:
        """An address for this payment and how much to send there; a payment keeps its first ones."""
        if charge.amount_minor <= 0:
            raise InvalidInput("unpayable_amount", "An amount to be paid is more than nothing.")
        asset = self._assets.get(charge.method or "")
        if asset is None or asset.currency != charge.currency:
            known = ", ".join(each.symbol for each in self._assets.values() if each.currency == charge.currency)
            raise InvalidInput("unpayable_amount", f"An invoice in {charge.currency} is paid in: {known or 'nothing'}.")
        deposit = await self._deposits.find(charge.payment_id) or await self._open(charge, asset)
        return await self._result(deposit)

    async def get_payment(self, provider_payment_id: str) -> PaymentResult:
        deposit = await self._deposits.at(provider_payment_id)
        if deposit is None or deposit.asset not in self._assets:
            raise failed(f"no deposit of a configured asset at {provider_payment_id}")
        return await self._result(deposit)

    async def refund(self, refund: Refund) -> RefundResult:
        """Raises Unprocessable: the key that could send is not here."""
        raise _not_supported(f"refund {refund.refund_id}: send it from the wallet and record it")

    async def list_payments(self, since: datetime) -> AsyncIterator[ProviderPayment]:
        """Those to which something was sent, but not what was swept already."""
        for deposit in await self._deposits.since(since):
            seen = await self._look(deposit) if deposit.asset in self._assets else None
            if seen is not None and seen.arrival != Arrival.NOTHING:
                yield ProviderPayment(
                    deposit.address,
                    deposit.payment_id,
                    _STATUSES[seen.arrival],
                    minor_of(seen.confirmed, deposit),
                    deposit.currency,
                    0,
                    deposit.created_at,
                )

    async def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> tuple[PaymentEvent, ...]:
        """Raises InvalidInput: a chain sends none; `watch` looks instead."""
        internal = f"{len(body)} bytes, {len(headers)} headers at {now}"
        raise InvalidInput("webhook_signature_invalid", "A chain sends no webhooks.", internal=internal)

    async def watch(self, watched: list[Watched]) -> list[PaymentEvent]:
        """What is new about deposits; at the same head of the chain the same events, with the same ids.

        What falls below the amount that was credited already, since the chain was reorganised deeper than the
        confirmations asked for, is a dispute until it is back.
        """
        found = []
        for each in watched:
            known = each.deposit.asset in self._assets  # an asset may have been taken out of the settings
            seen = await self._look(each.deposit) if known else None
            if seen is not None:
                found += self._news(each, seen)
        return found

    def _news(self, watched: Watched, seen: Seen) -> list[PaymentEvent]:
        deposit, state = watched.deposit, watched.state
        amount_minor = minor_of(seen.confirmed, deposit)
        code = _code(seen.arrival)
        if state.status == PaymentStatus.SUCCEEDED and amount_minor <= state.received_minor:
            missing = state.received_minor - amount_minor
            if missing == state.withdrawn_minor:
                return []
            kind, code = (EventKind.DISPUTE_OPENED if missing else EventKind.DISPUTE_WON), "reorganised"
            return [self._event(deposit, seen, kind, missing, code)]
        kind = _KINDS[_STATUSES[seen.arrival]]
        known = state.payment and (state.payment.kind, state.payment.code, state.payment.amount_minor)
        if known == (kind, code, amount_minor) or (known is None and seen.arrival == Arrival.NOTHING):
            return []
        return [self._event(deposit, seen, kind, amount_minor, code)]

    def _event(self, deposit: Deposit, seen: Seen, kind: EventKind, amount_minor: int, code: str) -> PaymentEvent:
        return PaymentEvent(
            f"{deposit.address}:{seen.head}:{kind}:{seen.confirmed}",
            kind,
            self._clock.now(),
            deposit.address,
            deposit.payment_id,
            amount_minor,
            deposit.currency,
            deposit.address if code == "reorganised" else "",
            code=code,
        )

    async def _open(self, charge: Charge, asset: Asset) -> Deposit:
        price = await self._price(asset)
        index, now = await self._deposits.next_index(), self._clock.now()
        deposit = Deposit(
            charge.payment_id,
            index,
            self._addresses.address(index),
            asset.symbol,
            units_for(charge.amount_minor, charge.currency, asset, price),
            charge.amount_minor,
            charge.currency,
            now,
            now + timedelta(minutes=self._settings.quote_minutes),
        )
        return await self._deposits.add(deposit)

    async def _price(self, asset: Asset) -> int | None:
        if asset.feed is None:
            return None
        price, told_at = await self._node.feed(asset.feed)
        age = self._clock.now() - datetime.fromtimestamp(told_at, UTC)
        if price <= 0 or age > timedelta(hours=self._settings.feed_hours):
            raise failed(f"the price feed of {asset.symbol} answers {price}, {age} old")
        return price

    async def _result(self, deposit: Deposit) -> PaymentResult:
        seen = await self._look(deposit)
        if seen is None:
            return PaymentResult(PaymentStatus.PENDING, deposit.address, "swept")
        status = _STATUSES[seen.arrival]
        asset = self._assets[deposit.asset]
        uri = payment_uri(deposit, asset, self._settings.chain_id) if status == PaymentStatus.REQUIRES_ACTION else ""
        return PaymentResult(status, deposit.address, _code(seen.arrival), uri)

    async def _look(self, deposit: Deposit) -> Seen | None:
        """How far a deposit has come; None once the operator has swept it: what was known of it then stands."""
        head = await self._node.head()
        deep = max(head - self._settings.confirmations + 1, 0)
        if await self._node.spent_from(deposit.address, head):
            return None
        contract = self._assets[deposit.asset].contract
        latest = await self._node.balance(deposit.address, head, contract)
        confirmed = min(await self._node.balance(deposit.address, deep, contract), latest)
        return Seen(arrival(deposit, confirmed, latest), confirmed, head)


def _code(came: Arrival) -> str:
    """What a payment waits for or has too much of; empty where there is nothing to say."""
    return "" if came in (Arrival.NOTHING, Arrival.PAID) else came.value


def _not_supported(internal: str) -> Unprocessable:
    return Unprocessable(
        "payment_operation_not_supported",
        "This way to pay cannot do that: nothing can be taken from or sent to a wallet from here.",
        internal=internal,
    )
