"""What has come of a payment, from the events that arrived, in whatever order and however often they did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from omni.domains.payments.contracts import Deposit, EventKind, PaymentEvent, PaymentStatus

_PAYMENT = {
    EventKind.PAYMENT_PENDING: PaymentStatus.PENDING,
    EventKind.PAYMENT_REQUIRES_ACTION: PaymentStatus.REQUIRES_ACTION,
    EventKind.PAYMENT_FAILED: PaymentStatus.FAILED,
    EventKind.PAYMENT_SUCCEEDED: PaymentStatus.SUCCEEDED,
}
_REFUND = (EventKind.REFUND_PENDING, EventKind.REFUND_SUCCEEDED, EventKind.REFUND_FAILED)
_DISPUTE = (EventKind.DISPUTE_OPENED, EventKind.DISPUTE_WON, EventKind.DISPUTE_LOST)
_ORDER = {kind: place for place, kind in enumerate((*_PAYMENT, *_REFUND, *_DISPUTE))}
"""What comes later in the life of a thing, for events of the same second."""


@dataclass(frozen=True, slots=True)
class PaymentState:
    """The latest that is known of a payment, of each refund and of each dispute."""

    payment: PaymentEvent | None = None
    refunds: Mapping[str, PaymentEvent] = field(default_factory=lambda: MappingProxyType({}))
    disputes: Mapping[str, PaymentEvent] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def status(self) -> PaymentStatus:
        return PaymentStatus.PENDING if self.payment is None else _PAYMENT[self.payment.kind]

    @property
    def code(self) -> str:
        """Why it failed; empty where it did not."""
        return self.payment.code if self.payment and self.status == PaymentStatus.FAILED else ""

    @property
    def received_minor(self) -> int:
        return self.payment.amount_minor if self.payment and self.status == PaymentStatus.SUCCEEDED else 0

    @property
    def refunded_minor(self) -> int:
        """What went back to the payer; a refund that failed after all does not count."""
        return _sum(self.refunds.values(), EventKind.REFUND_SUCCEEDED)

    @property
    def failed_refunds_minor(self) -> int:
        """What was asked back and stayed here after all."""
        return _sum(self.refunds.values(), EventKind.REFUND_FAILED)

    @property
    def withdrawn_minor(self) -> int:
        """What the payer's bank holds or took back."""
        return _sum(self.disputes.values(), EventKind.DISPUTE_OPENED, EventKind.DISPUTE_LOST)

    @property
    def kept_minor(self) -> int:
        """What is left of the payment."""
        return self.received_minor - self.refunded_minor - self.withdrawn_minor


@dataclass(frozen=True, slots=True)
class Watched:
    """A deposit on a chain and what is known of its payment."""

    deposit: Deposit
    state: PaymentState


def apply(state: PaymentState, event: PaymentEvent) -> PaymentState:
    """The state after an event of the same payment. Any order, with any repetition, ends in the same state.

    For each thing the greatest event by `_rank` is kept; taking the greater of two is associative, commutative and
    idempotent (a join-semilattice; Shapiro et al., Conflict-free Replicated Data Types, 2011, section 2.3).
    """
    if event.kind in _PAYMENT:
        return replace(state, payment=_later(state.payment, event))
    if event.kind in _REFUND:
        return replace(state, refunds=_joined(state.refunds, event))
    if event.kind in _DISPUTE:
        return replace(state, disputes=_joined(state.disputes, event))
    return state


def reduce(events: Iterable[PaymentEvent]) -> PaymentState:
    """The state after all events of one payment."""
    state = PaymentState()
    for event in events:
        state = apply(state, event)
    return state


def _joined(known: Mapping[str, PaymentEvent], event: PaymentEvent) -> Mapping[str, PaymentEvent]:
    return MappingProxyType(dict(known) | {event.subject: _later(known.get(event.subject), event)})


def _later(known: PaymentEvent | None, event: PaymentEvent) -> PaymentEvent:
    return event if known is None or _rank(event) > _rank(known) else known


def _rank(event: PaymentEvent) -> tuple[bool, float, int, str]:
    """A payment that succeeded stays so: what is told of an earlier attempt may come late. Else the latest counts."""
    final = event.kind == EventKind.PAYMENT_SUCCEEDED
    return final, event.occurred_at.timestamp(), _ORDER[event.kind], event.event_id


def _sum(events: Iterable[PaymentEvent], *kinds: EventKind) -> int:
    return sum(event.amount_minor for event in events if event.kind in kinds)
