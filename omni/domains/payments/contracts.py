"""The port to whoever moves the money, and the words that Omni and its adapters share.

Amounts are integers in minor units of the currency. Ids that a provider gives are opaque texts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class PaymentStatus(StrEnum):
    """How a payment stands."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


class RefundStatus(StrEnum):
    """How a refund stands."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class EventKind(StrEnum):
    """What a provider tells."""

    PAYMENT_PENDING = "payment.pending"
    PAYMENT_REQUIRES_ACTION = "payment.requires_action"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_SUCCEEDED = "payment.succeeded"
    REFUND_PENDING = "refund.pending"
    REFUND_SUCCEEDED = "refund.succeeded"
    REFUND_FAILED = "refund.failed"
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_WON = "dispute.won"
    DISPUTE_LOST = "dispute.lost"
    METHOD_SAVED = "method.saved"


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """A tenant as the provider will know it."""

    tenant_id: UUID
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Charge:
    """One attempt to have an invoice paid."""

    payment_id: UUID
    """Ours. It is the idempotency key: the same one is never charged twice; another attempt has another id."""
    invoice_id: UUID
    amount_minor: int
    currency: str
    customer: str
    """The provider's id of the payer."""
    method: str | None = None
    """The saved method to charge while the payer is away; None = the payer is present and pays at `action_url`.
    For crypto the asset to pay with."""
    return_url: str = ""
    """Where the payer comes back to, for those who pay at `action_url`."""


@dataclass(frozen=True, slots=True)
class PaymentResult:
    """What has come of a charge so far."""

    status: PaymentStatus
    provider_payment_id: str = ""
    """Empty where the provider refused without making a payment."""
    code: str = ""
    """Why it failed, in the provider's words, such as `insufficient_funds`."""
    action_url: str = ""
    """Where the payer has to go, where the status asks for it and the provider has a page for it."""


@dataclass(frozen=True, slots=True)
class SetupSession:
    """A page of the provider's on which a payer saves a method."""

    session_id: str
    url: str


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A method that a payer has saved, as far as it may be shown."""

    method: str
    kind: str
    brand: str
    last4: str
    expires: str
    """`2030-12`; empty for what does not expire."""
    customer: str = ""
    """Whose it is, in the provider's words."""


@dataclass(frozen=True, slots=True)
class Refund:
    """Money to be given back."""

    refund_id: UUID
    """Ours; the idempotency key."""
    payment_id: UUID
    provider_payment_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class RefundResult:
    """What has come of a refund so far."""

    status: RefundStatus
    provider_refund_id: str
    amount_minor: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class ProviderPayment:
    """An attempt as the provider has it, for the reconciler."""

    provider_payment_id: str
    payment_id: UUID | None
    """Ours; None for what was not made through Omni."""
    status: PaymentStatus
    amount_minor: int
    currency: str
    refunded_minor: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """Something that happened to a payment, verified to come from the provider."""

    event_id: str
    """The provider's; the same event can come more than once."""
    kind: EventKind
    occurred_at: datetime
    provider_payment_id: str = ""
    payment_id: UUID | None = None
    """Ours, where the provider gives it back."""
    amount_minor: int = 0
    currency: str = ""
    subject: str = ""
    """The id of the refund, the dispute or the saved method that it is about."""
    customer: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to have an invoice paid, as Omni keeps it."""

    payment_id: UUID
    invoice_id: UUID
    """The invoice that it is for, or the payment itself where it is for none (credit in advance)."""
    provider: str
    amount_minor: int
    currency: str
    method: str | None
    return_url: str
    created_at: datetime
    status: PaymentStatus = PaymentStatus.PENDING
    provider_payment_id: str = ""
    code: str = ""
    action_url: str = ""
    received_minor: int = 0
    refunded_minor: int = 0
    withdrawn_minor: int = 0

    @property
    def in_cash_minor(self) -> int:
        """What has come in by it and is still here."""
        return self.received_minor - self.refunded_minor - self.withdrawn_minor


@dataclass(frozen=True, slots=True)
class StoredMethod:
    """A saved method that a tenant may be charged by."""

    method_id: UUID
    provider: str
    saved: SavedMethod
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Deposit:
    """An address that waits for one payment."""

    payment_id: UUID
    index: int
    address: str
    asset: str
    units: int
    """What was asked for, in the asset's smallest unit."""
    amount_minor: int
    currency: str
    created_at: datetime
    expires_at: datetime
    """Until then the rate holds; what arrives later counts by the same rate, but nobody has to accept it."""


class Deposits(Protocol):
    """Where deposits are kept. An index is never given twice, and a payment has one deposit."""

    async def find(self, payment_id: UUID) -> Deposit | None: ...
    async def at(self, address: str) -> Deposit | None: ...
    async def next_index(self) -> int: ...
    async def add(self, deposit: Deposit) -> Deposit:
        """The deposit of this payment: this one, or the one that was there first."""
        ...

    async def since(self, moment: datetime) -> list[Deposit]: ...


class PaymentProvider(Protocol):
    """Whoever moves the money.

    Every call may raise Unavailable `payment_provider_unavailable` (the outcome is unknown: repeat with the same ids),
    UpstreamFailed `payment_provider_failed` and InvalidInput `unpayable_amount`. A payer's "no" is data.
    """

    @property
    def name(self) -> str:
        """`stripe`, `paypal` …"""
        ...

    async def create_customer(self, customer: NewCustomer) -> str:
        """The provider's id of the payer; the same tenant gets the same one for a day at least."""
        ...

    async def start_setup(self, customer: str, return_url: str, idempotency_key: str) -> SetupSession:
        """A page on which the payer saves a method; it leads back to `return_url`."""
        ...

    async def finish_setup(self, session_id: str) -> SavedMethod | None:
        """The method that the payer saved on that page; None while there is none. May be asked again."""
        ...

    async def get_method(self, method: str) -> SavedMethod: ...

    async def remove_method(self, method: str) -> None:
        """Forgets a saved method; one that is gone already is no error."""
        ...

    async def charge(self, charge: Charge) -> PaymentResult: ...

    async def get_payment(self, provider_payment_id: str) -> PaymentResult:
        """How a payment stands; completes it where the payer has agreed and the provider waits for us."""
        ...

    async def refund(self, refund: Refund) -> RefundResult: ...

    def list_payments(self, since: datetime) -> AsyncIterator[ProviderPayment]:
        """Every attempt made after an instant, in no order."""
        ...

    async def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> tuple[PaymentEvent, ...]:
        """What the provider tells; nothing for what does not matter here.

        `body` is the raw one and header names are in lower case. Raises InvalidInput `webhook_signature_invalid`,
        `webhook_too_old`, `webhook_malformed`.
        """
        ...
