"""What is expected at a deposit address and what has arrived there, without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from omni.domains.payments.contracts import Deposit
from omni.kit.money import currency_exponent, divide_half_even


@dataclass(frozen=True, slots=True)
class Asset:
    """What can be paid with: ether (no contract) or an ERC-20 token, for invoices in one currency."""

    symbol: str
    decimals: int
    currency: str
    contract: str | None = None
    feed: str | None = None
    """A price feed of one unit in the currency; None = the asset is worth its currency, as a stablecoin of it is."""
    feed_decimals: int = 8


class Arrival(StrEnum):
    """How far a deposit has come."""

    NOTHING = "nothing"
    UNCONFIRMED = "unconfirmed"
    UNDERPAID = "underpaid"
    PAID = "paid"
    OVERPAID = "overpaid"


def arrival(deposit: Deposit, confirmed: int, latest: int) -> Arrival:
    """What the balances say: `confirmed` deep enough in the chain, `latest` at its head. Only what is confirmed counts.

    A reorganisation that takes a transfer back is seen as `latest` falling before it was ever confirmed.
    """
    if confirmed > deposit.units:
        return Arrival.OVERPAID
    if confirmed == deposit.units:
        return Arrival.PAID
    if latest > confirmed:
        return Arrival.UNCONFIRMED
    return Arrival.UNDERPAID if confirmed else Arrival.NOTHING


def units_for(amount_minor: int, currency: str, asset: Asset, price: int | None) -> int:
    """How much of the asset an amount is, rounded up to its smallest unit, so that nobody is short.

    `price` is the feed's answer: currency units × 10^feed_decimals for one unit of the asset; None = worth its
    currency. Raises ValueError for a price of nothing and for another currency.
    """
    if currency != asset.currency:
        raise ValueError(f"{asset.symbol} pays invoices in {asset.currency}, not in {currency}")
    numerator: int = amount_minor * 10**asset.decimals
    denominator = 10 ** currency_exponent(currency)
    if price is not None:
        if price <= 0:
            raise ValueError("the price feed answers no price")
        numerator *= 10**asset.feed_decimals
        denominator *= price
    units: int = -(-numerator // denominator)
    return units


def minor_of(units: int, deposit: Deposit) -> int:
    """What an arrived quantity is worth by the deposit's rate, in minor units, half-even."""
    return divide_half_even(units * deposit.amount_minor, deposit.units)


def payment_uri(deposit: Deposit, asset: Asset, chain_id: int) -> str:
    """The request as wallets read it (ERC-681)."""
    if asset.contract is None:
        return f"ethereum:{deposit.address}@{chain_id}?value={deposit.units}"
    return f"ethereum:{asset.contract}@{chain_id}/transfer?address={deposit.address}&uint256={deposit.units}"
